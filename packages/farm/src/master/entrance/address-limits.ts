import { addressKeyHigh, addressKeyLow, AddressTable } from '../../addresses/address-table.ts';
import { AddressNote, AddressRecords, readNotes, SHARE_BYTES } from '../../link/address-records.ts';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import { fullAfter, isDue } from '../../addresses/rate.ts';
import type { Guard } from '../guard.ts';

export type AddressRules = Pick<
  FarmConfig,
  'maxConnectionsPerAddress' | 'acceptRatePerAddress' | 'maxTrackedAddresses' | 'trustedProxies'
>;

/**
 * `counted`: the socket may enter, and counts until its worker reports its end. `uncounted`: it may enter, and no
 * limit applies to it. The others: refused, for that reason.
 */
export type AddressVerdict = 'counted' | 'uncounted' | 'connections' | 'rate';

export interface AddressHooks {
  /** The ids of all workers that live now. */
  workers(): readonly number[];
  /** Whether the 16 bytes are a proxy's, whose clients the workers count. */
  isTrusted(addresses: Uint8Array, offset: number): boolean;
  /** Sends a worker the counts of the others; false when it accepts no more now. `payload` is only lent. */
  tellWorker(worker: number, payload: Buffer): boolean;
}

/** Changes are sent to the workers together: how long one waits for others. */
const TELL_MS = 50;
const RETRY_MS = 1000;
/** Addresses sent in one go. */
const MAX_TOLD = 16_384;
const SEVERAL = 0xffff;
/** Entries looked at for each new one: those that need not be remembered vanish faster than new ones arrive. */
const SWEEP = 2;
const SWEEP_WHEN_FULL = 64;

/**
 * Counts the connections of each address over the whole farm, and how fast they arrive.
 *
 * Peers are judged here, before the hand-off, and counted with the worker that gets them. Clients behind trusted proxies
 * are judged by the workers, which alone see them: they report which clients opened and ended, and receive the counts of
 * the others, so that a limit holds for the farm with a lag of about 2 × {@link TELL_MS}. Both count together.
 *
 * The total of an address is one entry; what each worker has of it another, so that a dead worker's can be taken back. An
 * entry vanishes when it counts nothing and its bucket is full again. Beyond `maxTrackedAddresses` a new address enters
 * uncounted: a full table must not lock out clients that have done nothing.
 */
export class AddressLimits {
  readonly #maxConnections: number;
  readonly #intervalMs: number;
  readonly #tells: boolean;
  readonly #counters: Counters;
  readonly #guard: Guard;
  readonly #hooks: AddressHooks;
  readonly #totals: AddressTable;
  readonly #connections: Int32Array;
  readonly #fullAt: Float64Array;
  /** Clients that arrived since the workers were last informed. */
  readonly #arrivals: Uint32Array;
  /** Worker + 1 that alone has changed the total since, {@link SEVERAL}, or 0. */
  readonly #changedBy: Uint16Array;
  readonly #shares: AddressTable;
  readonly #shareConnections: Int32Array;
  readonly #shareArrivals: Uint32Array;
  readonly #records = new AddressRecords(SHARE_BYTES);
  #changed: number[] = [];
  #hand = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(rules: AddressRules, counters: Counters, guard: Guard, hooks: AddressHooks) {
    this.#guard = guard;
    this.#maxConnections = rules.maxConnectionsPerAddress;
    this.#intervalMs = rules.acceptRatePerAddress === 0 ? 0 : 1000 / rules.acceptRatePerAddress;
    this.#tells = rules.trustedProxies.length > 0;
    this.#counters = counters;
    this.#hooks = hooks;
    const capacity = rules.maxTrackedAddresses;
    this.#totals = new AddressTable(capacity);
    this.#connections = new Int32Array(capacity);
    this.#fullAt = new Float64Array(capacity);
    this.#arrivals = new Uint32Array(this.#tells ? capacity : 0);
    this.#changedBy = new Uint16Array(this.#tells ? capacity : 0);
    this.#shares = new AddressTable(2 * capacity);
    this.#shareConnections = new Int32Array(2 * capacity);
    this.#shareArrivals = new Uint32Array(this.#tells ? 2 * capacity : 0);
  }

  /** Undefined when no limit is set: then nothing is counted. */
  static when(
    rules: AddressRules,
    counters: Counters,
    guard: Guard,
    hooks: AddressHooks,
  ): AddressLimits | undefined {
    const isSet = rules.maxConnectionsPerAddress > 0 || rules.acceptRatePerAddress > 0;
    return isSet ? new AddressLimits(rules, counters, guard, hooks) : undefined;
  }

  /** Addresses that are remembered. */
  get tracked(): number {
    return this.#totals.used;
  }

  /** Connections of an address. */
  connections(addresses: Uint8Array, offset: number): number {
    const index = this.#totals.find(addressKeyHigh(addresses, offset), addressKeyLow(addresses, offset));
    return index === -1 ? 0 : (this.#connections[index] ?? 0);
  }

  /** May the socket of a peer enter? A refused socket does not count against the rate. */
  judge(addresses: Uint8Array, offset: number, now: number): AddressVerdict {
    if (this.#tells && this.#hooks.isTrusted(addresses, offset)) return 'uncounted';
    const index = this.#take(addressKeyHigh(addresses, offset), addressKeyLow(addresses, offset), now);
    if (index === -1) {
      this.#counters.add('addresses_untracked');
      return 'uncounted';
    }
    if (this.#maxConnections > 0 && (this.#connections[index] ?? 0) >= this.#maxConnections) {
      this.#counters.add('refused_address_connections');
      return 'connections';
    }
    if (this.#intervalMs > 0) {
      const fullAt = this.#fullAt[index] ?? 0;
      if (!isDue(fullAt, now, this.#intervalMs)) {
        this.#counters.add('refused_address_rate');
        return 'rate';
      }
      this.#fullAt[index] = fullAfter(fullAt, now, this.#intervalMs);
    }
    return this.#maxConnections > 0 ? 'counted' : 'uncounted';
  }

  /** A worker has been given a socket that was `counted`. */
  handed(worker: number, addresses: Uint8Array, offset: number): void {
    const high = addressKeyHigh(addresses, offset);
    this.#change(worker, peersOf(worker), high, addressKeyLow(addresses, offset), 1);
  }

  /** The worker had no descriptor left for it. */
  returned(worker: number, addresses: Uint8Array, offset: number): void {
    const high = addressKeyHigh(addresses, offset);
    this.#change(worker, peersOf(worker), high, addressKeyLow(addresses, offset), -1);
  }

  /** What a worker has noted. */
  noted(worker: number, payload: Buffer): void {
    readNotes(payload, (kind, high, low) => {
      if (kind === AddressNote.peerEnded) this.#change(worker, peersOf(worker), high, low, -1);
      else if (kind === AddressNote.clientEnded) this.#change(worker, clientsOf(worker), high, low, -1);
      else this.#change(worker, clientsOf(worker), high, low, this.#maxConnections > 0 ? 1 : 0, 1);
    });
  }

  /** What counts for these addresses has moved from one worker to another, in one step. `from` may be gone by now. */
  moved(from: number, to: number, payload: Buffer): void {
    readNotes(payload, (kind, high, low) => {
      const tagOf = kind === AddressNote.peerEnded ? peersOf : clientsOf;
      // In this order, so that an address is never forgotten in between.
      this.#change(to, tagOf(to), high, low, 1);
      this.#change(from, tagOf(from), high, low, -1);
    });
  }

  /** A worker has begun: it gets everything. */
  workerReady(): void {
    if (!this.#tells) return;
    for (let index = 0; index < this.#totals.highWater; index++) {
      if (this.#totals.isUsed(index) && this.#connections[index] !== 0) this.#mark(index, SEVERAL);
    }
  }

  /** A worker is gone, and with it all that it had. */
  workerEnded(worker: number): void {
    for (let share = 0; share < this.#shares.highWater; share++) {
      if (!this.#shares.isUsed(share) || this.#shares.tag(share) >> 1 !== worker) continue;
      const total = this.#totals.find(this.#shares.high(share), this.#shares.low(share));
      const count = this.#shareConnections[share] ?? 0;
      this.#shareConnections[share] = 0;
      if (this.#tells) this.#shareArrivals[share] = 0;
      this.#shares.free(share);
      if (total !== -1) this.#lower(total, count, worker);
    }
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #change(worker: number, tag: number, high: number, low: number, delta: number, arrivals = 0): void {
    if (delta < 0) {
      const share = this.#shares.find(high, low, tag);
      const total = this.#totals.find(high, low);
      if (share === -1 || total === -1 || this.#shareConnections[share] === 0) return;
      this.#shareConnections[share] = (this.#shareConnections[share] ?? 0) - 1;
      this.#freeShare(share);
      this.#lower(total, 1, worker);
      return;
    }
    const total = this.#take(high, low, performance.now());
    const share = total === -1 ? -1 : this.#shares.take(high, low, tag);
    if (share === -1) {
      this.#counters.add('addresses_untracked');
      return;
    }
    this.#shareConnections[share] = (this.#shareConnections[share] ?? 0) + delta;
    this.#connections[total] = (this.#connections[total] ?? 0) + delta;
    if (!this.#tells) return;
    this.#shareArrivals[share] = (this.#shareArrivals[share] ?? 0) + arrivals;
    this.#arrivals[total] = (this.#arrivals[total] ?? 0) + arrivals;
    this.#mark(total, worker + 1);
  }

  #lower(total: number, count: number, worker: number): void {
    this.#connections[total] = (this.#connections[total] ?? 0) - count;
    if (this.#tells) this.#mark(total, worker + 1);
    else if (this.#connections[total] === 0) this.#forgetIfIdle(total, performance.now());
  }

  /** The total of an address, created when needed; -1 when there is no room. */
  #take(high: number, low: number, now: number): number {
    const found = this.#totals.find(high, low);
    if (found !== -1) return found;
    this.#sweep(this.#totals.used === this.#totals.capacity ? SWEEP_WHEN_FULL : SWEEP, now);
    const index = this.#totals.take(high, low);
    if (index !== -1) this.#fullAt[index] = 0;
    return index;
  }

  #sweep(steps: number, now: number): void {
    const { highWater } = this.#totals;
    if (highWater === 0) return;
    for (let step = 0; step < steps; step++) {
      this.#hand = this.#hand + 1 < highWater ? this.#hand + 1 : 0;
      if (this.#totals.isUsed(this.#hand)) this.#forgetIfIdle(this.#hand, now);
    }
  }

  #forgetIfIdle(total: number, now: number): void {
    if (this.#connections[total] !== 0 || (this.#fullAt[total] ?? 0) > now) return;
    if (this.#tells && this.#changedBy[total] !== 0) return;
    this.#totals.free(total);
  }

  #freeShare(share: number): void {
    if (this.#shareConnections[share] !== 0 || (this.#tells && this.#shareArrivals[share] !== 0)) return;
    this.#shares.free(share);
  }

  #mark(total: number, by: number): void {
    const before = this.#changedBy[total];
    if (before === 0) this.#changed.push(total);
    this.#changedBy[total] = before === 0 || before === by ? by : SEVERAL;
    this.#timer ??= this.#tellAfter(TELL_MS);
  }

  #tell(): void {
    this.#timer = undefined;
    const batch = this.#changed.splice(0, MAX_TOLD);
    let isBehind = false;
    for (const worker of this.#hooks.workers()) {
      this.#records.clear();
      for (const total of batch) {
        // Only it has changed its own: for it the others are as they were.
        if (this.#changedBy[total] !== worker + 1) this.#addRecord(total, worker);
      }
      if (this.#records.count > 0 && !this.#hooks.tellWorker(worker, this.#records.bytes)) isBehind = true;
    }
    const now = performance.now();
    for (const total of batch) {
      this.#settleArrivals(total);
      this.#changedBy[total] = 0;
      if (isBehind) this.#mark(total, SEVERAL);
      else this.#forgetIfIdle(total, now);
    }
    clearTimeout(this.#timer);
    this.#timer = this.#changed.length === 0 ? undefined : this.#tellAfter(isBehind ? RETRY_MS : TELL_MS);
  }

  #tellAfter(milliseconds: number): NodeJS.Timeout {
    return this.#guard.after(milliseconds, 'telling workers of addresses', () => this.#tell());
  }

  #addRecord(total: number, worker: number): void {
    const high = this.#totals.high(total);
    const low = this.#totals.low(total);
    const share = this.#shares.find(high, low, clientsOf(worker));
    const own = share === -1 ? 0 : (this.#shareConnections[share] ?? 0);
    const ownArrivals = share === -1 ? 0 : (this.#shareArrivals[share] ?? 0);
    const elsewhere = (this.#connections[total] ?? 0) - own;
    this.#records.addShare(high, low, elsewhere, (this.#arrivals[total] ?? 0) - ownArrivals);
  }

  #settleArrivals(total: number): void {
    if (this.#arrivals[total] === 0) return;
    this.#arrivals[total] = 0;
    for (const worker of this.#hooks.workers()) {
      const tag = clientsOf(worker);
      const share = this.#shares.find(this.#totals.high(total), this.#totals.low(total), tag);
      if (share === -1) continue;
      this.#shareArrivals[share] = 0;
      this.#freeShare(share);
    }
  }
}

/** Tags of a worker's shares: sockets that the master counted, and clients that the worker counts. */
function peersOf(worker: number): number {
  return worker * 2;
}

function clientsOf(worker: number): number {
  return worker * 2 + 1;
}
