import { Fifo } from '@roost/broker';
import type { DataOpcode } from '@roost/websocket';
import type { HubChannel } from './hub.ts';

/** One publication on its way to the subscribers of a channel. */
export interface Broadcast {
  readonly opcode: DataOpcode;
  readonly frame: Buffer;
  readonly payloadBytes: number;
  /** For the subscribers that agreed on compression; the same as `frame` when there are none, or when it would not be smaller. */
  compressed: Buffer;
  /** Next member to send to. */
  next: number;
  /** Members when it was first served, -1 before: a later subscriber does not get it. */
  end: number;
}

/** Publications of one channel that wait, oldest first. */
export interface ChannelQueue {
  readonly channel: HubChannel;
  readonly broadcasts: Fifo<Broadcast>;
  bytes: number;
}

/**
 * What a publication that waits takes beside the bytes of its frame: its Broadcast, its Buffer with its backing store, and
 * its place in the queue. Measured as the growth of RSS by 500,000 of them (Node 20): 374 with 1 byte, 513 with 100.
 */
export const BROADCAST_OVERHEAD_BYTES = 512;

/** Room is made so much at a time, as a part of the bound: the cost is one sort of the queues for each. */
const ROOM_PART = 1 / 16;
/** With less than this part of the bound behind the first of each queue nobody has much more than others. */
const WORTHWHILE_PART = 1 / 64;

/**
 * What waits for its fan-out, by channel, bounded by `maxBytes` of memory together. The channels share the bound. When it is
 * reached, a publication of a channel that has its share or more is dropped; for one of a channel that has less, the longest
 * queues pay with their newest publications, down to a level that leaves a sixteenth of the bound free. The first of each
 * queue stays, since a part of its subscribers may have it.
 */
export class BroadcastQueues {
  readonly maxBytes: number;
  readonly #onDropped: (channel: HubChannel, count: number) => void;
  readonly #byChannel = new Map<HubChannel, ChannelQueue>();
  #bytes = 0;
  /** Those of all but the first of each queue, which alone may be dropped. */
  #behindBytes = 0;

  /** `onDropped` must not publish. */
  constructor(maxBytes: number, onDropped: (channel: HubChannel, count: number) => void) {
    this.maxBytes = maxBytes;
    this.#onDropped = onDropped;
  }

  /** Memory of what waits. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether one channel has more than its share of the bound; that of a channel alone is half of it. */
  get isUneven(): boolean {
    const share = this.maxBytes / Math.max(2, this.#byChannel.size);
    for (const { bytes } of this.#byChannel.values()) if (bytes > share) return true;
    return false;
  }

  /** Whether there is room for a frame of so many bytes, made if need be. If not, the publication is dropped. */
  admit(channel: HubChannel, frameBytes: number): boolean {
    const cost = frameBytes + BROADCAST_OVERHEAD_BYTES;
    // One that is larger than the bound goes alone.
    if (this.#bytes + cost <= this.maxBytes || this.#bytes === 0) return true;
    const queue = this.#byChannel.get(channel);
    const share = this.maxBytes / Math.max(1, this.#byChannel.size);
    const isModest = queue === undefined || queue.bytes + cost <= share;
    if (isModest && this.#makeRoom(cost)) return true;
    this.#onDropped(channel, 1);
    return false;
  }

  /** Adds what was admitted. Answers the channel's queue if it had none. */
  push(channel: HubChannel, broadcast: Broadcast): ChannelQueue | undefined {
    const cost = broadcast.frame.length + BROADCAST_OVERHEAD_BYTES;
    const queue = this.#byChannel.get(channel);
    this.#bytes += cost;
    if (queue !== undefined) {
      queue.bytes += cost;
      this.#behindBytes += cost;
      queue.broadcasts.push(broadcast);
      return undefined;
    }
    const added = { channel, broadcasts: new Fifo<Broadcast>(), bytes: cost };
    added.broadcasts.push(broadcast);
    this.#byChannel.set(channel, added);
    return added;
  }

  /** The first of a queue has a compressed frame as well. */
  addCompressed(queue: ChannelQueue, compressed: Buffer): void {
    queue.bytes += compressed.length;
    this.#bytes += compressed.length;
  }

  /** The first of a queue has been sent to all. False: it was the last, and the queue is gone. */
  shift(queue: ChannelQueue): boolean {
    const sent = queue.broadcasts.shift();
    if (sent !== undefined) {
      const cost = costOf(sent);
      queue.bytes -= cost;
      this.#bytes -= cost;
    }
    const next = queue.broadcasts.first;
    if (next === undefined) this.#byChannel.delete(queue.channel);
    else this.#behindBytes -= costOf(next);
    return next !== undefined;
  }

  #makeRoom(cost: number): boolean {
    const maxBytes = this.maxBytes;
    const missing = this.#bytes + cost - maxBytes;
    if (this.#behindBytes < Math.max(missing, maxBytes * WORTHWHILE_PART)) return false;
    const excess = Math.max(missing, this.#bytes - maxBytes * (1 - ROOM_PART));
    const longest = [...this.#byChannel.values()].toSorted((one, other) => other.bytes - one.bytes);
    const level = levelOf(longest, excess);
    for (const queue of longest) {
      if (queue.bytes <= level) break;
      this.#cut(queue, level);
    }
    return this.#bytes + cost <= maxBytes;
  }

  /** Drops the newest of a queue until it has no more than `level` bytes, or only its first. */
  #cut(queue: ChannelQueue, level: number): void {
    let dropped = 0;
    while (queue.bytes > level && queue.broadcasts.length > 1) {
      const newest = queue.broadcasts.pop();
      if (newest === undefined) break;
      const cost = costOf(newest);
      queue.bytes -= cost;
      this.#bytes -= cost;
      this.#behindBytes -= cost;
      dropped++;
    }
    if (dropped > 0) this.#onDropped(queue.channel, dropped);
  }
}

/** Down to how many bytes the longest queues must be cut, so that `excess` bytes go. */
function levelOf(longest: readonly ChannelQueue[], excess: number): number {
  let sum = 0;
  for (let count = 1; count <= longest.length; count++) {
    sum += longest[count - 1]?.bytes ?? 0;
    const level = (sum - excess) / count;
    if (level >= (longest[count]?.bytes ?? 0)) return level;
  }
  return 0;
}

function costOf({ frame, compressed }: Broadcast): number {
  const bytes = frame.length + BROADCAST_OVERHEAD_BYTES;
  return compressed === frame ? bytes : bytes + compressed.length;
}
