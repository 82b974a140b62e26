import { eventually, freePort, RedisFixture, startRedis } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { PlainRedisClient } from './redis-client.ts';
import {
  call,
  connect,
  connectMany,
  counter,
  endAfterTest,
  expectEcho,
  get,
  info,
  startFarm,
} from './system.ts';
import type { Readiness } from './system.ts';

describe('a farm that starts while Redis is away', () => {
  it('serves and says that it is not ready, and is ready when Redis comes', async () => {
    const redis = new RedisFixture(await freePort(), []);
    endAfterTest(() => redis.stop());
    const farm = await startFarm(['--redis-url', redis.url]);

    const away = await get(farm, '/health/ready');
    expect(away.status).toBe(503);
    const { ready, reasons }: Readiness = JSON.parse(away.body);
    expect(ready).toBe(false);
    expect(reasons).toHaveLength(1);
    expect(reasons[0]).toContain(`127.0.0.1:${redis.port}`);
    expect((await get(farm, '/health/live')).status).toBe(200);
    expect((await info(farm)).broker).toEqual({ kind: 'redis', state: 'away' });

    // Connections are served, and marked: they may miss something.
    const clients = await connectMany(farm, '/plain?channel=news', 4);
    await expectEcho(await connect(farm, '/echo'), 'hello');
    expect(await counter(farm, 'connections_with_gap')).toBe(4);

    const sent = performance.now();
    expect(await call(farm, 'publish', { channel: 'news', data: 'lost' })).toMatchObject({
      status: 503,
      body: { error: { code: 1000, message: expect.stringContaining('nothing was sent') } },
    });
    // At once: it is not kept for a Redis that may come back.
    expect(performance.now() - sent).toBeLessThan(2000);
    expect(await counter(farm, 'publish_errors')).toBe(1);
    const broadcast = await call(farm, 'broadcast', { channels: ['news', 'weather'], data: 'lost' });
    expect(broadcast).toMatchObject({
      status: 200,
      body: { result: { responses: [{ error: { code: 1000 } }, { error: { code: 1000 } }] } },
    });

    await redis.restart();
    await farm.log(({ msg, ready: isReady }) => msg === 'readiness changed' && isReady === true);
    await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(200));
    expect(await call(farm, 'publish', { channel: 'news', data: 'hello' })).toMatchObject({ status: 200 });
    for (const client of clients) expect((await client.nextMessage()).text).toBe('hello');
    for (const client of clients) expect(client.messageCount).toBe(1);
  });
});

describe('a farm that loses Redis', () => {
  it('keeps its connections, says so, and after its return hears everything on every channel again', async () => {
    const redis = await startRedis();
    endAfterTest(() => redis.stop());
    const farm = await startFarm(['--redis-url', redis.url]);
    const clients = await connectMany(farm, '/plain?channel=news&channel=weather', 6);
    const echo = await connect(farm, '/echo');
    expect(await counter(farm, 'connections_with_gap')).toBe(0);

    await redis.kill();
    await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(503));
    await expectEcho(echo, 'Redis is away');
    const failed = await call(farm, 'publish', { channel: 'news', data: 'lost' });
    expect(failed).toMatchObject({ status: 503, body: { error: { code: 1000 } } });
    const late = await connect(farm, '/plain?channel=news');

    await redis.restart();
    await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(200));
    const publisher = await PlainRedisClient.connect(redis.port);
    expect(await publisher.publish('roost:channel:news', 'back')).toBe(2);
    expect(await publisher.publish('roost:channel:weather', 'sun')).toBe(2);
    for (const client of clients) {
      const texts = [(await client.nextMessage()).text, (await client.nextMessage()).text];
      expect(texts).toEqual(['back', 'sun']);
    }
    expect((await late.nextMessage()).text).toBe('back');
    expect(clients.filter(({ isClosed }) => isClosed)).toEqual([]);

    const gaps = farm.logs.filter(({ msg }) => msg === 'publications may have been missed');
    expect(new Set(gaps.map(({ worker }) => worker))).toEqual(new Set([0, 1]));
    expect(gaps).toHaveLength(2);
    for (const gap of gaps) expect(gap['sinceMs']).toBeGreaterThan(0);
    expect(await counter(farm, 'broker_gaps')).toBe(2);
    // Six that were there, and the late one.
    expect(await counter(farm, 'connections_with_gap')).toBe(7);
  });

  it('ends at SIGTERM all the same', async () => {
    const redis = await startRedis();
    endAfterTest(() => redis.stop());
    const farm = await startFarm(['--redis-url', redis.url]);
    const client = await connect(farm, '/plain?channel=news');
    await redis.kill();
    await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(503));
    farm.signal('SIGTERM');
    expect((await client.closed).code).toBe(1001);
    expect(await farm.exited).toEqual({ code: 0, signal: null });
  });

  it('whose Redis hangs without a word has upgrades to new channels refused in time, and serves the others', async () => {
    const redis = await startRedis();
    endAfterTest(() => redis.stop());
    const farm = await startFarm(['--redis-url', redis.url, '--subscribe-timeout-ms', '500']);
    const [echo] = await connectMany(farm, '/echo', 1);
    await redis.kill('SIGSTOP');
    await expect(connect(farm, '/plain?channel=fresh')).rejects.toMatchObject({ status: 503 });
    expect(await counter(farm, 'refused_subscribe')).toBe(1);
    await expectEcho(echo!, 'still here');
    await redis.kill('SIGCONT');
    const client = await connect(farm, '/plain?channel=other');
    const publisher = await PlainRedisClient.connect(redis.port);
    await publisher.publish('roost:channel:other', 'hello');
    expect((await client.nextMessage()).text).toBe('hello');
  });
});
