import type { RecordedEvent } from '@roost/farm';
import { DEPARTURES } from './recorded-types.ts';

type EventType = RecordedEvent['type'];

/** Where events go from here. */
export interface AbsenceHandlers {
  /** It is to be told now. */
  absencesOnEvent(event: RecordedEvent): void;
  /** They left and came back: neither is to be told. */
  absencesOnReturn(departure: RecordedEvent, arrival: RecordedEvent): void;
}

/**
 * Holds back every departure (`channel_vacated`, `member_removed`) for `lingerMs`. When the opposite comes meanwhile, by the
 * clock of the events, nobody is told of either: a page that is loaded anew leaves no trace. Everything else passes at once.
 * Events about one member of one channel stay in their order.
 *
 * Bounded: when `maxHeld` are held back, the oldest is told early.
 */
export class Absences {
  readonly #lingerMs: number;
  readonly #maxHeld: number;
  readonly #handlers: AbsenceHandlers;
  /** By whom they are of, in the order in which they are due. */
  readonly #held = new Map<string, { readonly departure: RecordedEvent; readonly dueAt: number }>();
  #timer: NodeJS.Timeout | undefined;
  #isReleased = false;

  constructor(
    { lingerMs, maxHeld }: { readonly lingerMs: number; readonly maxHeld: number },
    handlers: AbsenceHandlers,
  ) {
    this.#lingerMs = lingerMs;
    this.#maxHeld = maxHeld;
    this.#handlers = handlers;
  }

  get heldCount(): number {
    return this.#held.size;
  }

  add(event: RecordedEvent): void {
    if (DEPARTURES.some(([departure]) => departure === event.type)) this.#hold(event);
    else if (DEPARTURES.some(([, arrival]) => arrival === event.type)) this.#arrive(event);
    else this.#handlers.absencesOnEvent(event);
  }

  /** Tells all that are held back, now, and holds back nothing any more. */
  release(): void {
    this.#isReleased = true;
    for (const key of this.#held.keys()) this.#tell(key);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Forgets all that are held back. */
  stop(): void {
    this.#held.clear();
    this.release();
  }

  #hold(departure: RecordedEvent): void {
    const key = keyOf(departure.type, departure);
    // Two departures in a row: an event between them was lost.
    this.#tell(key);
    if (this.#isReleased) {
      this.#handlers.absencesOnEvent(departure);
      return;
    }
    if (this.#held.size >= this.#maxHeld) {
      const [oldest] = this.#held.keys();
      if (oldest !== undefined) this.#tell(oldest);
    }
    this.#held.set(key, { departure, dueAt: performance.now() + this.#lingerMs });
    this.#wait();
  }

  #arrive(arrival: RecordedEvent): void {
    const key = keyOf(arrival.type, arrival);
    const departure = this.#held.get(key)?.departure;
    if (departure !== undefined && arrival.timeMs - departure.timeMs <= this.#lingerMs) {
      this.#held.delete(key);
      this.#handlers.absencesOnReturn(departure, arrival);
      return;
    }
    this.#tell(key);
    this.#handlers.absencesOnEvent(arrival);
  }

  #tell(key: string): void {
    const entry = this.#held.get(key);
    if (entry === undefined) return;
    this.#held.delete(key);
    this.#handlers.absencesOnEvent(entry.departure);
  }

  #wait(): void {
    if (this.#timer !== undefined) return;
    const [first] = this.#held.values();
    if (first === undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const now = performance.now();
      for (const [key, { dueAt }] of this.#held) {
        // A timer may fire a fraction of a millisecond early.
        if (dueAt > now + 1) break;
        this.#tell(key);
      }
      this.#wait();
    }, first.dueAt - performance.now());
  }
}

/** The same for a departure and its return. Names of channels and users have no line feeds. */
function keyOf(type: EventType, { channel, user }: RecordedEvent): string {
  return type === 'member_added' || type === 'member_removed' ? `${channel}\n${user}` : channel;
}
