import { eventually, redisIsInstalled, startRedis, startSentinel, TcpProxy } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { settle } from '../broker.contract.ts';
import { create, isAway, isReady, start } from './fixtures/broker-harness.ts';

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});

async function running<Fixture extends { stop(): Promise<void> }>(
  started: Promise<Fixture>,
): Promise<Fixture> {
  const fixture = await started;
  ends.push(() => fixture.stop());
  return fixture;
}

/** A refused publish takes no turn of the event loop, and a loop of them would leave it none. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** A master and its replica, in step. */
async function pair() {
  const master = await running(startRedis({ args: ['--repl-diskless-sync-delay', '0'] }));
  const replica = await running(
    startRedis({
      args: ['--replicaof', `127.0.0.1 ${master.port}`, '--repl-diskless-sync-delay', '0'],
    }),
  );
  await eventually(
    async () => String(await replica.command('INFO', 'replication')).includes('master_link_status:up'),
    { what: 'the replica follows' },
  );
  return { master, replica };
}

/** Three of them, that need two to agree. */
async function sentinels(masterPort: number, lines: readonly string[] = []) {
  const options = { masterName: 'roost', masterPort, quorum: 2, lines };
  return Promise.all([1, 2, 3].map(() => running(startSentinel(options))));
}

function urlOf(ports: readonly number[], query = ''): string {
  return `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(',')}/roost${query}`;
}

describe.skipIf(!redisIsInstalled())(
  'a failover that cuts no connection (skipped without redis-server)',
  () => {
    it('is noticed however busy the connections are, and followed to where the name leads then', async () => {
      const { master, replica } = await pair();
      // Stands for the name: connections that are there stay on the old master.
      const name = await running(TcpProxy.start(master.port));
      const url = `redis://127.0.0.1:${name.port}`;
      const worker = await start({ url, roleIntervalMs: 100 });
      await worker.subscribe('news');
      await worker.broker.publish('news', Buffer.from('before'));

      await replica.command('REPLICAOF', 'NO', 'ONE');
      await master.command('REPLICAOF', '127.0.0.1', String(replica.port));
      name.target = replica.port;
      const over = new AbortController();
      // The old master answers these, and sends them back: nothing is silent.
      const chatter = (async () => {
        while (!over.signal.aborted) {
          await worker.broker.publish('news', Buffer.from('chatter')).catch(() => {});
          await nextTurn();
        }
      })();
      await eventually(() => worker.seen.gaps.length === 1, { what: 'the gap is told' });
      over.abort();
      await chatter;
      expect(worker.seen.reasons.find((reason) => reason.includes('is a replica'))).toBeDefined();
      expect(worker.seen.gaps[0]).toMatchObject({
        channelCount: 1,
        reason: expect.stringContaining('is a replica'),
      });
      // From the last time that the old master said it was one.
      expect(worker.seen.gaps[0]?.sinceMs).toBeGreaterThan(0);

      await isReady(worker.broker);
      const other = await start({ url: replica.url });
      await other.subscribe('news');
      await worker.broker.publish('news', Buffer.from('after'));
      await settle(other, worker.broker);
      expect(other.seen.texts('news').at(-1)).toBe('after');
    });

    it('leaves a broker away, with the reason, while there is only a replica', async () => {
      const { replica } = await pair();
      const { broker } = create({ url: replica.url });
      await broker.start();
      expect(broker.state).toBe('away');
      expect(broker.stateReason).toContain(`redis://127.0.0.1:${replica.port} is a replica`);
      await expect(broker.publish('news', Buffer.from('x'))).rejects.toMatchObject({
        code: 'BROKER_UNAVAILABLE',
      });
      await replica.command('REPLICAOF', 'NO', 'ONE');
      await isReady(broker);
    });

    it('finds a publisher connection that has gone silent while others keep the subscription busy', async () => {
      const redis = await running(startRedis());
      const way = await running(TcpProxy.start(redis.port));
      const worker = await start({
        url: `redis://127.0.0.1:${way.port}`,
        roleIntervalMs: 50,
        probeTimeoutMs: 200,
      });
      await worker.subscribe('news');
      way.hold(await redis.clientPort('roost-publisher'));
      const over = new AbortController();
      const chatter = (async () => {
        while (!over.signal.aborted) await redis.command('PUBLISH', 'roost:channel:news', 'chatter');
      })();
      await eventually(
        () => worker.seen.reasons.some((reason) => reason.includes('did not say within 200 ms')),
        { what: 'the silent publisher is noticed' },
      );
      await isReady(worker.broker);
      over.abort();
      await chatter;
      expect(worker.seen.gaps).toEqual([]);
    });
  },
);

describe.skipIf(!redisIsInstalled())('Sentinel (skipped without redis-server)', () => {
  it('leads to the new master when the old one is killed: nothing twice, the gap told, every answer kept', async () => {
    const { master } = await pair();
    const watchers = await sentinels(master.port);
    for (const watcher of watchers) {
      await eventually(
        async () => {
          const about = await watcher.command('SENTINEL', 'MASTER', 'roost');
          const facts = Array.isArray(about) ? about.map(String) : [];
          const fact = (key: string): string => facts[facts.indexOf(key) + 1] ?? '';
          return fact('num-slaves') === '1' && fact('num-other-sentinels') === '2';
        },
        { what: 'the sentinels know each other and the replica' },
      );
    }
    const url = urlOf(watchers.map(({ port }) => port));
    const [publisher, listener] = [await start({ url }), await start({ url })];
    await listener.subscribe('news');

    const answered: { readonly text: string; readonly at: number }[] = [];
    let next = 0;
    const publishOne = async (): Promise<void> => {
      next += 1;
      const text = String(next);
      try {
        await publisher.broker.publish('news', Buffer.from(text));
        answered.push({ text, at: performance.now() });
      } catch (error) {
        expect(error).toMatchObject({
          code: expect.stringMatching(/^BROKER_(?:UNAVAILABLE|OUTCOME_UNKNOWN)$/),
        });
        await nextTurn();
      }
    };
    for (let count = 0; count < 200; count += 1) await publishOne();
    await master.kill();
    await eventually(
      async () => {
        await publishOne();
        return listener.seen.gaps.length > 0 && publisher.broker.state === 'ready';
      },
      { deadlineMs: 30_000, what: 'the new master is found' },
    );
    const before = answered.length;
    for (let count = 0; count < 50; count += 1) await publishOne();
    await settle(listener, publisher.broker);
    expect(answered.length - before).toBe(50);

    const received = listener.seen.texts('news').map(Number);
    expect(received).toEqual([...new Set(received)].toSorted((a, b) => a - b));
    const gaps = listener.seen.gaps.map(({ sinceMs }, index) => {
      const to = listener.seen.gapsAt[index] ?? 0;
      return { from: to - sinceMs, to };
    });
    const unexplained = answered.filter(
      ({ text, at }) =>
        !received.includes(Number(text)) && !gaps.some(({ from, to }) => from <= at && at <= to),
    );
    expect(unexplained).toEqual([]);
    expect(received.slice(-50)).toEqual(answered.slice(-50).map(({ text }) => Number(text)));
    expect(gaps).toHaveLength(1);
  });

  it('may have a password of its own, and sentinels that are away are passed over', async () => {
    const redis = await running(startRedis());
    await redis.command('CONFIG', 'SET', 'masterauth', 'x');
    const watchers = await sentinels(redis.port, [
      'requirepass let-me-in',
      'sentinel sentinel-pass let-me-in',
    ]);
    const ports = watchers.map(({ port }) => port);
    await watchers[0]?.kill();
    const { broker } = create({ url: urlOf(ports, '?sentinelPassword=wrong') });
    await broker.start();
    expect(broker.stateReason).toMatch(
      new RegExp(
        `^No sentinel knows the master "roost": the one at 127.0.0.1:${ports[0]} refused the connection \\(ECONNREFUSED\\); .*refused the credentials \\(WRONGPASS`,
      ),
    );
    expect(broker.stateReason).not.toContain('wrong');
    const worker = await start({ url: urlOf(ports, '?sentinelPassword=let-me-in') });
    expect(worker.broker.stateReason).toContain(`redis+sentinel://127.0.0.1:${ports[0]},`);
    expect(await worker.subscribe('news')).toBe('confirmed');
  });

  it('whose sentinels are all away, or silent, is tried again with pauses, and says why', async () => {
    const redis = await running(startRedis());
    const watchers = await sentinels(redis.port);
    for (const watcher of watchers) await watcher.kill('SIGSTOP');
    const ports = watchers.map(({ port }) => port);
    const worker = create({ url: urlOf(ports), connectTimeoutMs: 4000 });
    await worker.broker.start();
    expect(worker.broker.stateReason).toMatch(
      /did not answer within 1000 ms; .*; .*did not answer within 1000 ms\.$/,
    );
    for (const watcher of watchers) await watcher.kill();
    await isAway(worker.broker);
    await eventually(() => worker.broker.stateReason.includes('ECONNREFUSED'), {
      what: 'the reason changes',
    });
    await watchers[2]?.restart();
    await isReady(worker.broker);
  });

  it('that does not know the master says so', async () => {
    const redis = await running(startRedis());
    const [watcher] = await sentinels(redis.port);
    const { broker } = create({ url: `redis+sentinel://127.0.0.1:${watcher?.port}/other` });
    await broker.start();
    expect(broker.stateReason).toBe(
      `No sentinel knows the master "other": the one at 127.0.0.1:${watcher?.port} knows no such master.`,
    );
  });

  it('given as a plain Redis is named for what it is', async () => {
    const redis = await running(startRedis());
    const [watcher] = await sentinels(redis.port);
    const { broker } = create({ url: `redis://127.0.0.1:${watcher?.port}` });
    await broker.start();
    expect(broker.stateReason).toContain('is a sentinel: it is named in redis+sentinel://');
  });
});
