import { randomBytes } from 'node:crypto';
import { BrokerError } from '../../errors.ts';
import type { StoreKeys } from './keys.ts';
import type { Reply, ScriptRunner } from './script-runner.ts';
import { OPEN, TICK } from './scripts/leases.ts';
import { NO_LEASE } from './scripts/script.ts';

/** How often a lease is renewed, and looked for one that has expired, in ms. */
const TICK_MS = 500;
/** After everything was lost: how long all wait, so that everybody is there again before anybody comes or goes. In ms. */
const SETTLE_MS = 2_000;
/** How soon it is looked at again whether everybody is, at least, in ms. */
const SETTLE_LOOK_MS = 100;
/** How often it is tried again after Redis refused, in ticks. */
const REFUSED_TICKS = 10;

export interface LeaseOptions {
  readonly runner: ScriptRunner;
  readonly keys: StoreKeys;
  readonly leaseMs: number;
  /** For messages. */
  readonly shownUrl: string;
}

/** A lease has begun. */
export interface Opening {
  readonly owner: string;
  /** What this worker was before, if its entries may still be there. */
  readonly former: string | undefined;
  /** Redis has lost everything since: nobody is to notice. */
  readonly isFlushed: boolean;
}

/** How far this worker has told a new owner's entries. */
export interface Telling {
  /** The owner whose entries move: it must not expire meanwhile. Empty: none, or all have moved. */
  readonly former: string;
  /** Everything was lost, and not everything has been told again. */
  readonly isSettling: boolean;
}

export interface LeaseHandlers {
  /** Called before anybody who waits goes on. */
  leaseOnBegin(opening: Opening): void;
  leaseTelling(): Telling;
  /** From here on leaves and counts can be sent. */
  leaseOnOpen(): void;
  /** There is none any more, for whatever reason. */
  leaseOnEnd(): void;
  /** It ended because Redis did not know it any more. */
  leaseOnLost(): void;
  /** A step of its own has failed, and is tried again. */
  leaseOnError(): void;
  /** An owner has died, and is this worker's to remove. */
  leaseOnExpired(owner: string): void;
  leaseOnDropped(eventCount: number): void;
}

/**
 * The lease under which this worker has entries in Redis. It exists from the first step on, and as long as it is renewed.
 *
 * ```
 * idle ─first step─► opening ─► (settling ─►) open ─ lost, or the connection is made again ─► opening, as a new owner
 *                      └─ refused: again after 5 seconds
 * ```
 *
 * An owner is never taken up again: commands of a connection that is given up may still arrive, and must not meet a
 * living owner of theirs.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #handlers: LeaseHandlers;
  readonly #waiting: {
    readonly resolve: (owner: string) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  #isConnected = false;
  #isUsed = false;
  #isStopped = false;
  /** The owner whose lease has begun; undefined while there is none. */
  #owner: string | undefined;
  #isOpen = false;
  #former: string | undefined;
  #epoch = '';
  /** The attempt to begin that is under way. */
  #attempt: object | undefined;
  #refusal: { readonly error: BrokerError; ticks: number } | undefined;
  #tickTimer: NodeJS.Timeout | undefined;
  #settleTimer: NodeJS.Timeout | undefined;

  constructor(options: LeaseOptions, handlers: LeaseHandlers) {
    this.#options = options;
    this.#handlers = handlers;
  }

  /** Under which steps can be taken now. */
  get owner(): string | undefined {
    return this.#isOpen ? this.#owner : undefined;
  }

  /** Under which this worker can be known to others: from the beginning of a lease on. */
  get name(): string | undefined {
    return this.#owner;
  }

  /** Resolves with the owner when steps can be taken. Rejects with `BROKER_UNAVAILABLE`, or with why Redis refuses. */
  opened(): Promise<string> {
    this.use();
    if (this.#isOpen && this.#owner !== undefined) return Promise.resolve(this.#owner);
    if (!this.#isConnected) return Promise.reject(this.#away());
    if (this.#refusal !== undefined) return Promise.reject(this.#refusal.error);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** From now on there is a lease whenever there can be one. */
  use(): void {
    if (this.#isUsed || this.#isStopped) return;
    this.#isUsed = true;
    this.#tickTimer = setInterval(() => void this.#tick(), TICK_MS).unref();
    if (this.#isConnected) void this.#begin();
  }

  connected(): void {
    if (this.#isStopped) return;
    this.#isConnected = true;
    this.#refusal = undefined;
    if (this.#isUsed) void this.#begin();
  }

  disconnected(): void {
    this.#isConnected = false;
    this.#end();
    this.#rejectAll(this.#away());
  }

  /** Redis knows nothing of this owner. */
  lost(owner: string): void {
    if (owner !== this.#owner) return;
    this.#handlers.leaseOnLost();
    this.#end();
    void this.#begin();
  }

  /** What had to be done at the beginning could not be: it begins again, a little later. */
  failed(owner: string): void {
    if (owner !== this.#owner) return;
    this.#handlers.leaseOnError();
    this.#end();
  }

  stop(): void {
    this.#isStopped = true;
    this.#isConnected = false;
    clearInterval(this.#tickTimer);
    this.#end();
    this.#rejectAll(this.#away());
  }

  #end(): void {
    this.#attempt = undefined;
    if (this.#owner === undefined) return;
    this.#former = this.#owner;
    this.#owner = undefined;
    this.#isOpen = false;
    clearTimeout(this.#settleTimer);
    this.#handlers.leaseOnEnd();
  }

  async #begin(): Promise<void> {
    if (this.#attempt !== undefined || this.#owner !== undefined || !this.#isConnected) return;
    const attempt = {};
    this.#attempt = attempt;
    const { runner, keys, leaseMs, shownUrl } = this.#options;
    const owner = randomBytes(9).toString('base64url');
    const known = this.#epoch;
    try {
      const [epoch, settleMs] = listOf(
        await runner.run({
          script: OPEN,
          keys: [keys.leases, keys.epoch, keys.settling, keys.beat],
          args: [owner, leaseMs, randomBytes(9).toString('base64url'), known, SETTLE_MS],
          doing: `Taking part in the channel store in Redis at ${shownUrl}`,
        }),
      );
      if (this.#attempt !== attempt) return;
      this.#attempt = undefined;
      this.#refusal = undefined;
      this.#owner = owner;
      this.#epoch = String(epoch);
      const isFlushed = known !== '' && known !== this.#epoch;
      const former = isFlushed ? undefined : this.#former;
      this.#former = undefined;
      this.#handlers.leaseOnBegin({ owner, former, isFlushed });
      this.#settle(owner, Number(settleMs));
    } catch (error) {
      if (this.#attempt !== attempt) return;
      this.#attempt = undefined;
      this.#handlers.leaseOnError();
      if (!(error instanceof BrokerError) || error.code !== 'BROKER_REFUSED') return;
      this.#refusal = { error, ticks: REFUSED_TICKS };
      this.#rejectAll(error);
    }
  }

  /** It is open when everybody has told everything again: so many ms must go by yet. */
  #settle(owner: string, settleMs: number): void {
    if (owner !== this.#owner || this.#isOpen) return;
    clearTimeout(this.#settleTimer);
    if (settleMs > 0 || this.#handlers.leaseTelling().isSettling) {
      this.#settleTimer = setTimeout(() => void this.#tick(), Math.max(settleMs, SETTLE_LOOK_MS)).unref();
      return;
    }
    this.#isOpen = true;
    for (const { resolve } of this.#waiting.splice(0)) resolve(owner);
    this.#handlers.leaseOnOpen();
  }

  async #tick(): Promise<void> {
    const owner = this.#owner;
    if (owner === undefined) {
      if (this.#refusal !== undefined && (this.#refusal.ticks -= 1) > 0) return;
      void this.#begin();
      return;
    }
    const { runner, keys, leaseMs } = this.#options;
    const { former, isSettling } = this.#handlers.leaseTelling();
    try {
      const [status, expired, dropped, settleMs] = listOf(
        await runner.run({
          script: TICK,
          keys: [keys.leases, keys.beat, keys.eventsDropped, keys.settling],
          args: [owner, leaseMs, former, isSettling ? SETTLE_MS : 0],
          doing: 'Renewing a lease in Redis',
        }),
      );
      if (status === NO_LEASE) {
        this.lost(owner);
        return;
      }
      this.#settle(owner, Number(settleMs));
      if (Number(dropped) > 0) this.#handlers.leaseOnDropped(Number(dropped));
      if (String(expired) !== '') this.#handlers.leaseOnExpired(String(expired));
    } catch {
      // Not renewed: the next tick does it, or the lease is lost.
      this.#handlers.leaseOnError();
    }
  }

  #rejectAll(error: BrokerError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  #away(): BrokerError {
    return new BrokerError(
      'BROKER_UNAVAILABLE',
      `A step of a channel was not sent: Redis at ${this.#options.shownUrl} is away, or the broker is stopped.`,
    );
  }
}

/** What a script answers with, when that is a list. */
export function listOf(reply: Reply): readonly Reply[] {
  return Array.isArray(reply) ? reply : [reply];
}
