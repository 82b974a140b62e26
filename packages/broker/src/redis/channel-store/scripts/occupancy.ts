import { RECORDS, script, VERSIONS } from './script.ts';

/**
 * So many connections of a worker are subscribed to a channel; none, for one that is dead.
 *
 * ```
 * KEYS  1 leases  2 owner  3 former owner, or again owner  4 counts  5 occupied  6 events  7 events:dropped
 * ARGV  1 owner  2 former owner, or empty  3 channel  4 connections  5 pub/sub channel  6 flags  7 most events
 * flags t: publish the sum  q: quietly  m: only if the former owner had nothing  d: the owner is dead
 *       o, v, n: record channel_occupied, channel_vacated, subscription_count
 * → [status, sum over all workers]   status 1 done, -1 no lease
 * ```
 */
export const COUNT = script(
  VERSIONS,
  RECORDS,
  `
local function has(flag) return string.find(ARGV[6], flag, 1, true) end
if not has('d') and not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {-1, 0} end
local channel, count = ARGV[3], tonumber(ARGV[4])
local before = redis.call('HLEN', KEYS[4])
local plain, telling = 'c' .. channel, 't' .. channel
local isMoved = false
if KEYS[3] ~= KEYS[2] then
  isMoved = redis.call('HDEL', KEYS[4], ARGV[2]) == 1 and has('m')
  redis.call('SREM', KEYS[3], plain, telling)
end
if count > 0 then
  redis.call('SADD', KEYS[2], has('t') and telling or plain)
  redis.call('SREM', KEYS[2], has('t') and plain or telling)
  redis.call('HSET', KEYS[4], ARGV[1], count)
else
  redis.call('HDEL', KEYS[4], ARGV[1])
  redis.call('SREM', KEYS[2], plain, telling)
end
local after = redis.call('HLEN', KEYS[4])
if before == 0 and after > 0 then
  redis.call('ZADD', KEYS[5], 0, channel)
  if has('o') and not has('q') then record(KEYS[6], KEYS[7], ARGV[7], 't', 'channel_occupied', 'c', channel) end
elseif before > 0 and after == 0 then
  redis.call('ZREM', KEYS[5], channel)
  if has('v') and not has('q') then record(KEYS[6], KEYS[7], ARGV[7], 't', 'channel_vacated', 'c', channel) end
end
local sum = 0
for _, part in ipairs(redis.call('HVALS', KEYS[4])) do sum = sum + part end
if has('t') and not has('q') and not isMoved then
  redis.call('PUBLISH', ARGV[5], envelope('c', 0, '', string.format('%.0f', sum)))
  if has('n') then record(KEYS[6], KEYS[7], ARGV[7], 't', 'subscription_count', 'c', channel, 'n', sum) end
end
return {1, sum}`,
);

/**
 * Connections of another worker are subscribed to a channel through this one now: the sum stays as it is, and nobody is told.
 *
 * ```
 * KEYS  1 leases  2 owner  3 the owner that has told of them  4 counts
 * ARGV  1 owner  2 the other owner  3 channel  4 connections  5 flags
 * flags t: the sum is published when it changes
 * → [status, how many were taken]   status 1 done, -1 no lease
 * ```
 */
export const TAKE = script(`
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {-1, 0} end
local plain, telling = 'c' .. ARGV[3], 't' .. ARGV[3]
local had = tonumber(redis.call('HGET', KEYS[4], ARGV[2]) or 0)
local taken = math.min(had, tonumber(ARGV[4]))
if taken <= 0 or ARGV[1] == ARGV[2] then return {1, 0} end
if had > taken then
  redis.call('HSET', KEYS[4], ARGV[2], had - taken)
else
  redis.call('HDEL', KEYS[4], ARGV[2])
  redis.call('SREM', KEYS[3], plain, telling)
end
redis.call('HSET', KEYS[4], ARGV[1], tonumber(redis.call('HGET', KEYS[4], ARGV[1]) or 0) + taken)
redis.call('SADD', KEYS[2], ARGV[5] == 't' and telling or plain)
redis.call('SREM', KEYS[2], ARGV[5] == 't' and plain or telling)
return {1, taken}`);

/**
 * How much goes on in some channels.
 *
 * ```
 * KEYS  counts and members of each
 * → [connections, members, …]
 * ```
 */
export const COUNTS = script(`
local answer = {}
for index = 1, #KEYS, 2 do
  local sum = 0
  for _, part in ipairs(redis.call('HVALS', KEYS[index])) do sum = sum + part end
  answer[#answer + 1] = sum
  answer[#answer + 1] = redis.call('HLEN', KEYS[index + 1])
end
return answer`);

/**
 * Channels with subscribers whose names begin so.
 *
 * ```
 * KEYS  1 occupied
 * ARGV  1 the lowest  2 the highest, as ZRANGEBYLEX has them  3 how many
 * ```
 */
export const OCCUPIED = script(
  `return redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])`,
);

/**
 * An event that no other step makes.
 *
 * ```
 * KEYS  1 events  2 events:dropped  3 missed
 * ARGV  1 most events  2 flags  3… fields
 * flags o: only when there was none since `missed` was deleted
 * ```
 */
export const ADD_EVENT = script(
  RECORDS,
  `
if ARGV[2] == 'o' and not redis.call('SET', KEYS[3], 1, 'EX', 1800, 'NX') then return 0 end
local fields = {}
for index = 3, #ARGV do fields[#fields + 1] = ARGV[index] end
record(KEYS[1], KEYS[2], ARGV[1], unpack(fields))
return 1`,
);
