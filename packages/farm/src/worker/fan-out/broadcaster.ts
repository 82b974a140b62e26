import { isUtf8 } from 'node:buffer';
import { Fifo, type Broker } from '@roost/broker';
import { BROADCAST_SKIPPED, BroadcastWalk } from '@roost/poller';
import { encodeFrame, frameHeaderBytes, Opcode, type MessageDeflater } from '@roost/websocket';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import { copyOf } from '../outbound/copy-of.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { Sockets } from '../sockets/sockets.ts';
import { BroadcastQueues, type Broadcast, type ChannelQueue } from './broadcast-queues.ts';
import type { CpuLease } from './cpu-lease.ts';
import { DroppedPublications } from './dropped-publications.ts';
import type { Hub } from './hub.ts';
import { ReadingPause } from './reading-pause.ts';
import type { Subscriptions } from './subscriptions.ts';

/** Channels that are served in a slice, so that small ones do not wait behind a large one. */
const SERVINGS_PER_SLICE = 4;
/** With fewer members a channel takes some milliseconds, and is not worth asking for a lease of the CPU. */
const LARGE = 1000;

export interface BroadcasterParts {
  readonly config: FarmConfig;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly log: Log;
  readonly sockets: Sockets;
  readonly outbound: Outbound;
  readonly deflater: MessageDeflater;
  readonly hub: Hub;
  readonly broker: Pick<Broker, 'setReading'>;
  readonly subscriptions: Subscriptions;
  readonly lease: CpuLease;
}

/**
 * Publications to subscribers, in slices: the channels that have something to send are served round robin until
 * `broadcastSliceMs` is over, then the event loop does everything else. Order holds per channel and connection. A
 * connection that unsubscribes between two slices does not get the message any more. What waits is bounded by
 * `maxBroadcastQueueBytes`, which the channels share (see {@link BroadcastQueues}). Where workers share a CPU, large channels
 * also wait for this worker's lease of it.
 *
 * A publication is framed once, and compressed once if one of its subscribers has agreed on that, whatever their number.
 */
export class Broadcaster {
  readonly #config: FarmConfig;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #sockets: Sockets;
  readonly #outbound: Outbound;
  readonly #deflater: MessageDeflater;
  readonly #hub: Hub;
  readonly #lease: CpuLease;
  /** Channels with something to send, in the order in which they are served. */
  readonly #ready = new Fifo<ChannelQueue>();
  /** Large channels with something to send, until the lease is granted. */
  readonly #leaseless: ChannelQueue[] = [];
  readonly #queues: BroadcastQueues;
  readonly #dropped: DroppedPublications;
  readonly #pause: ReadingPause;
  /** For all channels: forms are plain and compressed, by a row's flag. */
  readonly #walk = new BroadcastWalk({ formMask: RowFlag.deflate });
  #isScheduled = false;

  constructor(parts: BroadcasterParts) {
    const { config, counters, log, subscriptions, broker, lease } = parts;
    this.#config = config;
    this.#table = parts.table;
    this.#counters = counters;
    this.#sockets = parts.sockets;
    this.#outbound = parts.outbound;
    this.#deflater = parts.deflater;
    this.#hub = parts.hub;
    this.#lease = lease;
    const queuedBytes = (): number => this.#queues.bytes;
    this.#dropped = new DroppedPublications({ counters, log, subscriptions, queuedBytes });
    this.#queues = new BroadcastQueues(config.maxBroadcastQueueBytes, (channel, count) =>
      this.#dropped.add(channel.name, count),
    );
    this.#pause = new ReadingPause(broker, counters, this.#queues);
    lease.connect(() => this.#leaseGranted());
  }

  /** A publication has come from the broker. Text when it is valid UTF-8, else binary. */
  publish(name: string, payload: Uint8Array): void {
    const hub = this.#hub;
    const channel = hub.open(name);
    if (channel === undefined || channel.length === 0) return;
    const payloadBytes = payload.length;
    if (!this.#queues.admit(channel, frameHeaderBytes(payloadBytes) + payloadBytes)) {
      hub.settle(channel);
      return;
    }
    this.#counters.add('publications');
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
      hub.retain(channel);
      this.#ready.push(added);
    }
    this.#pause.added();
    this.#schedule();
  }

  /** The worker ends: what waits reaches nobody any more. */
  stop(): void {
    this.#ready.clear();
    this.#leaseless.length = 0;
    this.#dropped.stop();
    this.#pause.stop();
  }

  #leaseGranted(): void {
    for (const queue of this.#leaseless.splice(0)) this.#ready.push(queue);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#runSlice();
      if (this.#ready.length > 0) {
        this.#schedule();
      } else {
        this.#walk.release();
        this.#lease.giveBack();
      }
    });
  }

  #runSlice(): void {
    const sliceMs = this.#config.broadcastSliceMs;
    const endsAt = performance.now() + sliceMs;
    const budgetMicros = Math.max(1, Math.floor((sliceMs * 1000) / SERVINGS_PER_SLICE));
    do {
      const queue = this.#ready.shift();
      if (queue === undefined) return;
      if (queue.channel.length >= LARGE && !this.#lease.take()) {
        this.#leaseless.push(queue);
        continue;
      }
      if (this.#serve(queue, budgetMicros)) this.#ready.push(queue);
      else this.#hub.release(queue.channel);
    } while (performance.now() < endsAt);
  }

  /** False when nothing of the channel waits any more. */
  #serve(queue: ChannelQueue, budgetMicros: number): boolean {
    const hub = this.#hub;
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
    broadcast.next = this.#sockets.broadcast(walk, budgetMicros);
    let delivered = walk.wholeCount;
    const { exceptionCount } = walk;
    for (let index = 0; index < exceptionCount; index++) {
      if (this.#except(walk.slotOf(index), walk.outcomeOf(index))) delivered++;
    }
    // Behind the loop: a close sends, too.
    this.#outbound.applyVerdicts();
    this.#counters.add('deliveries', delivered);
    if (broadcast.next < broadcast.end) return true;
    const hasMore = this.#queues.shift(queue);
    this.#pause.left();
    hub.endWalk(channel);
    return hasMore;
  }

  /** Before a publication is first served, when its subscribers are known. */
  #compress(broadcast: Broadcast, queue: ChannelQueue): void {
    const config = this.#config;
    const deflater = this.#deflater;
    const { opcode, frame, payloadBytes, end } = broadcast;
    if (!config.compression) return;
    if (payloadBytes < config.minCompressBytes || payloadBytes > config.maxCompressBytes) return;
    const members = this.#hub.membersOf(queue.channel);
    let index = 0;
    while (index < end && !this.#table.hasFlag(members[index] ?? -1, RowFlag.deflate)) index++;
    if (index === end) return;
    if (!deflater.deflate(opcode, frame.subarray(frame.length - payloadBytes), payloadBytes)) return;
    broadcast.compressed = copyOf(deflater.output, deflater.frameStart, deflater.frameEnd);
    this.#queues.addCompressed(queue, broadcast.compressed);
    this.#counters.add('publications_compressed');
  }

  /** A row that did not take the whole frame. True when its queue did. */
  #except(slot: number, outcome: number): boolean {
    const table = this.#table;
    const outbound = this.#outbound;
    const frame = this.#walk.formFor(table.flags[slot] ?? 0);
    if (outcome >= 0) return outbound.enqueueBroadcast(slot, frame, outcome);
    // A failed send: the next wake-up reports the end of that connection.
    if (outcome !== BROADCAST_SKIPPED) return false;
    return table.hasFlag(slot, RowFlag.queued) && outbound.enqueueBroadcast(slot, frame, 0);
  }
}
