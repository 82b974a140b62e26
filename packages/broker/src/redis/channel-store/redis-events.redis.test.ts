import { eventually, redisIsInstalled, startRedis, TcpProxy, type RedisFixture } from '@roost/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../../channel-store.ts';
import { start } from '../fixtures/broker-harness.ts';
import type { RedisBroker } from '../redis-broker.ts';
import { RedisEvents } from './redis-events.ts';

/** Takes until it has all of these, in any order and at least once, and says that they are done. */
async function takeAll(events: RedisEvents, from: number, to: number): Promise<number[]> {
  const wanted = new Set(Array.from({ length: to - from }, (_, index) => from + index));
  const taken: number[] = [];
  while (wanted.size > 0) {
    const some = await events.take(50);
    expect(some).not.toEqual([]);
    for (const { event } of some) {
      taken.push(Number(event));
      wanted.delete(Number(event));
    }
    events.done(some);
  }
  return taken;
}

describe.skipIf(!redisIsInstalled())('a consumer of events in Redis (skipped without redis-server)', () => {
  let redis: RedisFixture;
  let broker: RedisBroker;
  let ends: (() => Promise<void>)[];

  beforeAll(async () => {
    redis = await startRedis();
  });

  afterAll(() => redis.stop());

  beforeEach(async () => {
    await redis.command('FLUSHALL');
    ends = [];
    ({ broker } = await start({ url: redis.url, channelStore: { recorded: ['client_event'] } }));
  });

  afterEach(async () => {
    for (const end of ends.splice(0)) await end();
  });

  function consume(options: { url?: string; turnMs?: number } = {}): RedisEvents {
    const events = new RedisEvents({
      url: redis.url,
      turnMs: 3_000,
      maxRetryDelayMs: 100,
      onWarning: () => undefined,
      ...options,
    });
    ends.push(() => events.stop());
    return events;
  }

  async function record(from: number, to: number): Promise<void> {
    for (let index = from; index < to; index += 1) {
      await broker.store.addEvent({ type: 'client_event', channel: 'room', event: String(index) });
    }
  }

  async function pendingCount(): Promise<number> {
    const summary = await redis.command('XPENDING', 'roost:events', 'roost');
    return Array.isArray(summary) ? Number(summary[0]) : -1;
  }

  it('connects when events are first asked for', async () => {
    const events = consume();
    await record(0, 1);
    expect(String(await redis.command('CLIENT', 'LIST'))).not.toContain('name=roost-events');
    expect(await events.take(1)).toHaveLength(1);
    expect(String(await redis.command('CLIENT', 'LIST'))).toContain('name=roost-events');
  });

  it('gives what a dead one has taken to another, and nothing that was done', async () => {
    const proxy = await TcpProxy.start(redis.port);
    ends.push(() => proxy.stop());
    await record(0, 300);
    const dead = consume({ url: `redis://127.0.0.1:${proxy.port}`, turnMs: 1_000 });
    const done = await dead.take(50);
    await dead.take(200);
    dead.done(done);
    await eventually(async () => expect(await pendingCount()).toBe(200));
    await proxy.stop();
    await dead.stop();
    const next = consume();
    const taken = await takeAll(next, 50, 300);
    expect(taken.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 250 }, (_, index) => index + 50));
    // What is done takes no memory, and the dead is forgotten.
    await eventually(async () => expect(await redis.command('XLEN', 'roost:events')).toBe(0));
    const more = takeAll(next, 300, 301);
    await eventually(async () => {
      const consumers = await redis.command('XINFO', 'CONSUMERS', 'roost:events', 'roost');
      expect(consumers).toHaveLength(1);
    });
    await record(300, 301);
    await more;
  });

  it('that lives is given everything, however long it takes', async () => {
    const slow = consume({ turnMs: 3_000 });
    await record(0, 10);
    const taken = await slow.take(10);
    const other = consume();
    const others = other.take(10);
    const since = performance.now();
    await eventually(() => performance.now() - since > 5_000, { what: 'more than a turn has gone by' });
    slow.done(taken);
    await record(10, 11);
    expect((await slow.take(10)).map(({ event }) => event)).toEqual(['10']);
    await other.stop();
    expect(await others).toEqual([]);
  });

  it('begins with what the one before had not done, and then has the rest, in order', async () => {
    const proxy = await TcpProxy.start(redis.port);
    ends.push(() => proxy.stop());
    const dead = consume({ url: `redis://127.0.0.1:${proxy.port}`, turnMs: 1_000 });
    await record(0, 5);
    await dead.take(5);
    const next = consume({ turnMs: 1_000 });
    const last = next.take(10);
    await record(5, 8);
    await proxy.stop();
    const numbers = (await last).map(({ event }) => Number(event));
    while (numbers.length < 8) numbers.push(...(await next.take(10)).map(({ event }) => Number(event)));
    expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it('goes on after its connection was cut: what got lost on the way is given again, what is done stays done', async () => {
    const events = consume();
    const seen: RecordedEvent[] = [];
    const consuming = (async () => {
      for (let some = await events.take(7); some.length > 0; some = await events.take(7)) {
        seen.push(...some);
        events.done(some);
      }
    })();
    for (let round = 0; round < 10; round += 1) {
      await record(round * 20, round * 20 + 20);
      const port = await eventually(async () => {
        const found = await redis.clientPort('roost-events');
        return Number.isNaN(found) ? false : found;
      });
      await redis.command('CLIENT', 'KILL', 'ADDR', `127.0.0.1:${port}`);
    }
    await record(200, 201);
    await eventually(() => {
      const numbers = new Set(seen.map(({ event }) => event));
      expect(numbers.size).toBe(201);
    });
    await eventually(async () => expect(await pendingCount()).toBe(0));
    await events.stop();
    await consuming;
    expect(new Set(seen.map(({ id }) => id)).size).toBe(seen.length);
  });

  it('goes on when Redis has lost everything', async () => {
    const events = consume();
    await record(0, 5);
    const taken = await events.take(5);
    await redis.command('FLUSHALL');
    events.done(taken);
    const waiting = takeAll(events, 5, 8);
    await record(5, 8);
    expect(await waiting).toEqual([5, 6, 7]);
  });

  it('takes and is done with any number at a time', async () => {
    const events = consume();
    const added =
      'for n = 1, 150000 do redis.call("XADD", KEYS[1], "*", "t", "client_event", "c", "room") end';
    await redis.command('EVAL', added, '1', 'roost:events');
    const taken: RecordedEvent[] = [];
    while (taken.length < 150_000) taken.push(...(await events.take(1_000_000)));
    events.done(taken);
    await eventually(async () => expect(await redis.command('XLEN', 'roost:events')).toBe(0));
    expect(await pendingCount()).toBe(0);
  });

  it('is never given what others wrote into the stream', async () => {
    const events = consume();
    await redis.command('XADD', 'roost:events', '*', 'foo', 'bar');
    await redis.command('XADD', 'roost:events', '*', 't', 'unknown', 'c', 'room');
    await record(0, 1);
    expect((await events.take(10)).map(({ event }) => event)).toEqual(['0']);
  });

  it('is told how many were thrown away', async () => {
    const { broker: full } = await start({
      url: redis.url,
      channelStore: { recorded: ['client_event'], maxEvents: 5 },
    });
    for (let index = 0; index < 12; index += 1) {
      await full.store.addEvent({ type: 'client_event', channel: 'room', event: String(index) });
    }
    // Whoever renews a lease next counts them, once.
    await full.store.counts(['room']);
    await broker.store.counts(['room']);
    await eventually(() => {
      expect(full.store.counters.droppedEventCount + broker.store.counters.droppedEventCount).toBe(7);
    });
    expect(await redis.command('XLEN', 'roost:events')).toBe(5);
  });
});
