import { LIMITS } from './limits.ts';

// C0, DEL and C1 controls: they would break logs and terminals, and cannot be typed into redis-cli.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

const MAX_UTF8_PER_UTF16 = 3;

/**
 * Why `name` cannot be a channel, in words for its sender, or undefined when it can. Allowed are 1 to `maxBytes`
 * bytes of UTF-8 without control characters. `maxBytes` is the farm's `maxChannelBytes`; default 255, as there. Apps ask
 * {@link WorkerContext.channelNameProblem}, which knows it.
 */
export function channelNameProblem(
  name: string,
  maxBytes: number = LIMITS.maxChannelBytes.default,
): string | undefined {
  if (name.length === 0) return 'a channel name must not be empty';
  // Before its characters are looked at: the name may be megabytes long.
  const bytes = name.length * MAX_UTF8_PER_UTF16 <= maxBytes ? name.length : Buffer.byteLength(name);
  if (bytes > maxBytes) return `a channel name must have at most ${maxBytes} bytes of UTF-8, got ${bytes}`;
  if (CONTROL.test(name)) return 'a channel name must not contain control characters';
  if (!name.isWellFormed()) return 'a channel name must be valid UTF-8';
  return undefined;
}
