import { randomUUID } from 'node:crypto';
import type { ChannelEvents, ChannelStoreOptions } from '../channel-store.ts';
import { takeStep } from './channel-steps.ts';
import { ChannelTable, type TableOwner } from './channel-table.ts';
import { EventLog } from './event-log.ts';
import { LinkShares, type LinkLevel } from './link-shares.ts';
import {
  MAX_NAMES_PER_MESSAGE,
  type BrokerLinkMessage,
  type ExchangePort,
  type ExchangeToWorkerMessage,
} from './link.ts';

/** After how long a worker that took nothing is tried again, in ms. */
const RETRY_MS = 25;
/** After how long at most a reading worker gets the gap of a channel that exceeded its share of the link, in ms. */
const GAP_MS = 250;

/** For a link that does not report how full it is. */
const NO_LEVEL: LinkLevel = { bufferedBytes: 0, maxBufferedBytes: Number.POSITIVE_INFINITY };

/**
 * A worker as the exchange sees it. `isBehind`: it did not take a message, and gets nothing before what waits for it, a gap
 * first if there is one. With a gap alone, because channels were over their share, only these channels wait for it.
 */
interface Port {
  readonly send: (message: ExchangeToWorkerMessage) => boolean;
  /** This port and no other: what all channels of one worker share. */
  readonly alone: readonly Port[];
  /** Confirmations and answers that the worker could not take yet. Bounded by what a worker asks for at once. */
  readonly answers: ExchangeToWorkerMessage[];
  /** What the worker has in the channels. */
  readonly owner: TableOwner;
  /** Publications of this worker that have their place in the order. */
  orderedCount: number;
  /** `orderedCount` must be sent to it: `soon` in this tick, or it was `late` because it took nothing. */
  acknowledgement: 'none' | 'soon' | 'late';
  readonly shares: LinkShares;
  isBehind: boolean;
  dropped: { readonly channels: Set<string>; droppedCount: number; readonly since: number } | undefined;
  isAttached: boolean;
}

/** What the exchange has done so far. Totals, for metrics. */
export interface MemoryBrokerExchangeCounters {
  /** Publications received from workers and from `publish`. */
  publicationCount: number;
  /** Publications handed to a worker, one for each. */
  deliveryCount: number;
  /** Deliveries and control messages not made because the worker did not read. */
  droppedCount: number;
  /** How often a gap was reported to a worker. */
  gapCount: number;
}

/**
 * The embedded broker's centre, in the master: one total order for all workers of the farm.
 *
 * It gives each publication to the workers that subscribed its channel, the publishing worker like all
 * others, and acknowledges it to the publishing worker once it has. A worker that does not read (its `send` answers
 * false) loses publications: they are dropped, counted, and once it takes messages again the first thing it gets is a `gap`.
 * Where a link fills up, its channels share the room (see {@link LinkShares}): one that floods loses its own publications.
 * The gap names the channels that have lost some.
 *
 * It also keeps the state of channels (see {@link ChannelTable}). Bounded by what the workers subscribe and have in channels;
 * holds no payload but last events.
 */
export class MemoryBrokerExchange {
  readonly counters: MemoryBrokerExchangeCounters = {
    publicationCount: 0,
    deliveryCount: 0,
    droppedCount: 0,
    gapCount: 0,
  };
  readonly #ports = new Map<number, Port>();
  // Arrays are replaced, never changed, so that a publication under way goes on over the one it began with, and
  // channels may share theirs: the many that one worker alone wants cost an entry each.
  readonly #subscribers = new Map<string, readonly Port[]>();
  readonly #behind = new Set<Port>();
  /** Who hears the marks of an address. */
  readonly #marks = new Map<string, Set<Port>>();
  readonly #name = `memory:${randomUUID()}`;
  /** Workers whose publications of this tick are acknowledged at its end. */
  readonly #toAcknowledge: Port[] = [];
  #acknowledgeTurn: NodeJS.Immediate | undefined;
  readonly #events: EventLog;
  readonly #table: ChannelTable;
  readonly #after: (milliseconds: number, callback: () => void) => NodeJS.Timeout;
  #retryTimer: NodeJS.Timeout | undefined;

  /** `after` is setTimeout, or one that is guarded against what the callback throws. */
  constructor(
    after: (milliseconds: number, callback: () => void) => NodeJS.Timeout = (milliseconds, callback) =>
      setTimeout(callback, milliseconds),
    { recorded = [], maxEvents }: ChannelStoreOptions = {},
  ) {
    this.#after = after;
    this.#events = new EventLog(recorded, maxEvents);
    this.#table = new ChannelTable((channel, envelope) => this.publish(channel, envelope), this.#events);
  }

  /** Recorded events that were thrown away because as many as may be were waiting. */
  get droppedEventCount(): number {
    return this.#events.droppedCount;
  }

  /** A consumer of what is recorded. */
  consumeEvents(): ChannelEvents {
    return this.#events.consume();
  }

  /** Channels with at least one subscribed worker. */
  get channelCount(): number {
    return this.#subscribers.size;
  }

  /**
   * A worker is there. `send` gives it a message and answers false when the worker does not take it now; it
   * serialises or copies the payload before it returns. `level` is that of the same link, whose room the channels share.
   * A worker that is attached already is detached first.
   */
  attach(
    workerId: number,
    send: (message: ExchangeToWorkerMessage) => boolean,
    level: LinkLevel = NO_LEVEL,
  ): ExchangePort {
    const former = this.#ports.get(workerId);
    if (former !== undefined) this.#detach(workerId, former);
    const alone: Port[] = [];
    const port: Port = {
      send,
      alone,
      answers: [],
      owner: this.#table.makeOwner(),
      orderedCount: 0,
      acknowledgement: 'none',
      shares: new LinkShares(level),
      isBehind: false,
      dropped: undefined,
      isAttached: true,
    };
    alone.push(port);
    this.#ports.set(workerId, port);
    return {
      receive: (message) => this.#receive(port, message),
      detach: () => this.#detach(workerId, port),
    };
  }

  /** Publishes from the master itself. The payload is only lent. */
  publish(channel: string, payload: Buffer): void {
    this.counters.publicationCount += 1;
    const ports = this.#subscribers.get(channel);
    if (ports === undefined) return;
    const message: ExchangeToWorkerMessage = { type: 'publication', channel, payload };
    for (const port of ports) {
      if (!port.isAttached) continue;
      if (
        port.shares.admits(channel, payload.length) &&
        this.#deliver(port, message, port.dropped?.channels.has(channel))
      ) {
        this.counters.deliveryCount += 1;
        port.shares.sent(channel, payload.length);
      } else this.#drop(port, channel);
    }
  }

  /** Gives a control message to every worker. The payload is only lent. */
  control(payload: Buffer): void {
    const message: ExchangeToWorkerMessage = { type: 'control', payload };
    // As it is now: a send may detach its port, and attach another.
    const ports = [...this.#ports.values()];
    for (const port of ports) {
      if (!port.isAttached) continue;
      if (!this.#deliver(port, message)) this.#drop(port, undefined);
    }
  }

  /** Detaches every worker. Calling it twice is safe. */
  stop(): void {
    for (const [workerId, port] of this.#ports) this.#detach(workerId, port);
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    clearImmediate(this.#acknowledgeTurn);
    this.#acknowledgeTurn = undefined;
    this.#toAcknowledge.length = 0;
    this.#table.stop();
  }

  #receive(port: Port, message: BrokerLinkMessage): void {
    if (!port.isAttached) return;
    switch (message.type) {
      case 'publish':
        this.publish(message.channel, message.payload);
        port.orderedCount += 1;
        this.#acknowledgeSoon(port);
        return;
      case 'control':
        this.control(message.payload);
        port.orderedCount += 1;
        this.#acknowledgeSoon(port);
        return;
      case 'mark':
        if (!this.#mark(port, message)) {
          this.#answer(port, { type: 'markRefused', address: message.address, id: message.id });
        }
        port.orderedCount += 1;
        this.#acknowledgeSoon(port);
        return;
      case 'watchMarks': {
        const { address } = message;
        this.#table.name(port.owner, address);
        this.#marks.set(address, (this.#marks.get(address) ?? new Set()).add(port));
        this.#answer(port, { type: 'marksWatched', address, server: this.#name });
        return;
      }
      case 'unwatchMarks':
        this.#unwatchMarks(port, message.address);
        return;
      case 'subscribe':
        for (const channel of message.channels) this.#subscribe(port, channel);
        this.#answer(port, { type: 'subscribed', channels: message.channels });
        return;
      case 'unsubscribe':
        for (const channel of message.channels) this.#unsubscribe(port, channel);
        return;
      case 'step': {
        const { id, step, payload } = message;
        this.#answer(port, { type: 'stepped', id, ...takeStep(this.#table, port.owner, step, payload) });
        return;
      }
      case 'publication':
      case 'published':
      case 'subscribed':
      case 'stepped':
      case 'gap':
      case 'marksWatched':
      case 'markRefused':
        return;
    }
  }

  /**
   * Gives a mark to all who hear its address, its sender last: who has heard its own mark knows that the others have it.
   * False, without having given it to all: one of them is behind, so that it has a gap here, or nobody hears it.
   */
  #mark(sender: Port, message: Extract<BrokerLinkMessage, { type: 'mark' }>): boolean {
    const ports = this.#marks.get(message.address);
    if (ports === undefined) return false;
    for (const port of ports) if (port.isBehind || port.dropped !== undefined) return false;
    const others = [...ports].filter((port) => port !== sender);
    for (const port of ports.has(sender) ? [...others, sender] : others) {
      if (!this.#deliver(port, message)) return false;
    }
    return true;
  }

  #unwatchMarks(port: Port, address: string): void {
    const ports = this.#marks.get(address);
    if (ports?.delete(port) === true && ports.size === 0) this.#marks.delete(address);
  }

  #answer(port: Port, message: ExchangeToWorkerMessage): void {
    if (!this.#deliver(port, message)) port.answers.push(message);
  }

  /** A send that throws has not taken the message: it must not cost the other workers theirs, nor fail the caller. */
  #send(port: Port, message: ExchangeToWorkerMessage): boolean {
    try {
      return port.isAttached && port.send(message);
    } catch {
      return false;
    }
  }

  #subscribe(port: Port, channel: string): void {
    const ports = this.#subscribers.get(channel);
    if (ports === undefined) this.#subscribers.set(channel, port.alone);
    else if (!ports.includes(port)) this.#subscribers.set(channel, [...ports, port]);
  }

  #unsubscribe(port: Port, channel: string): void {
    const ports = this.#subscribers.get(channel);
    if (ports === undefined || !ports.includes(port)) return;
    const left = ports.filter((other) => other !== port);
    const [first] = left;
    if (first === undefined) this.#subscribers.delete(channel);
    else this.#subscribers.set(channel, left.length === 1 ? first.alone : left);
  }

  #detach(workerId: number, port: Port): void {
    if (!port.isAttached) return;
    port.isAttached = false;
    // A look at every channel, once in a worker's life, instead of a set for each worker all the time.
    for (const [channel, ports] of this.#subscribers) {
      if (ports.includes(port)) this.#unsubscribe(port, channel);
    }
    for (const address of this.#marks.keys()) this.#unwatchMarks(port, address);
    this.#behind.delete(port);
    // Its place may have been taken by another that its send has attached.
    if (this.#ports.get(workerId) === port) this.#ports.delete(workerId);
    this.#table.remove(port.owner);
  }

  /** After what waits for the worker if it is behind, or the message `mustWait`. False: it is behind now. */
  #deliver(port: Port, message: ExchangeToWorkerMessage, mustWait = false): boolean {
    if (((!port.isBehind && !mustWait) || this.#caughtUp(port)) && this.#send(port, message)) return true;
    this.#fellBehind(port);
    return false;
  }

  #fellBehind(port: Port): void {
    port.isBehind = true;
    this.#retryLater(port);
  }

  #drop(port: Port, channel: string | undefined): void {
    this.counters.droppedCount += 1;
    port.dropped ??= { channels: new Set(), droppedCount: 0, since: performance.now() };
    port.dropped.droppedCount += 1;
    if (channel !== undefined) port.dropped.channels.add(channel);
    this.#retryLater(port);
  }

  /** Whether the worker has everything that waited for it: the gap first, then answers and acknowledgements. */
  #caughtUp(port: Port): boolean {
    const { dropped } = port;
    if (dropped !== undefined) {
      if (!this.#send(port, gapOf(dropped))) return false;
      this.counters.gapCount += 1;
      port.dropped = undefined;
    }
    for (let answer = port.answers[0]; answer !== undefined; answer = port.answers[0]) {
      if (!this.#send(port, answer)) return false;
      port.answers.shift();
    }
    if (port.acknowledgement === 'late' && !this.#acknowledge(port)) return false;
    port.isBehind = false;
    return true;
  }

  /** One acknowledgement per worker and tick, for all its publications. */
  #acknowledgeSoon(port: Port): void {
    if (port.acknowledgement !== 'none') return;
    port.acknowledgement = 'soon';
    this.#toAcknowledge.push(port);
    this.#acknowledgeTurn ??= setImmediate(() => {
      this.#acknowledgeTurn = undefined;
      for (const other of this.#toAcknowledge.splice(0)) {
        // What waited for it longer goes first.
        if ((!other.isBehind || this.#caughtUp(other)) && this.#acknowledge(other)) continue;
        other.acknowledgement = 'late';
        this.#fellBehind(other);
      }
    });
  }

  #acknowledge(port: Port): boolean {
    if (!this.#send(port, { type: 'published', count: port.orderedCount })) return false;
    port.acknowledgement = 'none';
    return true;
  }

  #retryLater(port: Port): void {
    // Detached from inside its own send: there is no worker to try.
    if (!port.isAttached) return;
    this.#behind.add(port);
    if (this.#retryTimer !== undefined) return;
    this.#retryTimer = this.#after(RETRY_MS, () => this.#retry());
    this.#retryTimer.unref();
  }

  /** One attempt for each. A worker that still takes nothing waits for the next timer, behind other events. */
  #retry(): void {
    this.#retryTimer = undefined;
    const now = performance.now();
    const behind = [...this.#behind];
    this.#behind.clear();
    for (const port of behind) {
      if (!port.isAttached) continue;
      // A continuing flood would be reported in every round.
      const isDue = port.isBehind || now - (port.dropped?.since ?? now) >= GAP_MS;
      if (!isDue && port.dropped !== undefined) this.#retryLater(port);
      else if (!this.#caughtUp(port)) this.#fellBehind(port);
    }
  }
}

function gapOf({ channels, droppedCount, since }: NonNullable<Port['dropped']>): ExchangeToWorkerMessage {
  return {
    type: 'gap',
    channelCount: channels.size,
    ...(channels.size <= MAX_NAMES_PER_MESSAGE && { channels: [...channels] }),
    droppedCount,
    sinceMs: Math.ceil(performance.now() - since),
  };
}
