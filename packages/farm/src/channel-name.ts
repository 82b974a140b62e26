import { MAX_CHANNEL_BYTES } from '@roost/broker';

// C0, DEL and C1 controls: they would break logs and terminals, and nobody can type them into redis-cli.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Why `name` cannot be a channel, in words for the one who sent it, or undefined when it can. Allowed are 1 to 255 bytes
 * of UTF-8 without control characters.
 */
export function channelNameProblem(name: string): string | undefined {
  if (name.length === 0) return 'a channel name must not be empty';
  if (CONTROL.test(name)) return 'a channel name must not contain control characters';
  if (!name.isWellFormed()) return 'a channel name must be valid UTF-8';
  const bytes = name.length <= 85 ? name.length : Buffer.byteLength(name);
  if (bytes > MAX_CHANNEL_BYTES) {
    return `a channel name must have at most ${MAX_CHANNEL_BYTES} bytes of UTF-8, got ${bytes}`;
  }
  return undefined;
}
