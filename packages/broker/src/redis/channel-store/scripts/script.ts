import { createHash } from 'node:crypto';

/** A script that Redis runs as one step. */
export interface Script {
  readonly lua: string;
  /** By which Redis knows it. */
  readonly sha: string;
}

/** Puts a script together. What several need is written once, and sent with each. */
export function script(...parts: readonly string[]): Script {
  const lua = parts.join('\n');
  return { lua, sha: createHash('sha1').update(lua).digest('hex') };
}

/** The first of what most steps answer, when the owner has no lease: nothing was done. */
export const NO_LEASE = -1;

/**
 * `nextVersion(key)`: microseconds of the server's clock, or one more than the last. It is kept for ten minutes, longer than
 * anything that was published with it can be on its way, and than a clock is set back.
 *
 * `envelope(kind, version, user, payload)`: see envelope.ts.
 */
export const VERSIONS = `
local function nextVersion(key)
  local time = redis.call('TIME')
  local version = time[1] * 1000000 + time[2]
  local last = tonumber(redis.call('GET', key) or 0)
  if version <= last then version = last + 1 end
  redis.call('SET', key, string.format('%.0f', version), 'EX', 600)
  return version
end
local function field(text)
  return string.char(math.floor(#text / 256), #text % 256) .. text
end
local function envelope(kind, version, user, payload)
  return '\\255ROOST\\254\\1' .. kind .. string.format('%016.0f', version) .. '\\0\\0\\0\\0' .. field(user) .. payload
end`;

/**
 * `record(stream, dropped, max, …)`: adds an event to the recorded ones. The oldest go when there are too many, and are counted.
 */
export const RECORDS = `
local function record(stream, dropped, max, ...)
  if redis.call('XLEN', stream) >= tonumber(max) then redis.call('INCR', dropped) end
  redis.call('XADD', stream, 'MAXLEN', max, '*', ...)
end`;

/**
 * `lookAt(beat, leases, now, leaseMs)`: whether leases may be taken for expired. When nobody has looked at them for longer than
 * 1.5 seconds, Redis itself may have stood still, have been away, or have another clock, and all that could not renew theirs get
 * the time to. A clock that was set back had made all of them too long.
 */
export const BEATS = `
local function lookAt(beat, leases, now, leaseMs)
  local last = tonumber(redis.call('HGET', beat, 'at') or now)
  local hold = tonumber(redis.call('HGET', beat, 'hold') or 0)
  if math.abs(now - last) > 1500 then
    hold = now + leaseMs
    local longer = redis.call('ZRANGEBYSCORE', leases, string.format('(%.0f', hold), '+inf')
    for _, owner in ipairs(longer) do redis.call('ZADD', leases, hold, owner) end
  end
  redis.call('HSET', beat, 'at', now)
  redis.call('HSET', beat, 'hold', hold)
  return now >= hold
end
local function milliseconds()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end`;
