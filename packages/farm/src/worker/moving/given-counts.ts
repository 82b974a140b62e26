import type { ChannelStore } from '@roost/broker';
import type { Taken } from './plan.ts';

/** Channels whose counts a source holds because the target takes them over: each batch until the target has said how many. */
export class GivenCounts {
  readonly #store: Pick<ChannelStore, 'gaveCount' | 'releaseCounts'>;
  readonly #batches = new Map<number, readonly string[]>();

  constructor(store: Pick<ChannelStore, 'gaveCount' | 'releaseCounts'>) {
    this.#store = store;
  }

  /** The connections are gone. `channels`: as in the plan. */
  given(batch: number, channels: readonly string[]): void {
    this.#batches.set(batch, channels);
  }

  /** The target has taken over so many in each channel. */
  taken(batch: number, counts: Taken | undefined): void {
    const channels = this.#batches.get(batch) ?? [];
    this.#batches.delete(batch);
    for (const [index, channel] of channels.entries()) {
      this.#store.gaveCount(channel, counts?.[index] ?? undefined);
    }
    this.#store.releaseCounts(channels);
  }

  /** Nothing more is said: what this worker has it tells again, whatever was taken. */
  end(): void {
    for (const batch of this.#batches.keys()) this.taken(batch, undefined);
  }
}
