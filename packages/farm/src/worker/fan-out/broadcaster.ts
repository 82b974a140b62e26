import { Fifo, type Broker, type ChannelSnapshot, type Publication } from '@roost/broker';
import { BROADCAST_SKIPPED, BroadcastWalk } from '@roost/poller';
import type { MessageDeflater } from '@roost/websocket';
import type { Counters } from '../../api/counters.ts';
import { Histogram } from '../../api/histograms.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Lanes } from '../app/lanes.ts';
import type { Outbound } from '../outbound/outbound.ts';
import type { ConnectionIds } from '../rows/connection-ids.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';
import type { Sockets } from '../sockets/sockets.ts';
import { BroadcastQueues, type Broadcast, type ChannelQueue } from './broadcast-queues.ts';
import type { ChannelKnowledge } from './channel-knowledge.ts';
import type { CpuLease } from './cpu-lease.ts';
import { DroppedPublications } from './dropped-publications.ts';
import type { Hub } from './hub.ts';
import { PublicationFrames } from './publication-frames.ts';
import { ReadingPause } from './reading-pause.ts';
import type { Resyncs } from './resyncs.ts';
import { RowDelivery } from './row-delivery.ts';
import type { Subscriptions } from './subscriptions.ts';

/** Channels that are served in a slice, so that small ones do not wait behind a large one. */
const SERVINGS_PER_SLICE = 4;
/** With fewer members a channel takes some milliseconds, and is not worth asking for a lease of the CPU. */
const LARGE = 1000;

const NOTHING = Buffer.alloc(0);

/** Of {@link instant}. */
const INSTANTS_PER_SECOND = 100_000;

/** The time in steps of 10 µs as a small integer, which is no object on the heap. It begins again after half a day. */
function instant(): number {
  return Math.floor((performance.now() / 1000) * INSTANTS_PER_SECOND) | 0;
}

export interface BroadcasterParts {
  readonly config: FarmConfig;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly log: Log;
  readonly ids: ConnectionIds;
  readonly lanes: Lanes;
  readonly sockets: Sockets;
  readonly outbound: Outbound;
  readonly deflater: MessageDeflater;
  readonly hub: Hub;
  readonly broker: Pick<Broker, 'setReading'>;
  readonly subscriptions: Subscriptions;
  readonly lease: CpuLease;
  readonly knowledge: Pick<ChannelKnowledge, 'served'>;
  readonly resyncs: Pick<Resyncs, 'missed'>;
}

/**
 * Publications to subscribers, in slices: the channels that have something to send are served round robin until
 * `broadcastSliceMs` is over, then the event loop does everything else. Order holds per channel and connection. A
 * connection that unsubscribes between two slices does not get the message any more. What waits is bounded by
 * `maxBroadcastQueueBytes`, which the channels share (see {@link BroadcastQueues}). Where workers share a CPU, large channels
 * also wait for this worker's lease of it.
 *
 * A publication is encoded and framed once for each lane, whatever the number of its subscribers: see {@link PublicationFrames}.
 */
export class Broadcaster {
  readonly #sliceMs: number;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #sockets: Sockets;
  readonly #outbound: Outbound;
  readonly #ids: ConnectionIds;
  readonly #frames: PublicationFrames;
  readonly #hub: Hub;
  readonly #lease: CpuLease;
  readonly #knowledge: BroadcasterParts['knowledge'];
  readonly #resyncs: BroadcasterParts['resyncs'];
  /** Channels with something to send, in the order in which they are served. */
  readonly #ready = new Fifo<ChannelQueue>();
  /** Large channels with something to send, until the lease is granted. */
  readonly #leaseless: ChannelQueue[] = [];
  readonly #queues: BroadcastQueues;
  readonly #dropped: DroppedPublications;
  readonly #pause: ReadingPause;
  /** To rows that move. */
  readonly rows: RowDelivery;
  /** For publications of which all members get the same frame. */
  readonly #walk = new BroadcastWalk();
  /** For those with several frames, chosen by each row's flags. */
  #walkByForm: BroadcastWalk | undefined;
  /** From arrivals of publications until they have left. */
  readonly duration = new Histogram('broadcast_duration_seconds');
  #isScheduled = false;

  constructor(parts: BroadcasterParts) {
    const { config, counters, log, subscriptions, broker, lease } = parts;
    this.#sliceMs = config.broadcastSliceMs;
    this.#table = parts.table;
    this.#counters = counters;
    this.#sockets = parts.sockets;
    this.#outbound = parts.outbound;
    this.#ids = parts.ids;
    this.#frames = new PublicationFrames(parts);
    this.#hub = parts.hub;
    this.#lease = lease;
    this.#knowledge = parts.knowledge;
    this.#resyncs = parts.resyncs;
    const queuedBytes = (): number => this.#queues.bytes;
    this.#dropped = new DroppedPublications({ counters, log, subscriptions, queuedBytes });
    this.#queues = new BroadcastQueues(config.maxBroadcastQueueBytes, (channel, count) =>
      this.#drop(channel.name, count),
    );
    this.#pause = new ReadingPause(broker, counters, this.#queues);
    this.rows = new RowDelivery({ ...parts, queues: this.#queues, frames: this.#frames });
    lease.connect(() => this.#leaseGranted());
  }

  /** Memory of what waits. */
  get queuedBytes(): number {
    return this.#queues.bytes;
  }

  /** A publication has come from the broker. */
  publish(publication: Publication): void {
    const hub = this.#hub;
    const channel = hub.open(publication.channel);
    // Where nobody is subscribed yet somebody may be about to be, and must know of changes, in their order.
    if (channel === undefined || (channel.length === 0 && publication.version === 0)) return;
    if (!this.#queues.admit(channel, publication)) {
      hub.settle(channel);
      return;
    }
    const isMark = publication.kind === 'mark';
    if (!isMark) this.#counters.add('publications');
    this.#queued(this.#queues.push(channel, publication, isMark ? undefined : instant()));
    this.#pause.added();
  }

  /** Tells the subscribers of a channel who is in it, before anything that has not begun to be served. */
  resync(name: string, snapshot: ChannelSnapshot): void {
    const channel = this.#hub.open(name);
    if (channel === undefined) return;
    this.#queued(this.#queues.pushNext(channel, { kind: 'resync', channel: name, snapshot }));
  }

  /** Rows that may have missed something know it from here on. */
  settleDrops(): void {
    this.#dropped.mark();
  }

  /** The worker ends: what waits reaches nobody any more. */
  stop(): void {
    this.#ready.clear();
    this.#leaseless.length = 0;
    this.#dropped.stop();
    this.#pause.stop();
  }

  #drop(channel: string, count: number): void {
    this.#dropped.add(channel, count);
    this.#resyncs.missed([channel]);
  }

  /** `added`: the queue of a channel that had none. */
  #queued(added: ChannelQueue | undefined): void {
    if (added !== undefined) {
      this.#hub.retain(added.channel);
      this.#ready.push(added);
    }
    this.#schedule();
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
        this.#walkByForm?.release();
        this.#lease.giveBack();
      }
    });
  }

  #runSlice(): void {
    const sliceMs = this.#sliceMs;
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
    if (broadcast.publication !== undefined) this.#begin(queue, broadcast);
    const walk = this.#walkOf(broadcast);
    walk.members = hub.membersOf(channel);
    walk.from = broadcast.next;
    walk.to = broadcast.end;
    walk.exceptSlot = broadcast.exceptSlot;
    broadcast.next = this.#sockets.broadcast(walk, budgetMicros);
    let delivered = walk.wholeCount;
    const { exceptionCount } = walk;
    for (let index = 0; index < exceptionCount; index++) {
      if (this.#except(walk, walk.slotOf(index), walk.outcomeOf(index))) delivered++;
    }
    // Behind the loop: a close sends, too.
    this.#outbound.applyVerdicts();
    this.#counters.add('deliveries', delivered);
    if (broadcast.next < broadcast.end) return true;
    const { arrivedAt } = broadcast;
    if (arrivedAt !== undefined) this.duration.record(((instant() - arrivedAt) | 0) / INSTANTS_PER_SECOND);
    const hasMore = this.#queues.shift(queue);
    this.#pause.left();
    // The members of one that is sealed must keep their places.
    if ((queue.broadcasts.first?.end ?? -1) < 0) hub.endWalk(channel);
    return hasMore;
  }

  /** A publication is about to be served for the first time: its receivers are those who are subscribed now, unless it is sealed. */
  #begin(queue: ChannelQueue, broadcast: Broadcast): void {
    const hub = this.#hub;
    const { channel } = queue;
    const { publication } = broadcast;
    // One walk at a time for each channel, so that the holes are closed between two.
    hub.beginWalk(channel);
    if (broadcast.end < 0) broadcast.end = channel.length;
    if (publication === undefined) return;
    const members = hub.membersOf(channel);
    const except = publication.kind === 'resync' ? undefined : publication.except;
    if (except !== undefined) broadcast.exceptSlot = this.#slotOf(except, members, broadcast.end);
    const frames = this.#frames.make(publication, members, broadcast.end, broadcast.exceptSlot);
    this.#queues.framed(queue, frames);
    if (frames.length === 0) broadcast.next = broadcast.end;
    // Who is let in by that is behind the receivers.
    if (publication.kind !== 'resync' && publication.version > 0) this.#knowledge.served(publication);
  }

  /** The walk for a broadcast, with its frames. */
  #walkOf({ frames }: Broadcast): BroadcastWalk {
    if (frames.length <= 1) {
      this.#walk.forms[0] = frames[0] ?? NOTHING;
      return this.#walk;
    }
    // The lanes are known by now.
    this.#walkByForm ??= new BroadcastWalk({ formMask: this.#frames.formMask });
    const { forms } = this.#walkByForm;
    for (let form = 0; form < forms.length; form++) forms[form] = frames[form] ?? NOTHING;
    return this.#walkByForm;
  }

  /** The member with this id, or −1. */
  #slotOf(id: string, members: Int32Array, end: number): number {
    const number = this.#ids.numberOf(id);
    if (number === undefined) return -1;
    const { numbers } = this.#table;
    for (let index = 0; index < end; index++) {
      const slot = members[index] ?? -1;
      if (slot >= 0 && numbers[slot] === number) return slot;
    }
    return -1;
  }

  /** A row that did not take the whole frame. True when its queue did. */
  #except(walk: BroadcastWalk, slot: number, outcome: number): boolean {
    const table = this.#table;
    const outbound = this.#outbound;
    const frame = walk.formFor(table.flags[slot] ?? 0);
    if (outcome >= 0) return outbound.enqueueBroadcast(slot, frame, outcome);
    // A failed send: the next wake-up reports the end of that connection.
    if (outcome !== BROADCAST_SKIPPED) return false;
    return table.hasFlag(slot, RowFlag.queued) && outbound.enqueueBroadcast(slot, frame, 0);
  }
}
