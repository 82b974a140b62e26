import type { PublishResult } from '../broker.ts';
import type {
  ChannelCounts,
  ChannelEvent,
  ChannelEventType,
  ChannelSnapshot,
  JoinResult,
  ReadOptions,
} from '../channel-store.ts';
import { notWanted } from '../channel-store/not-wanted.ts';
import { splitPair } from '../channel-store/pair.ts';
import { StepQueue } from '../channel-store/step-queue.ts';
import type {
  CountResult,
  CountStep,
  JoinStep,
  LeaveStep,
  StoreWire,
  TakeStep,
  Truth,
} from '../channel-store/store-wire.ts';
import { DeadlineQueue } from '../deadline-queue.ts';
import { BrokerError } from '../errors.ts';
import { ownedCopy } from '../owned-copy.ts';
import type { ChannelStep, ChannelStepAnswer } from './channel-steps.ts';
import type { BrokerLink, ExchangeToWorkerMessage } from './link.ts';

export interface MemoryWireOptions {
  readonly link: BrokerLink;
  /** How long a step waits for its answer, in ms. */
  readonly timeoutMs: number;
  readonly recorded: readonly ChannelEventType[];
  /** By which name the exchange knows this worker: see link.ts. */
  readonly owner: string;
}

/** A step that the exchange has not answered. */
interface Asked {
  readonly id: number;
  readonly resolve: (answer: Stepped) => void;
  readonly reject: (error: BrokerError) => void;
}

interface AskOptions {
  readonly isWanted?: () => boolean;
  /** See StepQueue.run. */
  readonly mustWait?: boolean;
  readonly payload?: Buffer;
}

interface Stepped {
  readonly answer: ChannelStepAnswer;
  readonly payload?: Buffer;
}

const PUBLISHED: PublishResult = Object.freeze({});

/**
 * The way to the state of channels in the master: one message for each step, and one that answers it, on the link that the
 * publications take, in their order.
 */
export class MemoryWire implements StoreWire {
  isOpen = false;
  readonly owner: string;
  readonly #link: BrokerLink;
  readonly #recorded: ReadonlySet<ChannelEventType>;
  readonly #timeoutMs: number;
  readonly #queue = new StepQueue();
  readonly #asked = new Map<number, Asked>();
  readonly #deadlines: DeadlineQueue<Asked>;
  #lastId = 0;
  #truth: Truth | undefined;

  constructor({ link, timeoutMs, recorded, owner }: MemoryWireOptions) {
    this.owner = owner;
    this.#link = link;
    this.#recorded = new Set(recorded);
    this.#timeoutMs = timeoutMs;
    this.#deadlines = new DeadlineQueue(timeoutMs, (asked) => this.#giveUp(asked));
  }

  connect(truth: Truth): void {
    this.#truth = truth;
  }

  use(): void {
    // It opens with the broker.
  }

  /** The broker is ready. */
  open(): void {
    this.isOpen = true;
    this.#truth?.flush();
  }

  async join({ channel, member, options, isWanted }: JoinStep): Promise<JoinResult> {
    const { maxMembers } = options;
    const step: ChannelStep = {
      what: 'join',
      channel,
      member,
      // JSON knows no infinity.
      options: { ...options, maxMembers: Math.min(maxMembers, Number.MAX_SAFE_INTEGER) },
    };
    return snapshotOf(await this.#ask(step, { isWanted }));
  }

  async leave({ pair, isWanted }: LeaveStep): Promise<void> {
    const [channel, user] = splitPair(pair);
    await this.#ask({ what: 'leave', channel, user }, { isWanted, mustWait: true });
  }

  async count({ channel, count, tellsCount, isWanted }: CountStep): Promise<CountResult> {
    let told = 0;
    const step = (): ChannelStep => {
      told = count();
      return { what: 'subscribers', channel, count: told, tellsCount: tellsCount() };
    };
    const { answer } = await this.#ask(step, { isWanted, mustWait: true });
    return { count: told, total: answer.what === 'total' ? answer.total : 0 };
  }

  async take(step: TakeStep): Promise<number> {
    const { answer } = await this.#ask({ what: 'take', ...step }, { mustWait: true });
    return answer.what === 'total' ? answer.total : 0;
  }

  async read(channel: string, options: ReadOptions): Promise<ChannelSnapshot> {
    const memberLimit = Math.min(options.memberLimit, Number.MAX_SAFE_INTEGER);
    const step: ChannelStep = { what: 'read', channel, options: { ...options, memberLimit } };
    return snapshotOf(await this.#ask(step)).snapshot;
  }

  async publishLast(channel: string, envelope: Buffer, keepMs: number): Promise<PublishResult> {
    await this.#ask({ what: 'last', channel, keepMs }, { payload: envelope });
    return PUBLISHED;
  }

  async counts(channels: readonly string[]): Promise<readonly ChannelCounts[]> {
    const { answer } = await this.#ask({ what: 'counts', channels });
    return answer.what === 'counts' ? answer.counts : [];
  }

  async occupiedChannels(prefix: string, limit: number): Promise<readonly string[]> {
    const { answer } = await this.#ask({ what: 'occupied', prefix, limit });
    return answer.what === 'channels' ? answer.channels : [];
  }

  async addEvent(event: ChannelEvent): Promise<void> {
    if (this.#recorded.has(event.type)) await this.#ask({ what: 'event', event });
  }

  /** The exchange has answered. */
  onStepped({ id, answer, payload }: Extract<ExchangeToWorkerMessage, { type: 'stepped' }>): void {
    const asked = this.#asked.get(id);
    // Given up already.
    if (asked === undefined) return;
    this.#forget(asked);
    asked.resolve(payload === undefined ? { answer } : { answer, payload: ownedCopy(payload) });
  }

  /** The exchange sees for itself who is gone. */
  reap(): void {
    // Nothing to do.
  }

  stop(): Promise<void> {
    this.isOpen = false;
    for (const asked of this.#asked.values()) this.#giveUp(asked);
    this.#deadlines.clear();
    return Promise.resolve();
  }

  #ask(
    step: ChannelStep | (() => ChannelStep),
    { isWanted, mustWait = false, payload }: AskOptions = {},
  ): Promise<Stepped> {
    return this.#queue.run(() => {
      if (!this.isOpen) return Promise.reject(notRunning());
      if (isWanted?.() === false) return Promise.reject(notWanted());
      this.#lastId += 1;
      const id = this.#lastId;
      const message = {
        type: 'step' as const,
        id,
        step: typeof step === 'function' ? step() : step,
        ...(payload !== undefined && { payload }),
      };
      if (!this.#link.send(message)) {
        return Promise.reject(
          new BrokerError(
            'BROKER_OVERLOADED',
            'Nothing was sent: the channel to the master is full, so publish or join more slowly.',
          ),
        );
      }
      return new Promise((resolve, reject) => {
        const asked: Asked = { id, resolve, reject };
        this.#asked.set(id, asked);
        this.#deadlines.add(asked);
      });
    }, mustWait);
  }

  #giveUp(asked: Asked): void {
    this.#forget(asked);
    asked.reject(
      new BrokerError(
        'BROKER_OUTCOME_UNKNOWN',
        this.isOpen
          ? `The master did not answer a step of a channel within ${this.#timeoutMs} ms, so it may or may not have been taken.`
          : 'The broker was stopped with a step of a channel under way, so it may or may not have been taken.',
      ),
    );
  }

  #forget(asked: Asked): void {
    this.#asked.delete(asked.id);
    this.#deadlines.remove(asked);
  }
}

function notRunning(): BrokerError {
  return new BrokerError(
    'BROKER_UNAVAILABLE',
    'A step of a channel was not sent: the embedded broker is not running.',
  );
}

function snapshotOf({ answer, payload }: Stepped): JoinResult {
  if (answer.what !== 'snapshot') {
    throw new BrokerError('BROKER_REFUSED', 'The master could not take a step of a channel.');
  }
  const { outcome, snapshot } = answer;
  const { lastEvent } = snapshot;
  return {
    outcome,
    snapshot: {
      ...snapshot,
      lastEvent:
        lastEvent === undefined || payload === undefined
          ? undefined
          : { event: lastEvent.event, ttlMs: lastEvent.ttlMs, payload },
    },
  };
}
