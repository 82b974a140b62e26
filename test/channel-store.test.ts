import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { BrokerHandlers, Publication } from '@roost/broker';
import { RedisBroker } from '@roost/broker/redis';
import {
  eventually,
  redisIsInstalled,
  startRedis,
  TestClient,
  type RedisFixture,
  seededRandom,
} from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endAfterTest } from './harness/system.ts';

const WORKER = fileURLToPath(new URL('clients/store-worker.mjs', import.meta.url));
const EVENTS_FARM = fileURLToPath(new URL('clients/events-farm.mjs', import.meta.url));
const CHANNELS = Array.from({ length: 500 }, (_, index) => `presence-${index}`);
const MEMBERS = 10_000;
/** For how long others may have members wrong after a death. */
const EXACT_WITHIN_MS = 5_000;

type Pair = readonly [channel: string, user: string];

/** A worker process with a store, and what it was told. */
class WorkerProcess {
  readonly pairs = new Map<string, Pair>();
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (error: string | undefined) => void>();
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message: { id?: number; error?: string }) => {
      if (message.id !== undefined) this.#waiting.get(message.id)?.(message.error);
    });
  }

  static async start(redis: RedisFixture): Promise<WorkerProcess> {
    const child = fork(WORKER, [redis.url], { stdio: 'inherit', execArgv: [] });
    const worker = new WorkerProcess(child);
    endAfterTest(() => worker.kill());
    await once(child, 'message');
    return worker;
  }

  async join(pairs: readonly Pair[]): Promise<void> {
    for (const pair of pairs) this.pairs.set(pair.join(' '), pair);
    await this.#ask('join', pairs);
  }

  async leave(pairs: readonly Pair[]): Promise<void> {
    for (const pair of pairs) this.pairs.delete(pair.join(' '));
    await this.#ask('leave', pairs);
  }

  subscribers(counts: readonly (readonly [string, number])[]): Promise<void> {
    return this.#ask('subscribers', counts);
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.pairs.clear();
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }

  async #ask(action: string, list: readonly unknown[]): Promise<void> {
    this.#lastId += 1;
    const id = this.#lastId;
    const error = await new Promise<string | undefined>((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, action, list });
    });
    this.#waiting.delete(id);
    expect(error).toBeUndefined();
  }
}

/** A worker that is told of every join and leave. */
class Watcher implements BrokerHandlers {
  readonly broker: RedisBroker;
  /** Who is there as far as it was told. */
  readonly present = new Set<string>();
  /** What nobody should be told: a join of who is there, a leave of who is not, an old version. */
  readonly mistakes: string[] = [];
  readonly gaps: unknown[] = [];
  changeCount = 0;
  readonly #versions = new Map<string, number>();
  readonly #wanted = new Set<string>();

  constructor(url: string) {
    this.broker = new RedisBroker({ url, handlers: this, wanted: this.#wanted });
  }

  async start(): Promise<void> {
    await this.broker.start();
    await eventually(() => this.broker.state === 'ready', { what: 'the broker is ready' });
    await Promise.all(
      CHANNELS.map((channel) => {
        const subscribed = this.broker.subscribe(channel);
        this.#wanted.add(channel);
        return subscribed;
      }),
    );
  }

  brokerOnPublication({ channel, kind, user = '', version }: Publication): void {
    const pair = `${channel} ${user}`;
    this.changeCount += 1;
    if (version <= (this.#versions.get(channel) ?? 0)) this.mistakes.push(`${kind} of ${pair} is late`);
    this.#versions.set(channel, version);
    if (this.present.has(pair) === (kind === 'join')) this.mistakes.push(`${kind} of ${pair}`);
    if (kind === 'join') this.present.add(pair);
    else this.present.delete(pair);
  }

  brokerOnControl(): void {
    // None are sent.
  }

  brokerOnMark(): void {
    // None are sent, either.
  }

  brokerOnState(): void {
    // Redis is there all the time.
  }

  brokerOnGap(gap: unknown): void {
    this.gaps.push(gap);
  }

  brokerOnWarning(reason: string): void {
    this.mistakes.push(reason);
  }
}

describe.skipIf(!redisIsInstalled())(
  'the members of channels of two farms (skipped without redis-server)',
  () => {
    let redis: RedisFixture;

    beforeAll(async () => {
      redis = await startRedis();
    });

    afterAll(() => redis.stop());

    it(`${MEMBERS} in ${CHANNELS.length} channels, with churn, a worker and then a farm killed with -9: exact within ${EXACT_WITHIN_MS / 1000} s`, async () => {
      const watcher = new Watcher(redis.url);
      endAfterTest(() => watcher.broker.stop());
      await watcher.start();
      const workers = await Promise.all([1, 2, 3, 4].map(() => WorkerProcess.start(redis)));
      const { store } = watcher.broker;
      const random = seededRandom(1);

      /** What others read of all channels is what the living workers say. */
      async function isExact(): Promise<void> {
        const expected = new Set(workers.flatMap(({ pairs }) => [...pairs.keys()]));
        const read = await Promise.all(
          CHANNELS.map(async (channel) => {
            const options = { mark: false, members: true, lastEvent: false, memberLimit: 10_000 };
            const { members } = await store.read(channel, options);
            return members.map(({ user }) => `${channel} ${user}`);
          }),
        );
        const there = read.flat();
        expect(there.length).toBe(expected.size);
        expect(there.filter((pair) => !expected.has(pair))).toEqual([]);
        const counts = await store.counts(CHANNELS);
        expect(counts.reduce((sum, { members }) => sum + members, 0)).toBe(expected.size);
        // Who is subscribed was told the same.
        expect([...watcher.present].filter((pair) => !expected.has(pair))).toEqual([]);
        expect(watcher.present.size).toBe(expected.size);
        expect(watcher.mistakes).toEqual([]);
      }

      async function exactSoon(what: string): Promise<void> {
        await eventually(isExact, { deadlineMs: EXACT_WITHIN_MS, what });
      }

      /** Every user in a channel, and each tenth in two workers. */
      const all = Array.from({ length: MEMBERS }, (_, at): Pair => [
        CHANNELS[at % CHANNELS.length] ?? '',
        `user-${at}`,
      ]);
      const pairsOf = (index: number): Pair[] =>
        all.filter((_, at) => at % 4 === index || at % 40 === index * 11);
      await Promise.all(workers.map((worker, index) => worker.join(pairsOf(index))));
      await Promise.all(
        workers.map((worker, index) =>
          worker.subscribers(CHANNELS.map((channel) => [channel, index + 1] as const)),
        ),
      );
      await exactSoon('all have joined');
      expect(watcher.changeCount).toBe(MEMBERS);

      const living = [...workers];
      async function churn(): Promise<void> {
        const steps = living.map(async (worker) => {
          const pairs = Array.from({ length: 300 }, () => all[random(all.length)] ?? all[0]).filter(
            (pair) => pair !== undefined,
          );
          await worker.leave([...worker.pairs.values()].slice(0, 300));
          await worker.join(pairs);
        });
        await Promise.all(steps);
      }
      await churn();
      await churn();
      await exactSoon('members have come and gone');

      const [dead, second] = living.splice(0, 2);
      if (second !== undefined) living.push(second);
      await dead?.kill();
      await exactSoon('the members of a killed worker have left');
      expect(await store.counts(CHANNELS.slice(0, 1))).toMatchObject([{ subscribers: 9 }]);

      await churn();
      // Both workers of the other farm, while the first goes on.
      await Promise.all(living.splice(0, 2).map((worker) => worker.kill()));
      const churned = churn();
      await exactSoon('the members of a killed farm have left');
      await churned;
      await exactSoon('the farm that is left goes on');
      expect(await store.counts(CHANNELS.slice(0, 1))).toMatchObject([{ subscribers: 2 }]);
      expect(await store.occupiedChannels('presence-', 1_000)).toHaveLength(CHANNELS.length);
      expect(watcher.gaps).toEqual([]);
      expect(watcher.mistakes).toEqual([]);
    });
  },
);

/** A farm whose clients are all members of one channel, and what it records. Its leases do not expire. */
class EventsFarm {
  readonly events: string[] = [];
  readonly #child: ChildProcess;
  #port = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (message: { port?: number; event?: string }) => {
      if (message.event !== undefined) this.events.push(message.event);
      if (message.port !== undefined) this.#port = message.port;
    });
  }

  static async start(redisUrl?: string): Promise<EventsFarm> {
    const args = redisUrl === undefined ? [] : [redisUrl];
    const child = fork(EVENTS_FARM, args, { stdio: 'inherit', execArgv: [] });
    const farm = new EventsFarm(child);
    endAfterTest(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    });
    await eventually(() => farm.#port > 0, { what: 'the farm has started', deadlineMs: 20_000 });
    return farm;
  }

  /** Resolves with the client, who is a member, and the process id of its worker. */
  async join(user: string): Promise<{ client: TestClient; pid: number }> {
    const client = await TestClient.connect(`ws://127.0.0.1:${this.#port}/${user}`);
    endAfterTest(() => client.terminate());
    return { client, pid: Number((await client.nextMessage()).text) };
  }

  /** Resolves when its processes have ended. */
  async drain(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.send('drain');
    await ended;
  }
}

describe('a farm', () => {
  const brokers = [['the embedded broker'], ...(redisIsInstalled() ? [['Redis']] : [])];

  it.each(brokers)(
    'with %s has the members of a dead worker leave at once, and records what happens',
    async (kind) => {
      let url: string | undefined;
      if (kind === 'Redis') {
        const redis = await startRedis();
        endAfterTest(() => redis.stop());
        ({ url } = redis);
      }
      const farm = await EventsFarm.start(url);
      const members = await Promise.all(['ada', 'bob', 'eve', 'dan'].map((user) => farm.join(user)));
      await eventually(() => expect(farm.events).toHaveLength(5));
      expect(farm.events.toSorted()).toEqual([
        'channel_occupied',
        'member_added ada',
        'member_added bob',
        'member_added dan',
        'member_added eve',
      ]);
      const dead = members[0]?.pid ?? 0;
      const left = ['ada', 'bob', 'eve', 'dan'].filter((_, index) => members[index]?.pid === dead);
      expect(left.length).toBeLessThan(4);
      process.kill(dead, 'SIGKILL');
      await eventually(() => {
        expect(farm.events.slice(5).toSorted()).toEqual(
          left.map((user) => `member_removed ${user}`).toSorted(),
        );
      });
      // The other as well, so that only those are there who follow.
      const [other] = members.filter(({ pid }) => pid !== dead);
      await farm.join('new');
      await eventually(() => expect(farm.events.at(-1)).toBe('member_added new'));
      process.kill(other?.pid ?? 0, 'SIGKILL');
      await eventually(() =>
        expect(
          farm.events.filter((event) => event.startsWith('member_removed')).length,
        ).toBeGreaterThanOrEqual(4),
      );
      await farm.drain();
      const count = (start: string): number => farm.events.filter((event) => event.startsWith(start)).length;
      expect(count('member_removed')).toBe(5);
      expect(count('channel_vacated')).toBe(count('channel_occupied'));
    },
  );
});
