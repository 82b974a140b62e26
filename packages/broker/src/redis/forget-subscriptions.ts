import type { Redis } from 'ioredis';

/**
 * Lets a client in subscriber mode remember no further channel. ioredis keeps the names of all of them to subscribe them
 * again by itself, which Roost has switched off: 120 bytes per channel, in an object of as many properties, for nothing.
 *
 * Should another ioredis keep them elsewhere, nothing happens but that the memory is used.
 */
export function forgetSubscriptions(client: Redis): void {
  const remembered = client.condition?.subscriber;
  if (!remembered) return;
  remembered.add = ignore;
  remembered.del = ignore;
}

function ignore(): void {
  // See above.
}
