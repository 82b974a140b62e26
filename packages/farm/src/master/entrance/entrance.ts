import { ADDRESS_BYTES, resetDescriptor } from '@roost/poller';
import { FLAG_COUNTED, FLAG_LIMITED, FLAG_RESERVED } from '../../link/hand-off-record.ts';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import { Rate } from '../../addresses/rate.ts';
import { TrustedProxies } from '../../options/trusted-proxies.ts';
import type { AcceptorHooks } from './acceptor.ts';
import { AddressLimits } from './address-limits.ts';
import type { Arrivals } from './arrivals.ts';
import type { Guard } from '../guard.ts';
import { HandOff, isLimited, type AcceptedSocket } from './hand-off.ts';
import { fewestLimited } from './placement.ts';
import { Placer } from './placer.ts';
import type { WorkerLife } from '../workers/worker-life.ts';

/** What the entrance needs of a worker. */
export type EntranceWorker = Pick<
  WorkerLife,
  | 'capacity'
  | 'connections'
  | 'flush'
  | 'give'
  | 'giveRun'
  | 'id'
  | 'isLagging'
  | 'limited'
  | 'offer'
  | 'releasedAt'
  | 'room'
  | 'unacknowledged'
  | 'updateLag'
>;

/** A release at most this long ago counts as current. */
const RECENT_RELEASE_MS = 100;
/** A full farm that is losing connections at this moment makes new ones wait for at most this long. */
const MAX_WAIT_FOR_RELEASES_MS = 1000;

/**
 * Between the listener and the workers: which sockets may enter, and where.
 *
 * After a network failure all clients reconnect at once, while the ends of their old connections arrive: a farm that is
 * more than half full seems full for a moment. So while connections are ending, a full farm accepts no sockets, for up to
 * a second; only then are new ones refused, with the reserved connections.
 *
 *     accepted ─► admitted ─► given to a worker ─► acknowledged
 *         │          └─► waiting, when none has room ◄─┘ (returned: the worker died, or had no descriptor)
 *         └─► over a limit of its address ─► given to a worker, for an answer ─┬─► reset
 *                                       └─────────────────────────────────────┘ (no budget, TLS, or returned)
 */
export class Entrance implements AcceptorHooks {
  readonly #config: FarmConfig;
  readonly #workers: readonly EntranceWorker[];
  readonly #counters: Counters;
  readonly #isTls: () => boolean;
  readonly #guard: Guard;
  readonly #maxUnacknowledged: number;
  readonly #placer: Placer;
  readonly #arrivals: Pick<Arrivals, 'note'>;
  /** Undefined when no address has a limit. */
  readonly #addressLimits: AddressLimits | undefined;
  readonly #refusals: Rate;
  /** Sockets that wait for a worker. Bounded by what workers may leave unacknowledged. */
  #waiting: AcceptedSocket[] = [];
  #lastConnectionNumber = 0;
  /** Since when the farm has been full. */
  #fullSince: number | undefined;
  #isStopped = false;
  /** The sockets in hand have an owner. */
  #isTaken = false;
  /** How many are in hand. */
  #entering = 1;

  /**
   * `workers` may change between two calls. `maxUnacknowledged`: sockets of the whole farm of which we may hold copies.
   * `cpus`: how many its workers run on. `arrivals` are told when each number is given.
   */
  constructor(
    config: FarmConfig,
    workers: readonly EntranceWorker[],
    counters: Counters,
    {
      maxUnacknowledged,
      cpus,
      arrivals,
    }: {
      readonly maxUnacknowledged: number;
      readonly cpus: number;
      readonly arrivals: Pick<Arrivals, 'note'>;
    },
    isTls: () => boolean,
    guard: Guard,
  ) {
    this.#config = config;
    this.#workers = workers;
    this.#counters = counters;
    this.#maxUnacknowledged = maxUnacknowledged;
    this.#arrivals = arrivals;
    this.#placer = new Placer(workers, config, cpus);
    this.#isTls = isTls;
    this.#guard = guard;
    this.#refusals = new Rate(config.maxRefusalsPerSecond);
    const proxies = new TrustedProxies(config.trustedProxies);
    this.#addressLimits = AddressLimits.when(config, counters, guard, {
      workers: () => workers.map(({ id }) => id),
      isTrusted: (addresses, offset) => proxies.isTrusted(addresses, offset),
      tellWorker: (id, payload) =>
        workers.find((worker) => worker.id === id)?.offer({ type: 'addresses', payload }) ?? true,
    });
  }

  room(): number {
    const now = performance.now();
    const { maxConnections, reservedConnections } = this.#config;
    let unacknowledged = 0;
    let connections = 0;
    let limited = 0;
    let free = 0;
    let reserved = 0;
    for (const worker of this.#workers) {
      worker.updateLag(now);
      unacknowledged += worker.unacknowledged;
      connections += worker.connections;
      limited += worker.limited;
      free += roomOf(worker, worker.capacity - worker.connections);
      reserved += roomOf(worker, worker.capacity + reservedConnections - worker.connections - worker.limited);
    }
    const unasked = this.#maxUnacknowledged - unacknowledged - this.#waiting.length;
    const places = Math.min(free, maxConnections - connections);
    if (places > 0) {
      this.#fullSince = undefined;
      return Math.min(places, unasked);
    }
    if (this.#waitsForReleases(now)) return 0;
    return Math.min(
      reserved,
      maxConnections + reservedConnections * this.#workers.length - connections - limited,
      unasked,
    );
  }

  accepted(fds: Int32Array, count: number, addresses: Uint8Array): number {
    this.#placer.begin(count);
    this.#arrivals.note(this.#lastConnectionNumber + 1, performance.now());
    let admitted = 0;
    for (let index = 0; index < count; index += this.#entering) {
      this.#entering = 1;
      this.#isTaken = false;
      try {
        admitted +=
          this.#addressLimits === undefined
            ? this.#enter(fds, index, count, addresses)
            : this.#judge(this.#addressLimits, fds[index] ?? -1, addresses, index * ADDRESS_BYTES);
      } catch (error) {
        this.#guard.failed('letting a socket in', error);
        // A socket that may be on its way is not ours to close: its number may belong to another one by now.
        if (!this.#isTaken) this.#reset(fds[index] ?? -1);
      }
    }
    this.#flush();
    return admitted;
  }

  /** A worker takes hand-offs now. */
  workerReady(): void {
    this.#addressLimits?.workerReady();
  }

  /** Sockets that a worker will not serve, dead or alive. */
  takeBack(worker: EntranceWorker, sockets: readonly AcceptedSocket[]): void {
    for (const socket of sockets) {
      if ((socket.flags & FLAG_COUNTED) !== 0) this.#addressLimits?.returned(worker.id, socket.address, 0);
      if (!isLimited(socket)) this.#waiting.push(socket);
      else this.#reset(socket.fd);
    }
    if (this.#isStopped) this.stop();
    else this.placeWaiting();
  }

  /** Gives waiting sockets to workers that have room; the others keep waiting. */
  placeWaiting(): void {
    if (this.#waiting.length === 0) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    let next = 0;
    try {
      this.#placer.begin(waiting.length);
      while (next < waiting.length) {
        const admitted = this.#placer.place();
        const worker = admitted === undefined ? undefined : this.#workers[admitted.worker];
        const socket = waiting[next++];
        if (socket === undefined) continue;
        if (worker === undefined) {
          this.#waiting.push(socket);
        } else {
          this.#counters.add('handoffs_placed_again');
          this.#give(worker, socket);
        }
      }
    } finally {
      // After an exception the others wait on.
      this.#waiting.push(...waiting.slice(next));
    }
    this.#flush();
  }

  /** What a worker has noted of the addresses of its sockets. */
  noted(worker: EntranceWorker, payload: Buffer): void {
    this.#addressLimits?.noted(worker.id, payload);
  }

  /** Connections of these addresses have moved from one worker, which may be gone, to another. */
  moved(from: number, to: number, payload: Buffer): void {
    this.#addressLimits?.moved(from, to, payload);
  }

  /** A worker is gone, and all that it had. */
  workerEnded(worker: EntranceWorker): void {
    this.#addressLimits?.workerEnded(worker.id);
  }

  /** There are no workers any more: waiting sockets are ended. */
  stop(): void {
    this.#isStopped = true;
    this.#addressLimits?.stop();
    this.#counters.add('handoffs_lost', this.#waiting.length);
    HandOff.drop(this.#waiting);
    this.#waiting = [];
  }

  /** Where no address has a limit: takes over as many sockets as go to the same worker. Answers how many. */
  #enter(fds: Int32Array, from: number, to: number, addresses: Uint8Array): number {
    const admitted = this.#placer.place();
    const worker = admitted === undefined ? undefined : this.#workers[admitted.worker];
    if (worker === undefined) {
      this.#wait(fds[from] ?? -1, addresses, from * ADDRESS_BYTES, 0);
      return 1;
    }
    const count = 1 + this.#placer.takeMore(to - from - 1);
    this.#entering = count;
    this.#isTaken = true;
    const firstNumber = this.#lastConnectionNumber + 1;
    this.#lastConnectionNumber += count;
    const flags = admitted?.isReserved === true ? FLAG_RESERVED : 0;
    worker.giveRun({ fds, from, count, addresses, firstNumber, flags });
    return count;
  }

  /** Where addresses have limits: takes over one socket. Answers 1, or 0 when it is refused. */
  #judge(limits: AddressLimits, fd: number, addresses: Uint8Array, offset: number): number {
    const verdict = limits.judge(addresses, offset, performance.now());
    if (verdict === 'connections' || verdict === 'rate') {
      this.#refuse(fd, addresses, offset);
      return 0;
    }
    const counted = verdict === 'counted' ? FLAG_COUNTED : 0;
    const admitted = this.#placer.place();
    const worker = admitted === undefined ? undefined : this.#workers[admitted.worker];
    if (worker === undefined) {
      this.#wait(fd, addresses, offset, counted);
    } else {
      const flags = (admitted?.isReserved === true ? FLAG_RESERVED : 0) | counted;
      this.#give(
        worker,
        { fd, number: ++this.#lastConnectionNumber, address: NO_ADDRESS, flags },
        addresses,
        offset,
      );
    }
    return 1;
  }

  /** Nobody has room. */
  #wait(fd: number, addresses: Uint8Array, offset: number, flags: number): void {
    this.#isTaken = true;
    const address = addresses.slice(offset, offset + ADDRESS_BYTES);
    this.#waiting.push({ fd, number: ++this.#lastConnectionNumber, address, flags });
  }

  #flush(): void {
    for (const worker of this.#workers) worker.flush();
  }

  /** The farm is full, but may have room in a moment. */
  #waitsForReleases(now: number): boolean {
    this.#fullSince ??= now;
    if (now - this.#fullSince >= MAX_WAIT_FOR_RELEASES_MS) return false;
    return this.#workers.some((worker) => now - worker.releasedAt < RECENT_RELEASE_MS);
  }

  #give(worker: EntranceWorker, socket: AcceptedSocket, address = socket.address, offset = 0): void {
    this.#isTaken = true;
    worker.give(socket, address, offset);
    if ((socket.flags & FLAG_COUNTED) !== 0) this.#addressLimits?.handed(worker.id, address, offset);
  }

  /**
   * Over a limit of its address: a worker answers it, if that does not take too much of what others need. On TLS a
   * whole handshake would have to precede the answer.
   */
  #refuse(fd: number, addresses: Uint8Array, offset: number): void {
    const now = performance.now();
    const isAnswered = this.#refusals.available(now) > 0 && !this.#isTls();
    const worker = isAnswered
      ? this.#workers[fewestLimited(this.#workers, this.#config.reservedConnections)]
      : undefined;
    if (worker === undefined) {
      this.#isTaken = true;
      this.#reset(fd);
      return;
    }
    this.#refusals.take(now);
    this.#isTaken = true;
    const number = ++this.#lastConnectionNumber;
    worker.give({ fd, number, address: NO_ADDRESS, flags: FLAG_LIMITED }, addresses, offset);
  }

  #reset(fd: number): void {
    this.#counters.add('refusals_closed');
    resetDescriptor(fd);
  }
}

const NO_ADDRESS = new Uint8Array(ADDRESS_BYTES);

/** How many of a worker's places may be used now. */
function roomOf(worker: EntranceWorker, places: number): number {
  return Math.max(0, Math.min(worker.room, places));
}
