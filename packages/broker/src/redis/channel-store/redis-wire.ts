import type { PublishResult } from '../../broker.ts';
import {
  MAX_EVENTS,
  type ChannelCounts,
  type ChannelEvent,
  type ChannelSnapshot,
  type ChannelStoreOptions,
  type JoinResult,
  type ReadOptions,
} from '../../channel-store.ts';
import { notWanted } from '../../channel-store/not-wanted.ts';
import { splitPair } from '../../channel-store/pair.ts';
import { StepQueue } from '../../channel-store/step-queue.ts';
import type {
  CountResult,
  CountStep,
  JoinStep,
  LeaveStep,
  StoreWire,
  TakeStep,
  Truth,
} from '../../channel-store/store-wire.ts';
import type { Shortcoming } from '../connection/handshake.ts';
import { answerOf } from '../failure.ts';
import type { Publisher } from '../publisher.ts';
import { JoiningAgain } from './joining-again.ts';
import { StoreKeys } from './keys.ts';
import { Lease, listOf } from './lease.ts';
import { Reaper } from './reaper.ts';
import { ScriptRunner, type Reply } from './script-runner.ts';
import { NO_LEASE } from './scripts/script.ts';
import { snapshotIn } from './snapshot.ts';
import { StoreSteps } from './store-steps.ts';

/** How long a stop waits for what is under way, and for its own entries to be removed, each in ms. */
const STOP_MS = 1_000;
/** Most channels that are counted in one step. */
const MAX_COUNTED = 128;
/** Default of `leaseMs`. */
const LEASE_MS = 3_500;

export interface RedisWireOptions extends ChannelStoreOptions {
  readonly publisher: Publisher;
  readonly prefix: string;
  /** For messages. */
  readonly shownUrl: string;
  readonly onShortcoming: (shortcoming: Shortcoming) => void;
}

const PUBLISHED: PublishResult = Object.freeze({});

/**
 * The way to the state of channels in Redis: each step is a script, sent in one command on the publisher connection. What this
 * worker has there belongs to the owner whose lease it holds, and is removed with it.
 */
export class RedisWire implements StoreWire {
  readonly #queue = new StepQueue();
  readonly #steps: StoreSteps;
  readonly #lease: Lease;
  readonly #reaper: Reaper;
  readonly #onOwner: ((owner: string) => void) | undefined;
  #truth: Truth | undefined;
  #again: JoiningAgain | undefined;

  constructor(options: RedisWireOptions) {
    const { publisher, prefix, shownUrl, leaseMs = LEASE_MS } = options;
    const { recorded = [], maxEvents = MAX_EVENTS } = options;
    const keys = new StoreKeys(prefix);
    const runner = new ScriptRunner(publisher, {
      scriptOnDenied: (error) => options.onShortcoming(denied(shownUrl, prefix, error)),
      scriptOnUnwritable: (error) => options.onShortcoming(unwritable(shownUrl, error)),
    });
    this.#onOwner = options.onOwner;
    this.#steps = new StoreSteps({ runner, keys, recorded, maxEvents });
    this.#reaper = new Reaper({
      runner,
      keys,
      steps: this.#steps,
      leaseMs,
      onReaped: () => this.#count('reapedOwnerCount'),
      onError: () => this.#count('errorCount'),
    });
    this.#lease = new Lease(
      { runner, keys, leaseMs, shownUrl },
      {
        leaseOnBegin: (opening) => {
          this.#onOwner?.(opening.owner);
          this.#again?.begin(opening);
        },
        leaseTelling: () => this.#again?.telling ?? { former: '', isSettling: false },
        leaseOnOpen: () => {
          this.#again?.settled();
          this.#truth?.flush();
          this.#reaper.allow(true);
        },
        leaseOnEnd: () => {
          this.#again?.end();
          this.#reaper.allow(false);
        },
        leaseOnLost: () => this.#count('lostLeaseCount'),
        leaseOnError: () => this.#count('errorCount'),
        leaseOnExpired: (owner) => this.#reaper.reap(owner, true),
        leaseOnDropped: (count) => this.#count('droppedEventCount', count),
      },
    );
  }

  get isOpen(): boolean {
    return this.#lease.owner !== undefined;
  }

  /** Under which name others know what this worker has. */
  get owner(): string | undefined {
    return this.#lease.name;
  }

  connect(truth: Truth): void {
    this.#truth = truth;
    this.#again = new JoiningAgain({
      truth,
      steps: this.#steps,
      onDone: (former) => this.#reaper.reap(former, false),
      onNoLease: (owner) => this.#lease.lost(owner),
      onFailed: (owner) => this.#lease.failed(owner),
    });
  }

  use(): void {
    this.#lease.use();
  }

  /** There is a connection that commands can be sent on. */
  connected(): void {
    this.#lease.connected();
  }

  disconnected(): void {
    this.#lease.disconnected();
  }

  /** A worker is known to be dead. */
  reap(owner: string): void {
    this.#lease.use();
    this.#reaper.reap(owner, false);
  }

  join({ channel, member, options, isWanted }: JoinStep): Promise<JoinResult> {
    return this.#leased(async (owner) => {
      if (!isWanted()) throw notWanted();
      const reply = await this.#steps.join(owner, channel, member, options, isWanted);
      const outcome = listOf(reply)[0] === 0 ? 'full' : 'joined';
      return [listOf(reply)[0], () => ({ outcome, snapshot: snapshotIn(reply) })];
    });
  }

  leave({ pair, isWanted }: LeaveStep): Promise<void> {
    return this.#leased(async (owner) => {
      if (!isWanted()) throw notWanted();
      return [await this.#steps.leave(owner, pair, splitPair(pair), isWanted), () => undefined];
    }, true);
  }

  count({ channel, count, tellsCount, isWanted }: CountStep): Promise<CountResult> {
    return this.#leased(async (owner) => {
      if (!isWanted()) throw notWanted();
      const told = count();
      const words = { channel, count: told, tellsCount: tellsCount() };
      const [status, total] = listOf(await this.#steps.count(owner, words, isWanted));
      return [status, () => ({ count: told, total: Number(total) })];
    }, true);
  }

  take(step: TakeStep): Promise<number> {
    return this.#leased(async (owner) => {
      const [status, taken] = listOf(await this.#steps.take(owner, step));
      return [status, () => Number(taken)];
    }, true);
  }

  read(channel: string, options: ReadOptions): Promise<ChannelSnapshot> {
    return this.#leased(async (owner) => {
      const reply = await this.#steps.read(owner, channel, options);
      return [listOf(reply)[0], () => snapshotIn(reply, options.memberLimit)];
    });
  }

  async publishLast(channel: string, envelope: Buffer, keepMs: number): Promise<PublishResult> {
    await this.#queue.run(() => this.#steps.publishLast(channel, envelope, keepMs));
    return PUBLISHED;
  }

  async counts(channels: readonly string[]): Promise<readonly ChannelCounts[]> {
    const pages: Promise<readonly ChannelCounts[]>[] = [];
    for (let from = 0; from < channels.length; from += MAX_COUNTED) {
      const page = channels.slice(from, from + MAX_COUNTED);
      pages.push(this.#leased(async () => [1, countsIn(await this.#steps.counts(page))]));
    }
    return (await Promise.all(pages)).flat();
  }

  occupiedChannels(prefix: string, limit: number): Promise<readonly string[]> {
    return this.#leased(async () => {
      const names = listOf(await this.#steps.occupied(prefix, limit));
      return [1, () => names.map(String)];
    });
  }

  async addEvent(event: ChannelEvent): Promise<void> {
    if (this.#steps.records(event.type)) await this.#queue.run(() => this.#steps.addEvent(event));
  }

  /** Sends what is under way, and removes what this worker still has. Needs the connection. */
  async stop(): Promise<void> {
    const owner = this.#lease.name;
    const isOpen = this.isOpen;
    await withinMs(this.#queue.idle(), STOP_MS);
    this.#lease.stop();
    if (owner === undefined || !isOpen) return;
    this.#reaper.reap(owner, false);
    this.#reaper.allow(true);
    await withinMs(this.#reaper.idle(), STOP_MS);
    this.#reaper.allow(false);
  }

  /** Takes a step under the owner's name; again under the next one, when the lease turns out to be lost. */
  #leased<Result>(
    take: (owner: string) => Promise<readonly [status: Reply | undefined, result: () => Result]>,
    mustWait = false,
  ): Promise<Result> {
    return this.#queue.run(async () => {
      for (;;) {
        // Without a pause when there is an owner, so that steps are sent in their order.
        const owner = this.#lease.owner ?? (await this.#lease.opened());
        const [status, result] = await take(owner);
        if (status !== NO_LEASE) return result();
        this.#lease.lost(owner);
      }
    }, mustWait);
  }

  #count(name: 'errorCount' | 'lostLeaseCount' | 'reapedOwnerCount' | 'droppedEventCount', count = 1): void {
    if (this.#truth !== undefined) this.#truth.counters[name] += count;
  }
}

function countsIn(reply: Reply): () => readonly ChannelCounts[] {
  return () => {
    const numbers = listOf(reply).map(Number);
    const counts: ChannelCounts[] = [];
    for (let at = 0; at < numbers.length; at += 2) {
      counts.push({ subscribers: numbers[at] ?? 0, members: numbers[at + 1] ?? 0 });
    }
    return counts;
  };
}

function denied(shownUrl: string, prefix: string, error: Error): Shortcoming {
  return {
    kind: 'store',
    reason: `Presence, counts of subscribers and last events do not work: Redis at ${shownUrl} denies what they need (${answerOf(error)}). Give the user ~${prefix}*, &${prefix}* and the commands that docs/guide/broadcasting.md names.`,
  };
}

function unwritable(shownUrl: string, error: Error): Shortcoming {
  return {
    kind: 'store',
    reason: `Presence, counts of subscribers and last events stand still, while publications arrive: Redis at ${shownUrl} stores nothing (${answerOf(error)}).`,
    mayRecur: true,
  };
}

async function withinMs(promise: Promise<unknown>, milliseconds: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
