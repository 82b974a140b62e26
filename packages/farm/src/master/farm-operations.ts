import { setTimeout as pause } from 'node:timers/promises';
import { FarmError } from '../api/errors.ts';
import type { ChannelInfo } from '../api/info.ts';
import type {
  ChannelMembers,
  ConnectionDetails,
  DisconnectTarget,
  FarmOperations,
  MemberChannel,
} from '../api/operations.ts';
import type { AskAnswer, Operation } from '../link/questions.ts';
import { channelNameProblem } from '../options/channel-name.ts';
import { userProblem } from '../options/user-name.ts';
import type { Arrivals } from './entrance/arrivals.ts';
import type { Moving } from './moves/moving.ts';
import { askWorkers } from './workers/ask-workers.ts';
import type { WorkerLife } from './workers/worker-life.ts';

/** Of what the broker must confirm. */
const TIMEOUT_MS = 5000;
const MAX_TOP_CHANNELS = 100;
const MAX_MEMBERS = 1000;
/** How often one connection is asked for while connections move, and how far apart that is. */
const TRIES = 10;
const AGAIN_MS = 100;

type Workers = readonly Pick<WorkerLife, 'ask' | 'index' | 'state'>[];

/** What an operator may do with a running farm: the workers do it, for they have the connections and the broker. */
export class Operator implements FarmOperations {
  readonly #workers: Workers;
  readonly #maxChannelBytes: number;
  readonly #arrivals: Pick<Arrivals, 'timeOf'>;
  readonly #moving: Pick<Moving, 'isUnderWay'>;

  constructor(
    workers: Workers,
    { maxChannelBytes }: { readonly maxChannelBytes: number },
    arrivals: Pick<Arrivals, 'timeOf'>,
    moving: Pick<Moving, 'isUnderWay'>,
  ) {
    this.#workers = workers;
    this.#maxChannelBytes = maxChannelBytes;
    this.#arrivals = arrivals;
    this.#moving = moving;
  }

  async publish(channel: string, data: string): Promise<void> {
    this.#checkChannel(channel);
    // A worker could only fail at it, with all its connections.
    if (typeof data !== 'string') throw refused(`The data must be a string, got ${typeof data}.`);
    await this.#byOne({ question: 'publish', channel, data });
  }

  async disconnect(
    target: DisconnectTarget,
    { code, reason }: { readonly code?: number; readonly reason?: string } = {},
  ): Promise<boolean> {
    const operation: Operation = { question: 'disconnect', target, code, reason };
    if ('connection' in target) {
      const found = await this.#byOwner(operation, (answer) => (isFound(answer) ? answer : undefined));
      return found !== undefined;
    }
    if ('channel' in target) {
      this.#checkChannel(target.channel);
    } else {
      const problem = userProblem(target.user);
      if (problem !== undefined) throw refused(`${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`);
    }
    return isFound(await this.#byOne(operation));
  }

  async connection(id: string): Promise<ConnectionDetails | undefined> {
    const known = await this.#byOwner({ question: 'connection', connection: id }, (answer) =>
      answer.kind === 'connection' ? (answer.details ?? undefined) : undefined,
    );
    if (known === undefined) return undefined;
    const { number, ...details } = known;
    return { ...details, since: this.#sinceWhen(number) };
  }

  topChannels(limit: number): Promise<readonly ChannelInfo[]> {
    return this.#largest(limit, 'subscribers');
  }

  async topMemberChannels(limit: number): Promise<readonly MemberChannel[]> {
    const channels = (await this.#largest(limit, 'members')).map(({ channel }) => channel);
    if (channels.length === 0) return [];
    const answer = await this.#byOne({ question: 'counts', channels });
    if (answer.kind !== 'counts') throw unexpected();
    return channels
      .map((channel, index) => ({ channel, ...(answer.counts[index] ?? { subscribers: 0, members: 0 }) }))
      .toSorted((one, other) => other.members - one.members);
  }

  async members(channel: string, limit: number): Promise<ChannelMembers> {
    this.#checkChannel(channel);
    checkLimit(limit, MAX_MEMBERS);
    const answer = await this.#byOne({ question: 'members', channel, limit });
    if (answer.kind !== 'members') throw unexpected();
    return answer.members;
  }

  async #largest(limit: number, by: 'subscribers' | 'members'): Promise<readonly ChannelInfo[]> {
    checkLimit(limit, MAX_TOP_CHANNELS);
    // More of each than are wanted: a channel may be among the largest of the farm and of no worker.
    const { answers } = await askWorkers(this.#workers, { question: 'topChannels', limit: 2 * limit, by });
    const sums = new Map<string, number>();
    for (const answer of answers) {
      if (answer.kind !== 'channels') continue;
      for (const { channel, subscribers } of answer.channels) {
        sums.set(channel, (sums.get(channel) ?? 0) + subscribers);
      }
    }
    return Array.from(sums, ([channel, subscribers]) => ({ channel, subscribers }))
      .toSorted((one, other) => other.subscribers - one.subscribers)
      .slice(0, limit);
  }

  #sinceWhen(number: number): number | null {
    const acceptedAt = this.#arrivals.timeOf(number);
    return acceptedAt === undefined ? null : Math.round(Date.now() - (performance.now() - acceptedAt));
  }

  #checkChannel(channel: string): void {
    const problem = channelNameProblem(channel, this.#maxChannelBytes);
    if (problem !== undefined) throw new FarmError('FARM_ERR_CHANNEL_NAME', problem);
  }

  /** Has one of the workers do it, whichever is ready. Rejects with what it refuses with. */
  async #byOne(operation: Operation): Promise<AskAnswer> {
    const worker = this.#workers.find(({ state }) => state === 'ready');
    const answer = await worker?.ask(operation, TIMEOUT_MS);
    if (answer === undefined) {
      throw new FarmError('FARM_ERR_QUERY', 'No worker has done it in time, or it is not known whether.');
    }
    throwIfRefused(answer);
    return answer;
  }

  /**
   * What the worker that has a connection makes of it: see {@link #askOwner}. One that moves is with no worker for a moment, or
   * with another by the time that one is asked: so while connections move, all are asked a few times.
   */
  async #byOwner<Result>(
    operation: Operation,
    resultOf: (answer: AskAnswer) => Result | undefined,
  ): Promise<Result | undefined> {
    for (let tries = 1; ; tries++) {
      const { isUnderWay } = this.#moving;
      const result = await this.#askOwner(operation, resultOf);
      if (result !== undefined || tries === TRIES || !(isUnderWay || this.#moving.isUnderWay)) return result;
      await pause(AGAIN_MS);
    }
  }

  /**
   * Asks all workers, one of which may have the connection. `resultOf` is undefined for the answers of the others, and so is the
   * result when all are. Rejects when not all have answered, and the connection may be where it is not known.
   */
  async #askOwner<Result>(
    operation: Operation,
    resultOf: (answer: AskAnswer) => Result | undefined,
  ): Promise<Result | undefined> {
    const { answers, unanswered } = await askWorkers(this.#workers, operation);
    for (const answer of answers) {
      throwIfRefused(answer);
      const result = resultOf(answer);
      if (result !== undefined) return result;
    }
    if (unanswered.length === 0) return undefined;
    const which = unanswered.length === 1 ? 'Worker' : 'Workers';
    throw new FarmError(
      'FARM_ERR_QUERY',
      `${which} ${unanswered.join(', ')} did not answer within a second, and may have the connection; the others do not.`,
    );
  }
}

function checkLimit(limit: number, most: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= most) return;
  throw new RangeError(`the limit must be an integer from 1 to ${most}, got ${limit}`);
}

function unexpected(): FarmError {
  return new FarmError('FARM_ERR_LINK', 'A worker answered another question than was asked.');
}

function throwIfRefused(answer: AskAnswer): void {
  if (answer.kind === 'refused') throw new FarmError(answer.code, answer.reason);
}

function refused(problem: string): FarmError {
  return new FarmError('FARM_ERR_OPTION', problem);
}

function isFound(answer: AskAnswer): boolean {
  return answer.kind === 'done' && answer.isFound;
}
