import { Fifo, type ChannelSnapshot, type Publication } from '@roost/broker';
import type { HubChannel } from './hub-channel.ts';

/** What subscribers of a channel are told when they may have missed who joined and who left. */
export interface Resync {
  readonly kind: 'resync';
  readonly channel: string;
  readonly snapshot: ChannelSnapshot;
}

/** One publication on its way to the subscribers of a channel. */
export interface Broadcast {
  /** Until it is first served, when it begins; then its frames are there instead. */
  publication: Publication | Resync | undefined;
  /** See PublicationFrames.make. */
  frames: readonly Buffer[];
  /** The row that does not get it, or −1. */
  exceptSlot: number;
  /** Next member to send to. */
  next: number;
  /** Members when it was first served, or sealed; -1 before: a later subscriber does not get it. */
  end: number;
  /** Memory that it counts with. */
  cost: number;
  /** When it came, as {@link BroadcastQueues.push} was told; undefined for what is not timed. */
  readonly arrivedAt: number | undefined;
}

/** Publications of one channel that wait, oldest first. */
export interface ChannelQueue {
  readonly channel: HubChannel;
  readonly broadcasts: Fifo<Broadcast>;
  bytes: number;
}

/**
 * What a publication that waits takes beside its bytes: its Broadcast and its Publication, its Buffer with its backing store,
 * and its place in the queue. Measured as the growth of RSS by 500,000 of them (Node 20): 374 with 1 byte, 513 with 100.
 */
export const BROADCAST_OVERHEAD_BYTES = 512;
/** Of an attribute, at most: in a string, and in the envelope, of which the payload is a view. */
const CHARACTER_BYTES = 5;

const NO_FRAMES: readonly Buffer[] = [];

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

  /** Whether there is room for a publication, made if need be. If not, it is dropped. */
  admit(channel: HubChannel, publication: Publication): boolean {
    const cost = costOf(publication);
    // One that is larger than the bound goes alone.
    if (this.#bytes + cost <= this.maxBytes || this.#bytes === 0) return true;
    const queue = this.#byChannel.get(channel);
    const share = this.maxBytes / Math.max(1, this.#byChannel.size);
    const isModest = queue === undefined || queue.bytes + cost <= share;
    if (isModest && this.#makeRoom(cost)) return true;
    this.#onDropped(channel, 1);
    return false;
  }

  /** What waits for the channel; undefined when nothing does. */
  of(channel: HubChannel): ChannelQueue | undefined {
    return this.#byChannel.get(channel);
  }

  /** Fixes the receivers of everything that waits for the channel. False when nothing does. */
  seal(channel: HubChannel): boolean {
    const queue = this.#byChannel.get(channel);
    if (queue === undefined) return false;
    for (const broadcast of queue.broadcasts) if (broadcast.end < 0) broadcast.end = channel.length;
    return true;
  }

  /** Adds what was admitted, at a time of whatever clock. Answers the channel's queue if it had none. */
  push(
    channel: HubChannel,
    publication: Publication,
    arrivedAt: number | undefined,
  ): ChannelQueue | undefined {
    const broadcast = broadcastOf(publication, costOf(publication), arrivedAt);
    const queue = this.#byChannel.get(channel);
    if (queue === undefined) return this.#add(channel, broadcast);
    this.#bytes += broadcast.cost;
    queue.bytes += broadcast.cost;
    this.#behindBytes += broadcast.cost;
    queue.broadcasts.push(broadcast);
    return undefined;
  }

  /** Adds what comes before all that is not yet served, whether there is room or not. Answers the channel's queue if it had none. */
  pushNext(channel: HubChannel, resync: Resync): ChannelQueue | undefined {
    const broadcast = broadcastOf(resync, BROADCAST_OVERHEAD_BYTES, undefined);
    const queue = this.#byChannel.get(channel);
    if (queue === undefined) return this.#add(channel, broadcast);
    const { first } = queue.broadcasts;
    const isBegun = first !== undefined && first.publication === undefined;
    const behind = isBegun ? queue.broadcasts.second : first;
    // What is sealed is not for those who have come since, and so is what comes before it.
    if (behind !== undefined) broadcast.end = behind.end;
    this.#bytes += broadcast.cost;
    queue.bytes += broadcast.cost;
    // Behind the first is this one, or the one that was the first.
    this.#behindBytes += isBegun ? broadcast.cost : (first?.cost ?? 0);
    queue.broadcasts.insert(isBegun ? 1 : 0, broadcast);
    return undefined;
  }

  /** The first of a queue has its frames, which take the place of the publication. */
  framed(queue: ChannelQueue, frames: readonly Buffer[]): void {
    const { first } = queue.broadcasts;
    if (first === undefined) return;
    const cost = BROADCAST_OVERHEAD_BYTES + bytesOf(frames);
    queue.bytes += cost - first.cost;
    this.#bytes += cost - first.cost;
    first.publication = undefined;
    first.frames = frames;
    first.cost = cost;
  }

  /** The first of a queue has been sent to all. False: it was the last, and the queue is gone. */
  shift(queue: ChannelQueue): boolean {
    const sent = queue.broadcasts.shift();
    if (sent !== undefined) {
      queue.bytes -= sent.cost;
      this.#bytes -= sent.cost;
    }
    const next = queue.broadcasts.first;
    if (next === undefined) this.#byChannel.delete(queue.channel);
    else this.#behindBytes -= next.cost;
    return next !== undefined;
  }

  #add(channel: HubChannel, broadcast: Broadcast): ChannelQueue {
    const added = { channel, broadcasts: new Fifo<Broadcast>(), bytes: broadcast.cost };
    added.broadcasts.push(broadcast);
    this.#bytes += broadcast.cost;
    this.#byChannel.set(channel, added);
    return added;
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
      queue.bytes -= newest.cost;
      this.#bytes -= newest.cost;
      this.#behindBytes -= newest.cost;
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

function broadcastOf(
  publication: Publication | Resync,
  cost: number,
  arrivedAt: number | undefined,
): Broadcast {
  return { publication, frames: NO_FRAMES, exceptSlot: -1, next: 0, end: -1, cost, arrivedAt };
}

function costOf({ payload, event = '', except = '', user = '' }: Publication): number {
  const characters = event.length + except.length + user.length;
  return BROADCAST_OVERHEAD_BYTES + payload.length + characters * CHARACTER_BYTES;
}

/** Forms may share a frame. */
function bytesOf(frames: readonly Buffer[]): number {
  let bytes = 0;
  for (let index = 0; index < frames.length; index++) {
    const frame = frames[index];
    if (frame !== undefined && frames.indexOf(frame) === index) bytes += frame.length;
  }
  return bytes;
}
