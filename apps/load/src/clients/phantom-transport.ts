import { getSystemErrorName } from 'node:util';
import { EVENT_FIELDS, EventFlag, native, type NativeStack } from '../phantom/native.ts';
import type { PhantomLink } from '../phantom/phantom-link.ts';
import type { Target } from '../target.ts';
import type { ClientTable } from './client-table.ts';
import { SERVER_ENDED, type Transport, type TransportEvents } from './transport.ts';

/** Bytes and events of one wake-up: as much as the server sends in the half millisecond between two. */
const SLAB_BYTES = 1024 * 1024;
const MAX_EVENTS = 8192;
/** Connections beside those of the table, whose ends are under way. */
const MAX_ENDING = 60_000;
/** RFC 6298 §2.1. */
const RETRANSMIT_MS = 1000;

/** TCP in user space, over a TUN device: a connection is a row, and nothing in the kernel. The column `fds` has the ids. */
export class PhantomTransport implements Transport {
  readonly #table: ClientTable;
  readonly #events: TransportEvents;
  readonly #stack: NativeStack;
  readonly #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  readonly #entries = new Int32Array(MAX_EVENTS * EVENT_FIELDS);

  constructor(table: ClientTable, target: Target, link: PhantomLink, events: TransportEvents) {
    this.#table = table;
    this.#events = events;
    this.#stack = native().createStack({
      ...link,
      server: target.address,
      port: target.port,
      capacity: table.capacity + Math.min(table.capacity, MAX_ENDING),
      retransmitMs: RETRANSMIT_MS,
      generations: table.generations,
      slab: this.#slab,
      events: this.#entries,
    });
    this.#stack.onEvents = (count) => this.#onEvents(count);
    // Without the right to it the clients compete with the server for a CPU, as other processes do.
    native().preferThread();
  }

  open(slot: number, _number: number, request: Buffer): string | undefined {
    const id = this.#stack.open(slot, request);
    if (id < 0) return 'EADDRNOTAVAIL';
    this.#table.fds[slot] = id;
    return undefined;
  }

  send(slot: number, frame: Buffer): boolean {
    return this.#stack.send(this.#table.fds[slot] ?? -1, frame);
  }

  pause(slot: number): void {
    this.#stack.pause(this.#table.fds[slot] ?? -1);
  }

  close(slot: number): void {
    const id = this.#table.fds[slot] ?? -1;
    if (id < 0) return;
    this.#table.fds[slot] = -1;
    this.#stack.close(id);
  }

  destroy(): void {
    this.#stack.destroy();
  }

  #onEvents(count: number): void {
    const table = this.#table;
    const entries = this.#entries;
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      const slot = entries[at] ?? 0;
      const generation = entries[at + 1] ?? 0;
      if (!table.isCurrent(slot, generation)) continue;
      const flags = entries[at + 2] ?? 0;
      const offset = entries[at + 3] ?? 0;
      const length = entries[at + 4] ?? 0;
      if (flags === EventFlag.data) this.#events.received(slot, this.#slab, offset, offset + length);
      else this.#events.ended(slot, flags === EventFlag.error ? getSystemErrorName(-length) : SERVER_ENDED);
    }
    this.#events.batchEnded();
  }
}
