import { createServer } from 'node:net';
import { eventually, freePort, listenLocally, patient, RedisFixture, startRedis } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf } from './harness/failures-guide.ts';
import { PlainRedisClient } from './harness/redis-client.ts';
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
} from './harness/system.ts';
import type { Readiness } from './harness/system.ts';

describe('a farm that starts while Redis is away', () => {
  it('serves and says that it is not ready, and is ready when Redis comes', async () => {
    const redis = new RedisFixture(await freePort(), []);
    endAfterTest(() => redis.stop());
    const farm = await startFarm(['--redis-url', redis.url]);
    await farm.log(
      ({ msg, reasons }) => msg === 'farm started, but is not ready yet' && Array.isArray(reasons),
    );
    expect(farm.logs.some(({ msg }) => msg === 'farm ready')).toBe(false);

    const away = await get(farm, '/health/ready');
    expect(away.status).toBe(503);
    // Anybody may read this: where Redis is stands in the log, and in the answer to who has the API key.
    const answer: Readiness = JSON.parse(away.body);
    expect(answer).toEqual({ ready: false, reasons: ['The broker is away.'] });
    expect((await get(farm, '/health/live')).status).toBe(200);
    const { broker, readiness } = await info(farm);
    expect(broker).toMatchObject({ kind: 'redis', state: 'away' });
    expect(broker.reason).toContain(`127.0.0.1:${redis.port} refused the connection`);
    expect(readiness).toEqual(answer);
    expect(farm.logs.find(({ msg }) => msg === 'broker state')?.['reason']).toBe(broker.reason);

    // Connections are served, and marked: they may miss something.
    const clients = await connectMany(farm, '/plain?channel=news', 4);
    await expectEcho(await connect(farm, '/echo'), 'hello');
    expect(await counter(farm, 'connections_with_gap')).toBe(4);

    expect(await call(farm, 'publish', { channel: 'news', data: 'lost' })).toMatchObject({
      status: 503,
      body: { error: { code: 1000, message: expect.stringContaining('nothing was sent') } },
    });
    // It is not kept for a Redis that may come back: there is none yet.
    expect(await counter(farm, 'publish_errors')).toBe(1);
    const broadcast = await call(farm, 'broadcast', { channels: ['news', 'weather'], data: 'lost' });
    expect(broadcast).toMatchObject({
      status: 200,
      body: { result: { responses: [{ error: { code: 1000 } }, { error: { code: 1000 } }] } },
    });

    await redis.restart();
    await farm.log(({ msg, ready: isReady }) => msg === 'readiness changed' && isReady === true);
    await farm.log(({ msg }) => msg === 'farm ready');
    await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(200));
    expect(await call(farm, 'publish', { channel: 'news', data: 'hello' })).toMatchObject({ status: 200 });
    for (const client of clients) expect((await client.nextMessage()).text).toBe('hello');
    for (const client of clients) expect(client.messageCount).toBe(1);
  });
});

describe('a farm whose Redis', () => {
  it('accepts and is silent at the start is live meanwhile, and says that it is not ready', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.resume();
    });
    const port = await listenLocally(server);
    endAfterTest(async () => {
      server.close();
    });
    const farm = await startFarm(['--workers', '1', '--redis-url', `redis://127.0.0.1:${port}`]);
    expect((await get(farm, '/health/live')).status).toBe(200);
    // The first attempt was still under way.
    const lines = farm.logs.map(({ msg }) => msg);
    expect(lines.slice(0, lines.indexOf('farm ready'))).not.toContain('broker state');
    const ready = await get(farm, '/health/ready');
    expect(ready.status).toBe(503);
    expect(ready.body).toMatch(/^\{"ready":false,"reasons":\["The broker is (?:connecting|away)\."\]\}$/);
    await expectEcho(await connect(farm, '/echo'), 'hello');
  });

  it('refuses what it can do without says so in lines of its log only, once for each worker', async () => {
    const redis = await startRedis();
    endAfterTest(() => redis.stop());
    await redis.command('ACL', 'SETUSER', 'default', '-info', '-role', '-client');
    const farm = await startFarm(['--redis-url', `redis://:s3cret@127.0.0.1:${redis.port}/99`]);
    await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(200));
    expect(await counter(farm, 'broker_warnings')).toBe(6);
    const warnings = farm.logs.filter(({ msg }) => msg === 'broker warning');
    for (const part of ['needs no password', 'database 99', 'whether it is the master']) {
      expect(warnings.filter(({ reason }) => String(reason).includes(part))).toHaveLength(2);
    }
    expect(await call(farm, 'publish', { channel: 'news', data: 'x' })).toMatchObject({ status: 200 });
    expect(farm.otherOutput).toBe('');
    expect(JSON.stringify(farm.logs)).not.toContain('s3cret');
  });
});

describe('a client that has no API key', () => {
  it('reads nothing of the inside, whatever Redis answers', async () => {
    const redis = await startRedis();
    endAfterTest(() => redis.stop());
    await redis.command('ACL', 'SETUSER', 'default', 'resetchannels', '&roost:control', '&roost:probe:*');
    const farm = await startFarm(['--redis-url', redis.url]);
    await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(200));
    await expect(connect(farm, '/plain?channel=secret')).rejects.toMatchObject({
      status: 503,
      body: expect.stringContaining('the broker did not confirm the channels'),
    });
    const { reason } = await farm.log(({ msg }) => msg === 'broker state');
    expect(reason).toContain(`127.0.0.1:${redis.port}`);
    await redis.kill();
    await eventually(async () => expect((await get(farm, '/health/ready')).status).toBe(503));
    const paths = ['/health/ready', '/health/live', '/', '/none', '/plain', '/api/publish', '/api/info'];
    for (const path of paths) {
      const { body, headers } = await get(farm, path);
      const answer = body + JSON.stringify([...headers]);
      expect(answer).not.toMatch(new RegExp(`127\\.0\\.0\\.1:${redis.port}|redis://|NOPERM|ECONNREFUSED`));
    }
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
    // Redis may be back before anybody has asked for it.
    await farm.log(({ msg, reason }) => msg === 'broker state' && String(reason).includes('ECONNREFUSED'));

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
    await drillOf('Redis is killed').expectQuoted(() => farm.logs);
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
    const farm = await startFarm(['--redis-url', redis.url, '--subscribe-timeout-ms', String(patient(500))]);
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
