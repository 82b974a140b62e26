import { BEATS, script } from './script.ts';

/**
 * A worker begins, or begins again, as a new owner.
 *
 * ```
 * KEYS  1 leases  2 epoch  3 settling  4 beat
 * ARGV  1 owner  2 ms of the lease  3 an epoch, if there is none  4 the epoch that it knows, or empty  5 ms to settle
 * → [epoch, ms until everybody will have joined again]
 * ```
 */
export const OPEN = script(
  BEATS,
  `
redis.call('SET', KEYS[2], ARGV[3], 'NX')
local epoch = redis.call('GET', KEYS[2])
if ARGV[4] ~= '' and ARGV[4] ~= epoch then redis.call('SET', KEYS[3], 1, 'PX', ARGV[5], 'NX') end
local now = milliseconds()
lookAt(KEYS[4], KEYS[1], now, ARGV[2])
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
return {epoch, math.max(0, redis.call('PTTL', KEYS[3]))}`,
);

/**
 * Renews a lease, and looks whether one has expired: at most one, which is claimed then.
 *
 * ```
 * KEYS  1 leases  2 beat  3 events:dropped  4 settling
 * ARGV  1 owner  2 ms of the lease  3 a former owner whose entries are being moved, or empty  4 ms to settle yet, or 0
 * → [status, the owner whose lease has expired or empty, recorded events thrown away, ms to settle]   status 1, -1 no lease
 * ```
 */
export const TICK = script(
  BEATS,
  `
local now = milliseconds()
local mayClaim = lookAt(KEYS[2], KEYS[1], now, ARGV[2])
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {-1, '', 0, 0} end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
if ARGV[3] ~= '' and redis.call('ZSCORE', KEYS[1], ARGV[3]) then redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[3]) end
if ARGV[4] ~= '0' then redis.call('SET', KEYS[4], 1, 'PX', ARGV[4]) end
local claimed = ''
local due = mayClaim and redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 1)[1]
if due then
  claimed = string.gsub(due, '^!', '')
  redis.call('ZREM', KEYS[1], due)
  redis.call('ZADD', KEYS[1], now + ARGV[2], '!' .. claimed)
end
local dropped = tonumber(redis.call('GET', KEYS[3]) or 0)
if dropped > 0 then redis.call('DEL', KEYS[3]) end
return {1, claimed, dropped, math.max(0, redis.call('PTTL', KEYS[4]))}`,
);

/**
 * Claims an owner of which is known that it is dead.
 *
 * ```
 * KEYS  1 leases
 * ARGV  1 owner  2 ms of the lease
 * → 1 claimed, 0 it is gone, or somebody else's already
 * ```
 */
export const CLAIM = script(
  BEATS,
  `
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('ZADD', KEYS[1], milliseconds() + ARGV[2], '!' .. ARGV[1])
return 1`,
);

/**
 * The next entries of an owner that is claimed. Without any left the owner is gone.
 *
 * ```
 * KEYS  1 leases  2 owner
 * ARGV  1 owner  2 ms of the lease  3 how many
 * ```
 */
export const REAP = script(
  BEATS,
  `
local claimed = '!' .. ARGV[1]
local entries = redis.call('SRANDMEMBER', KEYS[2], ARGV[3])
if #entries == 0 then
  redis.call('ZREM', KEYS[1], claimed)
elseif redis.call('ZSCORE', KEYS[1], claimed) then
  redis.call('ZADD', KEYS[1], milliseconds() + ARGV[2], claimed)
end
return entries`,
);
