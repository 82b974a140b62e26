import { ClientState, type ClientTable } from '../clients/client-table.ts';
import { Latencies } from '../report/latencies.ts';
import type { Progress, Report } from '../report/report.ts';

/** Keeps count of what happens to the clients of one process. */
export class Tally {
  readonly #table: ClientTable;
  readonly #handshakes = new Latencies();
  #connected = 0;
  #open = 0;
  #failed: Record<string, number> = {};
  #closes: Record<string, number> = {};
  #unended = 0;
  #messages = 0;
  #others = 0;
  #expected = Number.POSITIVE_INFINITY;
  #satisfied = 0;
  #lastMessageAt = 0;
  /** What clients that are gone had received: how many, none, one, fewest, most. */
  #goneCount = 0;
  #goneWithNone = 0;
  #goneWithOne = 0;
  #goneFewest = Number.POSITIVE_INFINITY;
  #goneMost = 0;

  constructor(table: ClientTable) {
    this.#table = table;
  }

  /** The cheap ones of the figures: no row is looked at. */
  progress(pending: number): Omit<Progress, 'interval' | 'deliveries'> {
    return {
      pending,
      open: this.#open,
      connected: this.#connected,
      failed: { ...this.#failed },
      messages: this.#messages,
      isSatisfied: this.isSatisfied,
    };
  }

  /** True when every open client has what is expected, and there is one. */
  get isSatisfied(): boolean {
    return this.#open > 0 && this.#satisfied === this.#open;
  }

  opened(slot: number): void {
    this.#handshakes.record((performance.now() - (this.#table.since[slot] ?? 0)) * 1000);
    this.#connected++;
    this.#open++;
    if (this.#expected === 0) this.#satisfied++;
  }

  fail(reason: string): void {
    this.#failed[reason] = (this.#failed[reason] ?? 0) + 1;
  }

  message(slot: number): void {
    const received = (this.#table.received[slot] ?? 0) + 1;
    this.#table.received[slot] = received;
    this.#messages++;
    if (received === this.#expected) this.#satisfied++;
    this.#lastMessageAt = performance.now();
  }

  /** A message that belongs to the server's protocol. */
  other(): void {
    this.#others++;
  }

  closing(slot: number, code: string | null): void {
    this.#open--;
    if ((this.#table.received[slot] ?? 0) >= this.#expected) this.#satisfied--;
    if (code !== null) this.#closes[code] = (this.#closes[code] ?? 0) + 1;
  }

  gone(slot: number, endedInTime: boolean): void {
    if (!endedInTime) this.#unended++;
    const received = this.#table.received[slot] ?? 0;
    this.#goneCount++;
    if (received === 0) this.#goneWithNone++;
    if (received === 1) this.#goneWithOne++;
    this.#goneFewest = Math.min(this.#goneFewest, received);
    this.#goneMost = Math.max(this.#goneMost, received);
  }

  /** From now on a client is satisfied by `messages` since the last reset. */
  expect(messages: number): void {
    this.#expected = messages;
    this.#satisfied = 0;
    const { states, received, capacity } = this.#table;
    for (let slot = 0; slot < capacity; slot++) {
      if (states[slot] === ClientState.open && (received[slot] ?? 0) >= messages) this.#satisfied++;
    }
  }

  /** Forgets messages, failures, closes and clients that are gone, but not who is open. */
  reset(): void {
    this.#table.received.fill(0);
    this.#connected = this.#open;
    this.#handshakes.reset();
    this.#failed = {};
    this.#closes = {};
    this.#unended = 0;
    this.#messages = 0;
    this.#others = 0;
    this.#lastMessageAt = 0;
    this.#goneCount = 0;
    this.#goneWithNone = 0;
    this.#goneWithOne = 0;
    this.#goneFewest = Number.POSITIVE_INFINITY;
    this.#goneMost = 0;
    this.expect(this.#expected);
  }

  report(pending: number): Report {
    const { states, received, capacity } = this.#table;
    let none = this.#goneWithNone;
    let one = this.#goneWithOne;
    let count = this.#goneCount;
    let fewest = this.#goneFewest;
    let most = this.#goneMost;
    for (let slot = 0; slot < capacity; slot++) {
      const state = states[slot];
      if (state !== ClientState.open && state !== ClientState.closing) continue;
      const messages = received[slot] ?? 0;
      count++;
      if (messages === 0) none++;
      if (messages === 1) one++;
      if (messages < fewest) fewest = messages;
      if (messages > most) most = messages;
    }
    const { user, system } = process.cpuUsage();
    return {
      pending,
      open: this.#open,
      connected: this.#connected,
      failed: this.#failed,
      closes: this.#closes,
      unended: this.#unended,
      messages: this.#messages,
      received: { '0': none, '1': one, '2+': count - none - one },
      others: this.#others,
      fewest: count === 0 ? 0 : fewest,
      most,
      satisfied: this.#satisfied,
      lastMessageAt: this.#lastMessageAt === 0 ? 0 : performance.timeOrigin + this.#lastMessageAt,
      handshakes: this.#handshakes.encode(),
      cpuMs: (user + system) / 1000,
    };
  }
}
