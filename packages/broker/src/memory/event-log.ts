import { isHidden } from '../hidden-channel.ts';
import {
  MAX_EVENTS,
  type ChannelEvent,
  type ChannelEvents,
  type ChannelEventType,
  type RecordedEvent,
} from '../channel-store.ts';
import { Fifo } from '../fifo.ts';

/**
 * The recorded events of a farm with the embedded broker, in the master, oldest first. Bounded: beyond `maxEvents` that nobody
 * has taken the oldest are thrown away and counted. They are given to one consumer, the first that is there. What it has
 * taken and not done comes back when it stops, and then the next is the first.
 */
export class EventLog {
  droppedCount = 0;
  readonly #recorded: ReadonlySet<ChannelEventType>;
  readonly #maxEvents: number;
  readonly #waiting = new Fifo<RecordedEvent>();
  /** What a consumer has left, in the order in which it was recorded. It comes before everything else. */
  #returned: RecordedEvent[] = [];
  #count = 0;
  readonly #consumers = new Set<LogConsumer>();

  constructor(recorded: readonly ChannelEventType[], maxEvents = MAX_EVENTS) {
    this.#recorded = new Set(recorded);
    this.#maxEvents = maxEvents;
  }

  records(type: ChannelEventType): boolean {
    return this.#recorded.has(type);
  }

  /** Records it, if it is of a type that is. */
  add(event: ChannelEvent): void {
    if (!this.records(event.type) || isHidden(event.channel)) return;
    this.#count += 1;
    this.#waiting.push({ ...event, id: String(this.#count), timeMs: Date.now() });
    this.#trim();
    this.#first?.wake();
  }

  consume(): ChannelEvents {
    const consumer: LogConsumer = new LogConsumer(
      (limit) => (this.#first === consumer ? this.#take(limit) : []),
      (left) => {
        this.#consumers.delete(consumer);
        this.#giveBack(left);
      },
    );
    this.#consumers.add(consumer);
    return consumer;
  }

  get #first(): LogConsumer | undefined {
    const [first] = this.#consumers;
    return first;
  }

  #take(limit: number): RecordedEvent[] {
    const taken = this.#returned.splice(0, limit);
    while (taken.length < limit) {
      const event = this.#waiting.shift();
      if (event === undefined) break;
      taken.push(event);
    }
    return taken;
  }

  #giveBack(events: readonly RecordedEvent[]): void {
    this.#returned = [...this.#returned, ...events].toSorted(
      (one, other) => Number(one.id) - Number(other.id),
    );
    this.#trim();
    this.#first?.wake();
  }

  #trim(): void {
    while (this.#returned.length + this.#waiting.length > this.#maxEvents) {
      if (this.#returned.shift() === undefined) this.#waiting.shift();
      this.droppedCount += 1;
    }
  }
}

class LogConsumer implements ChannelEvents {
  readonly #take: (limit: number) => RecordedEvent[];
  readonly #onStop: (left: readonly RecordedEvent[]) => void;
  readonly #taken = new Map<string, RecordedEvent>();
  #waiting: { readonly limit: number; readonly resolve: (events: readonly RecordedEvent[]) => void }[] = [];
  #isStopped = false;

  constructor(take: (limit: number) => RecordedEvent[], onStop: (left: readonly RecordedEvent[]) => void) {
    this.#take = take;
    this.#onStop = onStop;
  }

  take(limit: number): Promise<readonly RecordedEvent[]> {
    if (this.#isStopped) return Promise.resolve([]);
    const events = this.#waiting.length === 0 ? this.#takeNow(limit) : [];
    if (events.length > 0) return Promise.resolve(events);
    return new Promise((resolve) => this.#waiting.push({ limit, resolve }));
  }

  done(events: readonly RecordedEvent[]): void {
    for (const { id } of events) this.#taken.delete(id);
  }

  stop(): Promise<void> {
    if (!this.#isStopped) {
      this.#isStopped = true;
      for (const { resolve } of this.#waiting.splice(0)) resolve([]);
      this.#onStop([...this.#taken.values()]);
      this.#taken.clear();
    }
    return Promise.resolve();
  }

  /** There may be something to take. */
  wake(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      const events = this.#takeNow(first.limit);
      if (events.length === 0) return;
      this.#waiting.shift();
      first.resolve(events);
    }
  }

  #takeNow(limit: number): readonly RecordedEvent[] {
    const events = this.#take(limit);
    for (const event of events) this.#taken.set(event.id, event);
    return events;
  }
}
