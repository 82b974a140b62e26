import { isUtf8 } from 'node:buffer';
import { BROADCAST_SKIPPED, BroadcastWalk } from '@roost/poller';
import { encodeFrame, frameHeaderBytes, Opcode } from '@roost/websocket';
import { BroadcastQueues, type Broadcast, type ChannelQueue } from './broadcast-queues.ts';
import { copyOf } from '../outbound/copy-of.ts';
import { RowFlag } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { DroppedPublications } from './dropped-publications.ts';
import { Fifo } from './fifo.ts';
import { ReadingPause } from './reading-pause.ts';

/** A channel's turn within a slice, so that small channels do not wait behind a large one. */
const TURNS_PER_SLICE = 4;
/** With fewer members a channel takes some milliseconds, and is not worth asking for a turn. */
const LARGE = 1000;

/**
 * Publications to subscribers, in slices: the channels that have something to send take turns until `broadcastSliceMs`
 * is over, then the event loop turns. Order holds per channel and connection. Who unsubscribes between two slices does
 * not get the message any more. What waits is bounded by `maxBroadcastQueueBytes`, which the channels share (see
 * {@link BroadcastQueues}). Where workers share a CPU, large channels wait for this worker's turn on it as well.
 *
 * A publication is framed once, and compressed once if one of its subscribers has agreed on that, whatever their number.
 */
export class Broadcaster {
  readonly #core: Core;
  /** Channels with something to send, in the order of their turns. */
  readonly #turns = new Fifo<ChannelQueue>();
  /** Large channels with something to send, while others of this CPU have their turn. */
  readonly #waiting: ChannelQueue[] = [];
  readonly #queues: BroadcastQueues;
  readonly #dropped: DroppedPublications;
  readonly #pause: ReadingPause;
  /** For all channels: forms are plain and compressed, by a row's flag. */
  readonly #walk = new BroadcastWalk({ formMask: RowFlag.deflate });
  #isScheduled = false;

  constructor(core: Core) {
    this.#core = core;
    this.#dropped = new DroppedPublications(core);
    this.#queues = new BroadcastQueues(core.config.maxBroadcastQueueBytes, (channel, count) =>
      this.#dropped.add(channel.name, count),
    );
    this.#pause = new ReadingPause(core, this.#queues);
  }

  /** Memory of the publications that wait. */
  get queuedBytes(): number {
    return this.#queues.bytes;
  }

  /** A publication has come from the broker. Text when it is valid UTF-8, else binary. */
  publish(name: string, payload: Uint8Array): void {
    const { hub, counters } = this.#core;
    const channel = hub.get(name);
    if (channel === undefined || channel.length === 0) return;
    const payloadBytes = payload.length;
    if (!this.#queues.admit(channel, frameHeaderBytes(payloadBytes) + payloadBytes)) return;
    counters.add('publications');
    const opcode = isUtf8(payload) ? Opcode.text : Opcode.binary;
    const frame = encodeFrame(opcode, payload);
    const added = this.#queues.push(channel, {
      opcode,
      frame,
      payloadBytes,
      compressed: frame,
      next: 0,
      end: -1,
    });
    if (added !== undefined) {
      hub.pin(channel);
      this.#turns.push(added);
    }
    this.#pause.added();
    this.#schedule();
  }

  /** The turn of this worker has come that was asked for. */
  leaseGranted(): void {
    for (const queue of this.#waiting.splice(0)) this.#turns.push(queue);
    this.#schedule();
  }

  /** The worker ends: what waits reaches nobody any more. */
  stop(): void {
    this.#turns.clear();
    this.#waiting.length = 0;
    this.#dropped.stop();
    this.#pause.stop();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#runSlice();
      if (this.#turns.length > 0) this.#schedule();
      else {
        this.#walk.release();
        this.#core.lease.giveBack();
      }
    });
  }

  #runSlice(): void {
    const { config, hub, lease } = this.#core;
    const sliceMs = config.broadcastSliceMs;
    const endsAt = performance.now() + sliceMs;
    const turnMicros = Math.max(1, Math.floor((sliceMs * 1000) / TURNS_PER_SLICE));
    do {
      const queue = this.#turns.shift();
      if (queue === undefined) return;
      if (queue.channel.length >= LARGE && !lease.take()) {
        this.#waiting.push(queue);
        continue;
      }
      if (this.#runTurn(queue, turnMicros)) this.#turns.push(queue);
      else hub.unpin(queue.channel);
    } while (performance.now() < endsAt);
  }

  /** False when nothing of the channel waits any more. */
  #runTurn(queue: ChannelQueue, budgetMicros: number): boolean {
    const { sockets, hub, counters } = this.#core;
    const { channel } = queue;
    const broadcast = queue.broadcasts.first;
    if (broadcast === undefined) return false;
    if (broadcast.end < 0) {
      // One walk at a time for each channel, so that the holes are closed between two.
      hub.beginWalk(channel);
      broadcast.end = channel.length;
      this.#compress(broadcast, queue);
    }
    const walk = this.#walk;
    walk.members = hub.membersOf(channel);
    walk.from = broadcast.next;
    walk.to = broadcast.end;
    walk.forms[0] = broadcast.frame;
    walk.forms[1] = broadcast.compressed;
    broadcast.next = sockets.broadcast(walk, budgetMicros);
    let delivered = walk.wholeCount;
    const { exceptionCount } = walk;
    for (let index = 0; index < exceptionCount; index++) {
      if (this.#except(walk.slotOf(index), walk.outcomeOf(index))) delivered++;
    }
    counters.add('deliveries', delivered);
    if (broadcast.next < broadcast.end) return true;
    const hasMore = this.#queues.shift(queue);
    this.#pause.left();
    hub.endWalk(channel);
    return hasMore;
  }

  /** Before the first turn of a publication, whose subscribers are settled then. */
  #compress(broadcast: Broadcast, queue: ChannelQueue): void {
    const { config, table, hub, deflater, counters } = this.#core;
    const { opcode, frame, payloadBytes, end } = broadcast;
    if (!config.compression) return;
    if (payloadBytes < config.minCompressBytes || payloadBytes > config.maxCompressBytes) return;
    const members = hub.membersOf(queue.channel);
    let index = 0;
    while (index < end && !table.hasFlag(members[index] ?? -1, RowFlag.deflate)) index++;
    if (index === end) return;
    if (!deflater.deflate(opcode, frame.subarray(frame.length - payloadBytes), payloadBytes)) return;
    broadcast.compressed = copyOf(deflater.output, deflater.frameStart, deflater.frameEnd);
    this.#queues.addCompressed(queue, broadcast.compressed);
    counters.add('publications_compressed');
  }

  /** A row that did not take the whole frame. True when its queue did. */
  #except(slot: number, outcome: number): boolean {
    const { table, outbound } = this.#core;
    const frame = this.#walk.formFor(table.flags[slot] ?? 0);
    if (outcome >= 0) return outbound.enqueueBroadcast(slot, frame, outcome);
    // A failed send: the next wake-up reports the end of that connection.
    if (outcome !== BROADCAST_SKIPPED) return false;
    return table.hasFlag(slot, RowFlag.queued) && outbound.enqueueBroadcast(slot, frame, 0);
  }
}
