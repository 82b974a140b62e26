import type { App } from '@roost/farm';

/** What a close of the farm's own tells clients: pusher-js would never come back after 4001 to 4099 and from 4300 on. */
export const CLOSE_CODES = {
  4000: { code: 4100 },
  4001: { code: 4100 },
  4002: { code: 4100 },
  4003: { code: 4009, reason: 'the connection was not authorised in time' },
  4500: { code: 4009 },
  1006: { code: 4201, reason: 'no pong was received' },
} as const satisfies NonNullable<App['closeCodes']>;

/** By which a drain closes some: pusher-js comes back without a pause, and without jitter. */
export const RETURN_AT_ONCE = { code: 4200, reason: 'the server is shutting down: connect again' } as const;
