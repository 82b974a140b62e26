import type { ClientTable } from '../clients/client-table.ts';
import { Latencies } from '../report/latencies.ts';
import { readPublication, type Publication } from './publication.ts';

/** What the clients of one process, or of all, have seen of the publications. Plain data. */
export interface WatchFindings {
  readonly deliveries: number;
  /** Publications that came to a connection behind a later one, or again. */
  readonly outOfOrder: number;
  readonly latencies: string;
}

/**
 * Looks for publications among what clients receive: latency from when each was due, and whether those of a connection come
 * once and in order. The clocks of all processes of a machine are one.
 */
export class PublicationWatch {
  readonly #table: ClientTable;
  readonly #interval: Latencies;
  readonly #latencies = new Latencies();
  readonly #found: Publication = { dueMicros: 0, number: 0 };
  #deliveries = 0;
  #outOfOrder = 0;

  constructor(table: ClientTable, interval: Latencies) {
    this.#table = table;
    this.#interval = interval;
    table.sequences.fill(0);
  }

  message(slot: number, bytes: Buffer, start: number, length: number): void {
    if (length < 0 || !readPublication(bytes, start, length, this.#found)) return;
    const { sequences } = this.#table;
    const { number, dueMicros } = this.#found;
    if (number <= (sequences[slot] ?? 0)) {
      this.#outOfOrder++;
      return;
    }
    sequences[slot] = number;
    this.#deliveries++;
    const micros = (performance.timeOrigin + performance.now()) * 1000 - dueMicros;
    this.#latencies.record(micros);
    this.#interval.record(micros);
  }

  get deliveries(): number {
    return this.#deliveries;
  }

  findings(): WatchFindings {
    return {
      deliveries: this.#deliveries,
      outOfOrder: this.#outOfOrder,
      latencies: this.#latencies.encode(),
    };
  }
}
