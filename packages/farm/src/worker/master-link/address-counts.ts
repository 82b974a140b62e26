import { AddressTable } from '../../addresses/address-table.ts';
import type { Link } from '../../link/link.ts';
import {
  AddressNote,
  AddressRecords,
  NOTE_BYTES,
  readShares,
  type AddressNoteKind,
} from '../../link/address-records.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';
import type { FarmConfig } from '../../options/options.ts';
import { fullAfter, isDue } from '../../addresses/rate.ts';

export type ClientVerdict = 'counted' | 'uncounted' | 'untracked' | 'connections' | 'rate';

/** Notes are sent together: how long one waits for others. */
const SEND_MS = 50;
/** As many are sent at once. */
const MAX_NOTES = 4096;
const SWEEP = 2;
const SWEEP_WHEN_FULL = 64;

/**
 * A worker's side of the per-address limits: notes for the master which counted sockets have ended, and judges clients
 * behind trusted proxies, by its own counts and what the master tells of the other workers.
 *
 * The tables are made for the first such client; without proxies, or without a limit, they are never made.
 */
export class AddressCounts {
  readonly #maxConnections: number;
  readonly #intervalMs: number;
  readonly #maxTracked: number;
  readonly #link: Link<MasterMessage, WorkerMessage>;
  readonly #notes = new AddressRecords(NOTE_BYTES);
  #clients: ClientColumns | undefined;
  #hand = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    config: Pick<FarmConfig, 'maxConnectionsPerAddress' | 'acceptRatePerAddress' | 'maxTrackedAddresses'>,
    link: Link<MasterMessage, WorkerMessage>,
  ) {
    this.#maxConnections = config.maxConnectionsPerAddress;
    this.#intervalMs = config.acceptRatePerAddress === 0 ? 0 : 1000 / config.acceptRatePerAddress;
    this.#maxTracked = config.maxTrackedAddresses;
    this.#link = link;
  }

  /** Addresses of clients that are remembered. */
  get tracked(): number {
    return this.#clients?.table.used ?? 0;
  }

  /** May a client behind a proxy come in? When `counted`, {@link clientEnded} is owed. */
  judge(high: number, low: number, now: number): ClientVerdict {
    if (this.#maxConnections === 0 && this.#intervalMs === 0) return 'uncounted';
    const clients = this.#columns();
    const index = this.#take(clients, high, low, now);
    if (index === -1) return 'untracked';
    const own = clients.own[index] ?? 0;
    if (this.#maxConnections > 0 && own + (clients.elsewhere[index] ?? 0) >= this.#maxConnections) {
      return 'connections';
    }
    if (this.#intervalMs > 0) {
      const fullAt = clients.fullAt[index] ?? 0;
      if (!isDue(fullAt, now, this.#intervalMs)) return 'rate';
      clients.fullAt[index] = fullAfter(fullAt, now, this.#intervalMs);
    }
    this.#note(AddressNote.clientCame, high, low);
    if (this.#maxConnections === 0) return 'uncounted';
    clients.own[index] = own + 1;
    return 'counted';
  }

  clientEnded(high: number, low: number): void {
    const clients = this.#columns();
    const index = clients.table.find(high, low);
    if (index !== -1) {
      clients.own[index] = (clients.own[index] ?? 0) - 1;
      forgetIfIdle(clients, index, performance.now());
    }
    this.#note(AddressNote.clientEnded, high, low);
  }

  /** A client behind a proxy has come from another worker (1), or gone to one (−1); the master is told of it in another way. */
  clientMoved(high: number, low: number, change: 1 | -1): void {
    const clients = this.#columns();
    const now = performance.now();
    const index = change === 1 ? this.#take(clients, high, low, now) : clients.table.find(high, low);
    if (index === -1) return;
    clients.own[index] = (clients.own[index] ?? 0) + change;
    if (change === -1) forgetIfIdle(clients, index, now);
  }

  /** A socket that the master counted has ended. */
  peerEnded(high: number, low: number): void {
    this.#note(AddressNote.peerEnded, high, low);
  }

  /** What the master says of the others. */
  told(payload: Buffer): void {
    const clients = this.#columns();
    const now = performance.now();
    readShares(payload, (high, low, elsewhere, arrivals) => {
      const index = this.#take(clients, high, low, now);
      if (index === -1) return;
      clients.elsewhere[index] = elsewhere;
      if (this.#intervalMs > 0 && arrivals > 0) {
        clients.fullAt[index] = fullAfter(clients.fullAt[index] ?? 0, now, this.#intervalMs, arrivals);
      }
      forgetIfIdle(clients, index, now);
    });
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #columns(): ClientColumns {
    return (this.#clients ??= {
      table: new AddressTable(this.#maxTracked),
      own: new Int32Array(this.#maxTracked),
      elsewhere: new Int32Array(this.#maxTracked),
      fullAt: new Float64Array(this.#maxTracked),
    });
  }

  #take(clients: ClientColumns, high: number, low: number, now: number): number {
    const { table } = clients;
    const found = table.find(high, low);
    if (found !== -1) return found;
    const steps = table.used === table.capacity ? SWEEP_WHEN_FULL : SWEEP;
    for (let step = 0; step < steps && table.highWater > 0; step++) {
      this.#hand = this.#hand + 1 < table.highWater ? this.#hand + 1 : 0;
      if (table.isUsed(this.#hand)) forgetIfIdle(clients, this.#hand, now);
    }
    const index = table.take(high, low);
    if (index !== -1) clients.fullAt[index] = 0;
    return index;
  }

  #note(kind: AddressNoteKind, high: number, low: number): void {
    this.#notes.addNote(kind, high, low);
    if (this.#notes.count >= MAX_NOTES) this.#send();
    else this.#timer ??= setTimeout(() => this.#send(), SEND_MS);
  }

  #send(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#notes.count === 0) return;
    const outcome = this.#link.sendUrgent({ type: 'addresses', payload: this.#notes.bytes });
    // As long as the master takes none it gives no sockets either, so that what waits is bounded by those we have.
    if (outcome === 'overflow') this.#timer = setTimeout(() => this.#send(), SEND_MS);
    else this.#notes.clear();
  }
}

interface ClientColumns {
  readonly table: AddressTable;
  /** Connections that this worker has let in. */
  readonly own: Int32Array;
  /** All others of the address in this farm. */
  readonly elsewhere: Int32Array;
  readonly fullAt: Float64Array;
}

function forgetIfIdle({ table, own, elsewhere, fullAt }: ClientColumns, index: number, now: number): void {
  if (own[index] === 0 && elsewhere[index] === 0 && (fullAt[index] ?? 0) <= now) table.free(index);
}
