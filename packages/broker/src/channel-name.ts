import { BrokerError } from './errors.ts';

/**
 * Longest channel name in bytes of UTF-8 that any broker carries; a public server should allow less. Names are held per
 * subscription, so they must be bounded.
 */
export const MAX_CHANNEL_BYTES = 1024;

/** A character of UTF-8 has at most 3 bytes per UTF-16 unit, so short names need no measuring. */
const SURELY_SHORT_UNITS = MAX_CHANNEL_BYTES / 3;

/**
 * Why the name cannot be a channel, or undefined when it can: 1 to {@link MAX_CHANNEL_BYTES} bytes of UTF-8.
 * A lone surrogate has no UTF-8 form: two different names would become the same bytes.
 */
export function invalidChannel(channel: string): BrokerError | undefined {
  if (channel.length === 0) {
    return new BrokerError(
      'BROKER_INVALID_CHANNEL',
      `A channel name must have 1 to ${MAX_CHANNEL_BYTES} bytes of UTF-8, got an empty one.`,
    );
  }
  if (channel.length > SURELY_SHORT_UNITS) {
    const bytes = Buffer.byteLength(channel);
    if (bytes > MAX_CHANNEL_BYTES) {
      return new BrokerError(
        'BROKER_INVALID_CHANNEL',
        `A channel name must have 1 to ${MAX_CHANNEL_BYTES} bytes of UTF-8, got ${bytes} bytes.`,
      );
    }
  }
  if (!channel.isWellFormed()) {
    return new BrokerError(
      'BROKER_INVALID_CHANNEL',
      `A channel name must be valid UTF-8, got ${JSON.stringify(channel)} with half of a surrogate pair.`,
    );
  }
  return undefined;
}
