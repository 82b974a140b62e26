import type { Publication } from '@roost/broker';
import type { Counters } from '../../api/counters.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { ConnectionIds } from '../rows/connection-ids.ts';
import { FORM_SHIFT, type ConnectionTable } from '../rows/connection-table.ts';
import type { Broadcast, BroadcastQueues, ChannelQueue } from './broadcast-queues.ts';
import type { Hub } from './hub.ts';
import type { PublicationFrames } from './publication-frames.ts';

export interface RowDeliveryParts {
  readonly table: ConnectionTable;
  readonly ids: ConnectionIds;
  readonly counters: Counters;
  readonly outbound: Pick<Outbound, 'sendChunk'>;
  readonly hub: Hub;
  readonly queues: BroadcastQueues;
  readonly frames: PublicationFrames;
}

/** A row that is a member of a channel, and its place there. */
interface Place {
  readonly slot: number;
  readonly index: number;
}

/**
 * Publications to a few rows at once, out of the broadcaster's slices: rows that leave this worker are sent what is pending for
 * them, and rows that come are sent what was kept for them, and nothing that was pending here before.
 */
export class RowDelivery {
  readonly #parts: RowDeliveryParts;

  constructor(parts: RowDeliveryParts) {
    this.#parts = parts;
  }

  /**
   * Fixes the receivers of everything that is pending for the channel: they are those who are subscribed now. Whoever is
   * subscribed later had it elsewhere.
   */
  seal(name: string): void {
    const { hub, queues } = this.#parts;
    const channel = hub.open(name);
    if (channel === undefined) return;
    // Members keep their places as long as one is sealed: see Broadcaster, which ends the walk.
    if (queues.seal(channel)) hub.beginWalk(channel);
    else hub.settle(channel);
  }

  /** Whether anything is pending, for whomever. */
  get isPending(): boolean {
    return this.#parts.queues.bytes > 0;
  }

  /** Sends the rows what is pending for them. They are to leave their channels before anything else is served. */
  deliverNow(slots: readonly number[]): void {
    const { hub, queues } = this.#parts;
    if (queues.bytes === 0) return;
    const places = new Map<ChannelQueue, Place[]>();
    for (const slot of slots) {
      for (const [channel, index] of hub.placesOf(slot)) {
        const queue = queues.of(channel);
        if (queue === undefined) continue;
        const place = { slot, index };
        const known = places.get(queue);
        if (known === undefined) places.set(queue, [place]);
        else known.push(place);
      }
    }
    for (const [queue, members] of places) {
      for (const broadcast of queue.broadcasts) this.#send(broadcast, members);
    }
  }

  /** Sends the rows a publication of a channel of theirs, which is pending for nobody here. */
  deliver(publication: Publication, slots: readonly number[]): void {
    const { frames } = this.#parts;
    const members = Int32Array.from(slots);
    const except = this.#slotOf(publication, slots);
    const made = frames.make(publication, members, members.length, except);
    for (const slot of slots) if (slot !== except) this.#sendForm(slot, made);
  }

  #send(broadcast: Broadcast, places: readonly Place[]): void {
    const { publication, next, end } = broadcast;
    const slots = places
      .filter(({ index }) => index >= next && (end < 0 || index < end))
      .map(({ slot }) => slot);
    if (slots.length === 0) return;
    if (publication === undefined) {
      for (const slot of slots) if (slot !== broadcast.exceptSlot) this.#sendForm(slot, broadcast.frames);
    } else if (publication.kind === 'resync') {
      const made = this.#parts.frames.make(publication, Int32Array.from(slots), slots.length, -1);
      for (const slot of slots) this.#sendForm(slot, made);
    } else {
      this.deliver(publication, slots);
    }
  }

  #sendForm(slot: number, frames: readonly Buffer[]): void {
    const { table, outbound, counters, frames: publicationFrames } = this.#parts;
    // What it was sent before may have cost it its place.
    if (!table.isOpen(slot)) return;
    const form =
      frames.length <= 1 ? 0 : ((table.flags[slot] ?? 0) & publicationFrames.formMask) >>> FORM_SHIFT;
    const frame = frames[form];
    if (frame === undefined || frame.length === 0) return;
    if (outbound.sendChunk(slot, frame)) counters.add('deliveries');
  }

  #slotOf({ except }: Publication, slots: readonly number[]): number {
    if (except === undefined) return -1;
    const { ids, table } = this.#parts;
    const number = ids.numberOf(except);
    return number === undefined ? -1 : (slots.find((slot) => table.numbers[slot] === number) ?? -1);
  }
}
