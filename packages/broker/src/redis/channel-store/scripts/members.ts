import { RECORDS, script, VERSIONS } from './script.ts';

/** `readLast(key)` and what it returns at the end of an answer: the envelope of the last event, and for how long it is kept. */
const LAST = `
local function readLast(key)
  local last = redis.call('GET', key)
  if not last then return false, 0 end
  return last, redis.call('PTTL', key)
end`;

/**
 * A user joins through a worker.
 *
 * ```
 * KEYS  1 leases  2 owner  3 former owner, or again owner  4 members  5 version  6 last  7 events  8 events:dropped
 * ARGV  1 owner  2 entry of the owner  3 user  4 info  5 most members  6 pub/sub channel  7 flags  8 most events  9 channel
 * flags m: publish a mark  l: return the last event  s: return the members  q: quietly  r: record
 * → [status, version, number of members, [user, "<n>:<info>", …], last, its ttl]   status 0 full, 1 joined, -1 no lease
 * ```
 *
 * An entry of the former owner moves, so that nothing else changes. The first that it writes is refused where Redis has no
 * memory, and then nothing has happened. It may not be allowed to publish: nobody joins unannounced then.
 */
export const JOIN = script(
  VERSIONS,
  RECORDS,
  LAST,
  `
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {-1} end
local function has(flag) return string.find(ARGV[7], flag, 1, true) end
local entry = redis.call('HGET', KEYS[4], ARGV[3])
local version
local status = 1
if not entry then
  if redis.call('HLEN', KEYS[4]) >= tonumber(ARGV[5]) then
    status = 0
  else
    redis.call('SADD', KEYS[2], ARGV[2])
    if KEYS[3] ~= KEYS[2] then redis.call('SREM', KEYS[3], ARGV[2]) end
    redis.call('HSET', KEYS[4], ARGV[3], '1:' .. ARGV[4])
    if not has('q') then
      version = nextVersion(KEYS[5])
      local told = redis.pcall('PUBLISH', ARGV[6], envelope('j', version, ARGV[3], ARGV[4]))
      if type(told) == 'table' and told.err then
        redis.call('SREM', KEYS[2], ARGV[2])
        redis.call('HDEL', KEYS[4], ARGV[3])
        return told
      end
      if has('r') then record(KEYS[7], KEYS[8], ARGV[8], 't', 'member_added', 'c', ARGV[9], 'u', ARGV[3]) end
    end
  end
elseif redis.call('SADD', KEYS[2], ARGV[2]) == 1 then
  if KEYS[3] == KEYS[2] or redis.call('SREM', KEYS[3], ARGV[2]) == 0 then
    local colon = string.find(entry, ':', 1, true)
    redis.call('HSET', KEYS[4], ARGV[3], string.sub(entry, 1, colon - 1) + 1 .. string.sub(entry, colon))
  end
end
if not version then
  version = tonumber(redis.call('GET', KEYS[5]) or 0)
  if status == 1 and version > 0 and has('m') then redis.call('PUBLISH', ARGV[6], envelope('m', version, '', '')) end
end
local last, ttl = false, 0
if has('l') then last, ttl = readLast(KEYS[6]) end
local members = {}
if has('s') then members = redis.call('HGETALL', KEYS[4]) end
return {status, string.format('%.0f', version), redis.call('HLEN', KEYS[4]), members, last, ttl}`,
);

/**
 * A user leaves through a worker, or through one that is dead.
 *
 * ```
 * KEYS  1 leases  2 owner  3 members  4 version  5 events  6 events:dropped
 * ARGV  1 owner  2 entry of the owner  3 user  4 pub/sub channel  5 flags  6 most events  7 channel
 * flags r: record
 * → 1 done, now or before; -1 no lease, and nothing was there
 * ```
 */
export const LEAVE = script(
  VERSIONS,
  RECORDS,
  `
if redis.call('SISMEMBER', KEYS[2], ARGV[2]) == 0 then
  if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
  return -1
end
local entry = redis.call('HGET', KEYS[3], ARGV[3])
if entry then
  local colon = string.find(entry, ':', 1, true)
  local owners = string.sub(entry, 1, colon - 1) - 1
  if owners > 0 then
    redis.call('HSET', KEYS[3], ARGV[3], owners .. string.sub(entry, colon))
  else
    redis.call('HDEL', KEYS[3], ARGV[3])
    local version = nextVersion(KEYS[4])
    redis.call('PUBLISH', ARGV[4], envelope('l', version, ARGV[3], ''))
    if string.find(ARGV[5], 'r', 1, true) then
      record(KEYS[5], KEYS[6], ARGV[6], 't', 'member_removed', 'c', ARGV[7], 'u', ARGV[3])
    end
  end
end
redis.call('SREM', KEYS[2], ARGV[2])
return 1`,
);

/**
 * What is known of a channel.
 *
 * ```
 * KEYS  1 leases  2 members  3 version  4 last
 * ARGV  1 owner  2 most members to return  3 pub/sub channel  4 flags
 * flags m: publish a mark  l: return the last event  s: return the members
 * → as JOIN. There may be more members than wanted.
 * ```
 *
 * The owner is looked for because its lease goes with everything else when Redis loses its memory: what is
 * read before the workers have joined again would not be true.
 */
export const READ = script(
  VERSIONS,
  LAST,
  `
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {-1} end
local function has(flag) return string.find(ARGV[4], flag, 1, true) end
local version = tonumber(redis.call('GET', KEYS[3]) or 0)
if version > 0 and has('m') then redis.call('PUBLISH', ARGV[3], envelope('m', version, '', '')) end
local last, ttl = false, 0
if has('l') then last, ttl = readLast(KEYS[4]) end
local count = redis.call('HLEN', KEYS[2])
local limit = tonumber(ARGV[2])
local members = {}
if has('s') then
  if count <= limit then
    members = redis.call('HGETALL', KEYS[2])
  else
    local cursor = '0'
    repeat
      local page = redis.call('HSCAN', KEYS[2], cursor, 'COUNT', math.min(limit, 1000))
      cursor = page[1]
      for _, value in ipairs(page[2]) do members[#members + 1] = value end
    until cursor == '0' or #members >= 2 * limit
  end
end
return {1, string.format('%.0f', version), count, members, last, ttl}`,
);

/**
 * An event that is kept.
 *
 * ```
 * KEYS  1 version  2 last  3 missed
 * ARGV  1 envelope, with version 0  2 pub/sub channel  3 ms for which it is kept
 * ```
 */
export const PUBLISH_LAST = script(
  VERSIONS,
  `
local version = nextVersion(KEYS[1])
local message = string.sub(ARGV[1], 1, 9) .. string.format('%016.0f', version) .. string.sub(ARGV[1], 26)
redis.call('SET', KEYS[2], message, 'PX', ARGV[3])
redis.call('DEL', KEYS[3])
redis.call('PUBLISH', ARGV[2], message)
return 1`,
);
