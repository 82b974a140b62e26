import {
  eventually,
  redisIsInstalled,
  startRedis,
  TcpProxy,
  type RedisFixture,
  seededRandom,
} from '@roost/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Recorder, settle } from '../../broker.contract.ts';
import { StoreWorker } from '../../channel-store.contract.ts';
import type { ChannelStoreOptions } from '../../channel-store.ts';
import type { RedisBrokerOptions } from '../options.ts';
import { RedisBroker } from '../redis-broker.ts';

const HOUR_MS = 3_600_000;
const ROOM = { maxMembers: 10_000 };

const named = (count: number): string[] => Array.from({ length: count }, (_, at) => `user ${at}`);

/** A worker whose way to Redis can be cut. */
class LeasedWorker extends StoreWorker {
  readonly proxy: TcpProxy;
  /** By which names it was known, the present one last. */
  readonly owners: string[];

  constructor(broker: RedisBroker, seen: Recorder, proxy: TcpProxy, owners: string[]) {
    super(broker, seen);
    this.proxy = proxy;
    this.owners = owners;
  }
}

describe.skipIf(!redisIsInstalled())('a lease in Redis (skipped without redis-server)', () => {
  let redis: RedisFixture;
  let workers: LeasedWorker[];

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis.stop());

  beforeEach(async () => {
    await redis.command('FLUSHALL');
    workers = [];
  });

  afterEach(async () => {
    await Promise.all(workers.map(({ broker }) => broker.stop()));
    for (const { proxy } of workers) await proxy.stop();
  });

  async function start(
    options: ChannelStoreOptions = {},
    brokerOptions: Partial<RedisBrokerOptions> = {},
  ): Promise<LeasedWorker> {
    const proxy = await TcpProxy.start(redis.port);
    const seen = new Recorder();
    const owners: string[] = [];
    const broker = new RedisBroker({
      handlers: seen,
      wanted: seen.wanted,
      url: `redis://127.0.0.1:${proxy.port}`,
      maxRetryDelayMs: 200,
      ...brokerOptions,
      channelStore: { leaseMs: 1_500, onOwner: (owner) => owners.push(owner), ...options },
    });
    const worker = new LeasedWorker(broker, seen, proxy, owners);
    workers.push(worker);
    await broker.start();
    await eventually(() => broker.state === 'ready', { what: 'the broker is ready' });
    return worker;
  }

  /** Ends a worker without a word. */
  async function kill(worker: LeasedWorker): Promise<void> {
    workers = workers.filter((other) => other !== worker);
    await worker.proxy.stop();
    await worker.broker.stop();
  }

  /** One that sees what is published about the room. */
  async function watcher(): Promise<LeasedWorker> {
    const worker = await start();
    await worker.subscribe('room');
    return worker;
  }

  async function reconnected(worker: LeasedWorker, cut: () => Promise<unknown>): Promise<void> {
    const { length } = worker.owners;
    await cut();
    await eventually(() => worker.owners.length > length, { what: 'it begins again' });
    await eventually(() => worker.broker.state === 'ready', { what: 'it is ready again' });
  }

  const joinAll = (worker: LeasedWorker, users: readonly string[]) =>
    Promise.all(users.map((user) => worker.join('room', user, ROOM)));
  const leases = async (): Promise<string[]> => {
    const names = await redis.command('ZRANGE', 'roost:leases', '0', '-1');
    return Array.isArray(names) ? names.map(String) : [];
  };

  const beatAt = async (): Promise<number> => Number(await redis.command('HGET', 'roost:beat', 'at'));

  /** As if the clock of Redis did. Debian's does not run under libfaketime (jemalloc): what it has noted of the time moves instead. */
  const jump = (milliseconds: number): Promise<unknown> =>
    redis.command(
      'EVAL',
      `local shift = -tonumber(ARGV[1])
      for _, owner in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do redis.call('ZINCRBY', KEYS[1], shift, owner) end
      for _, field in ipairs({'at', 'hold'}) do redis.call('HINCRBY', KEYS[2], field, shift) end`,
      '2',
      'roost:leases',
      'roost:beat',
      String(milliseconds),
    );

  it('begins with the first step, and nothing is asked for before', async () => {
    const worker = await start();
    await worker.subscribe('room');
    await worker.broker.publish('room', Buffer.from('x'));
    expect(await redis.command('DBSIZE')).toBe(0);
    expect(worker.owners).toEqual([]);
    await worker.join('room', 'ada');
    expect(await leases()).toEqual(worker.owners);
    expect(worker.owners).toHaveLength(1);
  });

  it('leaves nothing behind when its worker has ended', async () => {
    const [one, other] = [await start(), await start()];
    await one.join('room', 'ada');
    one.store.setSubscribers('room', 1, { tellsCount: false });
    await other.join('room', 'bob');
    await Promise.all([one.broker.stop(), other.broker.stop()]);
    const names = await redis.command('KEYS', '*');
    // The version goes by itself.
    expect((Array.isArray(names) ? names.map(String) : []).toSorted()).toEqual([
      'roost:beat',
      'roost:epoch',
      'roost:version:{room}',
    ]);
    expect(Number(await redis.command('TTL', 'roost:version:{room}'))).toBeGreaterThan(500);
  });

  it('begins again after its connection was cut, as another owner, and nobody notices', async () => {
    const [worker, seeing] = [await start(), await watcher()];
    const users = named(1_000);
    await joinAll(worker, users);
    worker.store.setSubscribers('room', 1_000, { tellsCount: true });
    await eventually(async () =>
      expect(await seeing.store.counts(['room'])).toMatchObject([{ subscribers: 1_000 }]),
    );
    await settle(seeing);
    const before = seeing.changes('room').length;
    await reconnected(worker, async () => redis.command('CLIENT', 'KILL', 'TYPE', 'normal'));
    await eventually(async () => expect(await leases()).not.toContain(worker.owners[0]));
    expect(await seeing.users('room')).toEqual(users.toSorted());
    expect(await seeing.store.counts(['room'])).toEqual([{ subscribers: 1_000, members: 1_000 }]);
    await settle(seeing);
    expect(seeing.changes('room').slice(before)).toEqual([]);
    expect(worker.owners.length).toBe(2);
    expect(await redis.command('EXISTS', `roost:owner:${worker.owners[0]}`)).toBe(0);
  });

  it('keeps what has not moved yet alive, however long that takes', async () => {
    const [worker, seeing] = [await start(), await watcher()];
    await joinAll(seeing, ['ada']);
    const joins = Array.from({ length: 30_000 }, (_, at) =>
      worker.join(`channel ${at % 1_000}`, `user ${at}`),
    );
    await Promise.all(joins);
    for (let at = 0; at < 1_000; at += 1) await seeing.subscribe(`channel ${at}`);
    await reconnected(worker, async () => redis.command('CLIENT', 'KILL', 'TYPE', 'normal'));
    await eventually(async () => expect(await leases()).not.toContain(worker.owners[0]), {
      deadlineMs: 30_000,
    });
    await settle(seeing);
    expect(seeing.seen.publications.filter(({ channel }) => channel.startsWith('channel'))).toEqual([]);
    expect(await redis.command('SCARD', `roost:owner:${worker.owners.at(-1)}`)).toBe(30_000);
  });

  it('brings what has changed while the connection was away: who left leaves, who is there stays', async () => {
    const [worker, seeing] = [await start(), await watcher()];
    await joinAll(worker, ['ada', 'bob', 'eve']);
    await joinAll(seeing, ['eve']);
    worker.store.setSubscribers('room', 3, { tellsCount: true });
    await eventually(() => expect(seeing.changes('room')).toContain('=3'));
    const before = seeing.changes('room').length;
    await reconnected(worker, async () => {
      await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
      await eventually(() => worker.broker.state === 'away', { what: 'it is away' });
      worker.store.leave('room', 'ada');
      worker.store.leave('room', 'eve');
      worker.store.setSubscribers('room', 1, { tellsCount: true });
      await expect(worker.join('room', 'dan')).rejects.toMatchObject({ code: 'BROKER_UNAVAILABLE' });
    });
    await eventually(async () => expect(await seeing.users('room')).toEqual(['bob', 'eve']));
    await eventually(() => expect(seeing.changes('room').slice(before).toSorted()).toEqual(['-ada', '=1']));
    seeing.store.leave('room', 'eve');
    await eventually(() => expect(seeing.changes('room').at(-1)).toBe('-eve'));
  });

  it('takes nobody away when the clock of Redis jumps, forward or back, and removes who dies then all the same', async () => {
    const [worker, dying, seeing] = [await start(), await start(), await watcher()];
    await joinAll(worker, ['ada']);
    await joinAll(dying, ['bob']);
    for (const jumpMs of [HOUR_MS, -HOUR_MS]) {
      if (jumpMs < 0) await kill(dying);
      await jump(jumpMs);
      const from = await beatAt();
      await eventually(async () => Math.abs((await beatAt()) - from) > HOUR_MS / 2, {
        what: 'a worker has looked',
      });
    }
    await eventually(async () => expect(await seeing.users('room')).toEqual(['ada']));
    expect(seeing.changes('room')).toEqual(['+ada', '+bob', '-bob']);
    expect(worker.owners).toHaveLength(1);
  });

  it('takes a join back whose outcome got lost with the connection', async () => {
    const worker = await start({ leaseMs: 60_000 }, { publishTimeoutMs: 500 });
    await worker.join('room', 'ada');
    const port = await redis.clientPort('roost-publisher');
    const seeing = await watcher();
    worker.proxy.hold(port);
    const late = worker.join('room', 'late').catch((error: unknown) => error);
    // Answers are lost from here on.
    const released = worker.proxy.release(port);
    await eventually(() => expect(seeing.changes('room')).toEqual(['+late']));
    expect(await late).toMatchObject({ code: 'BROKER_OUTCOME_UNKNOWN' });
    await released;
    await eventually(() => expect(seeing.changes('room')).toEqual(['+late', '-late']));
    expect(await seeing.users('room')).toEqual(['ada']);
  });

  it('is lost by a worker that stands still, and what it sends late changes nothing', async () => {
    const worker = await start({}, { publishTimeoutMs: 4_000 });
    await worker.join('room', 'ada');
    const port = await redis.clientPort('roost-publisher');
    const seeing = await watcher();
    await seeing.join('room', 'bob');
    worker.proxy.hold(port);
    // What stands in the kernel, behind the renewals.
    const late = [worker.join('room', 'late')];
    worker.store.leave('room', 'ada');
    late.push(worker.join('room', 'ada'));
    const outcomes = Promise.allSettled(late);
    await eventually(() => expect(seeing.changes('room')).toEqual(['+bob', '-ada']), {
      what: 'its lease expires',
    });
    await worker.proxy.release(port);
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'BROKER_OUTCOME_UNKNOWN' } });
    }
    await eventually(() => worker.broker.state === 'ready', { what: 'it is there again' });
    await worker.join('room', 'ada');
    await settle(seeing);
    expect(seeing.changes('room')).toEqual(['+bob', '-ada', '+ada']);
    expect(worker.owners).toHaveLength(2);
  });

  it('is lost by a worker that others took for dead, which comes back as another owner', async () => {
    const [worker, seeing] = [await start(), await watcher()];
    await joinAll(worker, ['ada', 'bob']);
    worker.store.setSubscribers('room', 2, { tellsCount: true });
    await eventually(() => expect(seeing.changes('room')).toContain('=2'));
    // What a stall of several seconds does.
    seeing.store.reap(worker.owners[0] ?? '');
    await eventually(() =>
      expect(seeing.changes('room').slice(-3).toSorted()).toEqual(['-ada', '-bob', '=0']),
    );
    await eventually(() =>
      expect(seeing.changes('room').slice(-3).toSorted()).toEqual(['+ada', '+bob', '=2']),
    );
    expect(worker.store.counters.lostLeaseCount).toBe(1);
    expect(seeing.store.counters.reapedOwnerCount).toBe(1);
    expect(await seeing.users('room')).toEqual(['ada', 'bob']);
    worker.store.leave('room', 'ada');
    await eventually(() => expect(seeing.changes('room').at(-1)).toBe('-ada'));
  });

  it('need not expire when somebody knows that its worker is dead', async () => {
    const [dead, seeing] = [await start({ leaseMs: 600_000 }), await watcher()];
    await joinAll(dead, named(500));
    await kill(dead);
    seeing.store.reap(dead.owners.at(-1) ?? '');
    await eventually(async () => expect(await seeing.users('room')).toEqual([]));
    await settle(seeing);
    expect(seeing.changes('room')).toHaveLength(1_000);
    // Once more, and of one that never was: nothing.
    seeing.store.reap(dead.owners.at(-1) ?? '');
    seeing.store.reap('nobody');
    await joinAll(seeing, ['ada']);
    await eventually(async () => expect(await leases()).toEqual(seeing.owners));
    expect(seeing.store.counters.reapedOwnerCount).toBe(1);
  });

  it('of the only worker there is, is reaped by the one that follows', async () => {
    const dead = await start();
    await joinAll(dead, named(10));
    await kill(dead);
    const next = await watcher();
    await joinAll(next, ['ada']);
    await eventually(async () => expect(await next.users('room')).toEqual(['ada']));
    // The changes come on another connection than the answers, so later.
    await settle(next);
    expect(next.changes('room').filter((change) => change.startsWith('-'))).toHaveLength(10);
  });

  it('that was claimed by a worker which died over it is claimed again', async () => {
    const [dead, seeing] = [await start({ leaseMs: 600_000 }), await watcher()];
    await joinAll(dead, named(300));
    await kill(dead);
    const owner = dead.owners.at(-1) ?? '';
    await redis.command('ZREM', 'roost:leases', owner);
    await redis.command('ZADD', 'roost:leases', String(Date.now() + 500), `!${owner}`);
    // Half of the work has been done.
    const half = await redis.command('SRANDMEMBER', `roost:owner:${owner}`, '150');
    for (const entry of Array.isArray(half) ? half : []) {
      const user = String(entry).split('\n')[1] ?? '';
      await redis.command('SREM', `roost:owner:${owner}`, String(entry));
      await redis.command('HDEL', 'roost:members:{room}', user);
    }
    await eventually(async () => expect((await seeing.read('room')).memberCount).toBe(0));
    await eventually(async () => expect(await leases()).toEqual(seeing.owners));
    await settle(seeing);
    expect(seeing.changes('room').filter((change) => change.startsWith('-'))).toHaveLength(150);
  });

  it('is reaped once by several who do it at the same time', async () => {
    const dead = await start({ leaseMs: 600_000 });
    const reapers = [await watcher(), await start(), await start()] as const;
    await joinAll(dead, named(1_000));
    await joinAll(reapers[1], named(500));
    await kill(dead);
    const owner = dead.owners.at(-1) ?? '';
    for (const reaper of reapers) reaper.store.reap(owner);
    for (let round = 0; round < 20; round += 1) {
      // As a claim that has expired too early would have it.
      await redis.command('ZADD', 'roost:leases', '0', `!${owner}`);
    }
    await eventually(async () => expect((await reapers[0].read('room')).memberCount).toBe(500));
    await eventually(async () => expect(await leases()).toHaveLength(3));
    await settle(reapers[0]);
    const left = reapers[0].changes('room').filter((change) => change.startsWith('-'));
    expect(new Set(left).size).toBe(500);
    expect(left).toHaveLength(500);
  });

  it('does not expire because Redis stood still, or was away', async () => {
    const [worker, seeing] = [await start({ leaseMs: 1_000 }), await watcher()];
    await joinAll(worker, named(10));
    await joinAll(seeing, named(10));
    await settle(seeing);
    await redis.kill('SIGSTOP');
    const since = performance.now();
    await eventually(() => performance.now() - since > 2_500, { what: 'leases have expired' });
    await redis.kill('SIGCONT');
    for (let round = 0; round < 5; round += 1) {
      const { length } = await leases();
      expect(length).toBe(2);
      await settle(seeing);
      await eventually(() => performance.now() - since > 3_000 + 400 * round);
    }
    expect(seeing.changes('room')).toHaveLength(10);
    expect(worker.owners).toHaveLength(1);
  });

  describe('when Redis has lost everything', () => {
    it('begins again, and nobody is announced who never left', async () => {
      const [one, other] = [await start(), await watcher()];
      await joinAll(one, named(200));
      await joinAll(other, named(100));
      one.store.setSubscribers('room', 2, { tellsCount: true });
      await eventually(() => expect(other.changes('room')).toContain('=2'));
      await settle(other);
      const { length } = other.changes('room');
      await redis.command('FLUSHALL');
      await eventually(() => one.owners.length + other.owners.length === 4, { what: 'both begin again' });
      // Who comes in these two seconds waits for the others.
      const { snapshot } = await other.join('room', 'new', ROOM);
      expect(snapshot.memberCount).toBe(201);
      expect(await one.users('room')).toEqual([...named(200), 'new'].toSorted());
      expect(await one.store.counts(['room'])).toEqual([{ subscribers: 2, members: 201 }]);
      await settle(other);
      expect(other.changes('room').slice(length)).toEqual(['+new']);
    });

    it('who leaves before it is noticed leaves once, and not who is still there elsewhere', async () => {
      const [one, other] = [await start(), await watcher()];
      await joinAll(one, ['ada', 'bob', 'eve']);
      await joinAll(other, ['bob']);
      for (const { store } of [one, other]) store.setSubscribers('room', 1, { tellsCount: false });
      await settle(other);
      const { length } = other.changes('room');
      await redis.command('FLUSHALL');
      one.store.leave('room', 'ada');
      one.store.leave('room', 'bob');
      one.store.setSubscribers('room', 0, { tellsCount: false });
      await eventually(async () => expect(await one.users('room')).toEqual(['bob', 'eve']));
      await settle(other);
      expect(other.changes('room').slice(length)).toEqual(['-ada']);
      expect(await one.store.counts(['room'])).toEqual([{ subscribers: 1, members: 2 }]);
      other.store.leave('room', 'bob');
      await eventually(() => expect(other.changes('room').slice(length)).toEqual(['-ada', '-bob']));
      await eventually(() => one.owners.length + other.owners.length === 4);
      expect(one.store.counters.lostLeaseCount).toBe(1);
    });

    it('and its connections with it, it is the same', async () => {
      const [one, other] = [await start(), await watcher()];
      await joinAll(one, named(50));
      await joinAll(other, ['ada']);
      await settle(other);
      const { length } = other.changes('room');
      await redis.restart();
      await eventually(() => one.owners.length + other.owners.length === 4, { what: 'both begin again' });
      one.store.leave('room', 'user 0');
      await eventually(async () =>
        expect(await other.users('room')).toEqual(['ada', ...named(50).slice(1)].toSorted()),
      );
      await settle(other);
      expect(other.changes('room').slice(length)).toEqual(['-user 0']);
    });
  });

  it('survives that Redis forgets the scripts, at any moment', async () => {
    const [one, seeing] = [await start(), await watcher()];
    for (let round = 0; round < 30; round += 1) {
      const joins = [one.join('room', 'ada'), one.join('room', `user ${round}`)];
      const flushed = redis.command('SCRIPT', 'FLUSH');
      one.store.leave('room', 'ada');
      joins.push(one.join('room', 'ada'));
      await Promise.allSettled(joins);
      await flushed;
      one.store.leave('room', `user ${round}`);
      one.store.leave('room', 'ada');
    }
    await eventually(async () => expect(await seeing.users('room')).toEqual([]));
    await settle(seeing);
    const present = new Set<string>();
    for (const { kind, user = '' } of seeing.envelopes('room')) {
      expect([kind, present.has(user)]).toEqual([kind, kind === 'leave']);
      if (kind === 'join') present.add(user);
      else present.delete(user);
    }
    expect(present.size).toBe(0);
  });

  it('survives that Redis has no memory: joins are refused, and leaves done when it has', async () => {
    const [one, seeing] = [await start(), await watcher()];
    await joinAll(one, ['ada', 'bob']);
    await redis.command('CONFIG', 'SET', 'maxmemory', '1');
    await expect(one.join('room', 'eve')).rejects.toMatchObject({
      code: 'BROKER_REFUSED',
      message: expect.stringContaining('OOM'),
    });
    one.store.leave('room', 'ada');
    await eventually(() => one.store.counters.errorCount > 2, { what: 'the leave is tried' });
    await redis.command('CONFIG', 'SET', 'maxmemory', '0');
    await eventually(async () => expect(await seeing.users('room')).toEqual(['bob']));
    await settle(seeing);
    expect(seeing.changes('room')).toEqual(['+ada', '+bob', '-ada']);
  });

  it.each([1, 2, 3])(
    'any order of joins, leaves, cuts and losses ends as the workers say (seed %i)',
    async (seed) => {
      const random = seededRandom(seed);
      const seeing = await watcher();
      const others = [await start(), await start(), await start()];
      const wanted = others.map(() => new Set<string>());
      const joins: Promise<unknown>[] = [];
      for (let step = 0; step < 600; step += 1) {
        const index = random(others.length);
        const worker = others[index];
        const user = `user ${random(5)}`;
        if (random(2) === 0) {
          wanted[index]?.add(user);
          joins.push(
            worker?.join('room', user).catch(() => {
              // Not joined, unless another call of the same has succeeded.
            }) ?? Promise.resolve(),
          );
        } else {
          wanted[index]?.delete(user);
          worker?.store.leave('room', user);
        }
        if (random(10) === 0) await Promise.all(joins.splice(0));
        if (random(60) === 0) await redis.command('CLIENT', 'KILL', 'TYPE', 'normal');
        if (random(60) === 0) seeing.store.reap(worker?.owners.at(-1) ?? '');
        if (random(60) === 0) await redis.command('SCRIPT', 'FLUSH');
      }
      await Promise.all(joins);
      for (const [index, worker] of others.entries()) {
        await eventually(() => worker.broker.state === 'ready', { what: 'it is there again' });
        for (const user of wanted[index] ?? []) await worker.join('room', user);
      }
      const expected = [...new Set(wanted.flatMap((users) => [...users]))].toSorted();
      await eventually(async () => expect(await seeing.users('room')).toEqual(expected));
      await eventually(async () => expect(await leases()).toHaveLength(4));
      await settle(seeing);
      const present = new Set<string>();
      for (const { kind, user = '' } of seeing.envelopes('room')) {
        expect([kind, user, present.has(user)]).toEqual([kind, user, kind === 'leave']);
        if (kind === 'join') present.add(user);
        else present.delete(user);
      }
      expect([...present].toSorted()).toEqual(expected);
    },
  );
});
