import type { ChannelInfo } from '../../api/info.ts';

/** Channels that are looked at before other events are handled: some 2 ms. */
const SLICE_CHANNELS = 20_000;

/** Of these channels those with the most connections, largest first. Goes through all of them, in slices. */
export async function largestChannels(
  counts: Iterable<readonly [channel: string, connections: number]>,
  limit: number,
): Promise<ChannelInfo[]> {
  /** Largest first. */
  const largest: ChannelInfo[] = [];
  let looked = 0;
  for (const [channel, subscribers] of counts) {
    if (largest.length < limit || subscribers > (largest.at(-1)?.subscribers ?? 0)) {
      const at = largest.findIndex((other) => other.subscribers < subscribers);
      largest.splice(at === -1 ? largest.length : at, 0, { channel, subscribers });
      if (largest.length > limit) largest.pop();
    }
    if (++looked % SLICE_CHANNELS === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return largest;
}
