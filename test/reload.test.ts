import { isDeepStrictEqual } from 'node:util';
import { clientFrame, eventually, startRedis, type RedisFixture } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { adminPortOf, callAdmin, WITH_ADMIN } from './harness/admin.ts';
import { command, controlSocket, lives, type LifeLine } from './harness/control.ts';
import { PlainRedisClient } from './harness/redis-client.ts';
import {
  call,
  connect,
  connectMany,
  connectRaw,
  counter,
  endAfterTest,
  expectEcho,
  info,
  startFarm,
  SWITCHING,
  upgradeRequest,
} from './harness/system.ts';
import { Traffic, type TrafficOptions } from './harness/traffic.ts';

const RELOAD = { command: 'reload' };
/** Publishers over HTTP may come on top. */
const ALL_MOVED = { done: { moved: expect.toSatisfy((moved: number) => moved >= 88), closed: 0 } };

async function commandable(args: readonly string[] = []) {
  const socket = controlSocket();
  const farm = await startFarm(['--control-socket', socket, '--probation-ms', '0', ...args]);
  const publish = (channel: string, data: string): Promise<unknown> =>
    call(farm, 'publish', { channel, data });
  return { socket, farm, publish };
}

/** A Redis, and somebody who publishes there. */
async function withRedis(): Promise<{ redis: RedisFixture; publish: TrafficOptions['publish'] }> {
  const redis = await startRedis();
  endAfterTest(() => redis.stop());
  const publisher = await PlainRedisClient.connect(redis.port);
  return { redis, publish: (channel, text) => publisher.publish(`roost:channel:${channel}`, text) };
}

/** False when the process is gone already. */
function kill(pid: number): boolean {
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

describe('a reload under way', () => {
  it('is noticed by no client: nothing is lost, repeated, out of order or closed, with the embedded broker', async () => {
    const { socket, farm, publish } = await commandable();
    const traffic = await Traffic.start(farm, { publish });
    await traffic.goesOn();
    for (let times = 0; times < 2; times++) {
      expect(await command(socket, RELOAD)).toMatchObject(ALL_MOVED);
      await traffic.goesOn();
    }
    expect(await traffic.end()).toEqual([]);
    expect(traffic.clients.filter(({ isClosed }) => isClosed)).toEqual([]);
    expect(await counter(farm, 'upgrades')).toBe(88);
    expect(await counter(farm, 'closed')).toBe(0);
  });

  it('is noticed by no client with Redis, whoever publishes', async () => {
    const { redis, publish } = await withRedis();
    const { socket, farm } = await commandable(['--redis-url', redis.url]);
    const traffic = await Traffic.start(farm, { publish });
    await traffic.goesOn();
    expect(await command(socket, RELOAD)).toMatchObject(ALL_MOVED);
    await traffic.goesOn();
    expect(await traffic.end()).toEqual([]);
    expect(traffic.clients.filter(({ isClosed }) => isClosed)).toEqual([]);
    expect(await counter(farm, 'connections_with_gap')).toBe(0);
  });

  it('carries half a frame, half a message and half a request head along', async () => {
    const { socket, farm } = await commandable();
    const [frame, fragments, head] = [
      await connectRaw(farm.port),
      await connectRaw(farm.port),
      await connectRaw(farm.port),
    ];
    for (const client of [frame, fragments]) {
      client.writeText(upgradeRequest());
      expect(await client.readHead()).toContain(SWITCHING);
    }
    const whole = clientFrame(0x81, 'in two halves');
    frame.write(whole.subarray(0, 9));
    fragments.write(clientFrame(0x01, 'one, '));
    const request = upgradeRequest();
    head.writeText(request.slice(0, 40));
    // A later connection of the same worker has been served: so have the bytes before.
    for (const client of await Promise.all([connect(farm, '/echo'), connect(farm, '/echo')])) {
      await expectEcho(client, 'hello');
    }
    expect(await command(socket, RELOAD)).toMatchObject({ done: { closed: 0 } });
    frame.write(whole.subarray(9));
    expect((await frame.readFrame()).payload.toString()).toBe('in two halves');
    fragments.write(clientFrame(0x80, 'two'));
    expect((await fragments.readFrame()).payload.toString()).toBe('one, two');
    head.writeText(request.slice(40));
    expect(await head.readHead()).toContain(SWITCHING);
  });

  it('whose new worker is killed costs what had moved to it, and nobody else notices', async () => {
    const { redis, publish } = await withRedis();
    const { socket, farm } = await commandable([
      '--redis-url',
      redis.url,
      '--workers',
      '1',
      '--probation-ms',
      '600000',
    ]);
    const traffic = await Traffic.start(farm, { publish });
    const reload = command(socket, RELOAD);
    let fresh: LifeLine | undefined;
    await eventually(async () => {
      fresh = (await lives(socket)).find(({ role, connections }) => role === 'other' && connections === 16);
      return fresh !== undefined;
    });
    process.kill(fresh?.pid ?? -1, 'SIGKILL');
    const { stopped, reason } = await reload;
    expect(reason).toBe('Worker 0: The new worker died in its probation.');
    expect(stopped?.moved).toBe(16);
    await eventually(() => traffic.clients.filter(({ isClosed }) => isClosed).length === 16);
    await traffic.goesOn();
    expect(await traffic.end()).toEqual([]);
    // Sockets of publishers that are kept alive count until they have idled for long enough.
    await eventually(async () =>
      expect((await lives(socket)).map(({ role, connections }) => [role, connections])).toEqual([
        ['current', 72],
      ]),
    );
  });

  it('whose old worker is killed comes to its end, and says how many connections died with it', async () => {
    const { socket, farm } = await commandable(['--workers', '1', '--probation-ms', '600000']);
    const clients = await connectMany(farm, '/echo', 40);
    const [old] = await lives(socket);
    const reload = command(socket, RELOAD);
    await eventually(async () =>
      (await lives(socket)).some(({ role, connections }) => role === 'other' && connections === 16),
    );
    process.kill(old?.pid ?? -1, 'SIGKILL');
    expect(await reload).toMatchObject({
      lost: { moved: 16, closed: 0, lost: 24 },
      reason: 'Worker 0 died meanwhile, and 24 connections with it.',
    });
    await eventually(() => clients.filter(({ isClosed }) => isClosed).length === 24);
    for (const client of clients) if (!client.isClosed) await expectEcho(client, 'still here');
  });

  it('counts what died with a worker once, whenever in a move it is killed', async () => {
    const { socket, farm } = await commandable(['--workers', '1', '--move-batch-rows', '8']);
    const clients = await connectMany(farm, '/echo', 120);
    const [old] = await lives(socket);
    let isKilled = false;
    const answer = await command(socket, RELOAD, ({ moved }) => {
      if (moved === 0 || isKilled) return;
      isKilled = true;
      process.kill(old?.pid ?? -1, 'SIGKILL');
    });
    await eventually(() => {
      const closed = clients.filter(({ isClosed }) => isClosed).length;
      expect(closed).toBe(answer.lost?.lost ?? answer.done?.lost);
    });
  });

  it('moves nobody any more once the farm drains: each client is closed with 1001', async () => {
    const { socket, farm } = await commandable([
      '--workers',
      '1',
      '--drain-ms',
      '3000',
      '--probation-ms',
      '1500',
    ]);
    const clients = await connectMany(farm, '/echo', 200);
    const closed = Promise.all(clients.map((client) => client.closed));
    const reload = command(socket, RELOAD).catch((error: unknown) => error);
    await farm.log(({ msg, rows }) => msg === 'move done' && rows === 16);
    farm.signal('SIGTERM');
    const codes = (await closed).map(({ code }) => code);
    expect(codes.filter((code) => code !== 1001)).toEqual([]);
    await farm.exited;
    expect(farm.logs.filter(({ msg }) => msg === 'move done')).toHaveLength(1);
    await reload;
  });

  it('waits while Redis is away, however long, and goes on when it is back', async () => {
    const redis = await startRedis();
    endAfterTest(() => redis.stop());
    const { socket, farm } = await commandable([
      '--redis-url',
      redis.url,
      '--workers',
      '1',
      '--probation-ms',
      '1000',
    ]);
    const clients = await connectMany(farm, '/news?channel=news', 40);
    let isDown: Promise<void> | undefined;
    let seconds = 0;
    let moved = 0;
    const reload = command(socket, RELOAD, (report) => {
      ({ seconds, moved } = report);
      if (moved === 16) isDown ??= redis.kill();
    });
    let hasEnded = false;
    void reload.then(() => (hasEnded = true));
    // Longer than any try of a move, and than all tries that it has.
    await eventually(() => hasEnded || seconds > 12, { deadlineMs: 30_000, what: 'Redis is away for long' });
    expect([hasEnded, moved]).toEqual([false, 16]);
    expect((await info(farm)).broker.state).not.toBe('ready');
    await isDown;
    await redis.restart();
    expect(await reload).toMatchObject({ done: { moved: 40, closed: 0, lost: 0 } });
    await eventually(async () => expect((await info(farm)).broker.state).toBe('ready'));
    const publisher = await PlainRedisClient.connect(redis.port);
    await publisher.publish('roost:channel:news', 'back');
    for (const client of clients) expect((await client.nextMessage()).text).toBe('back');
  });

  it('whose old worker is killed costs what had not moved yet, and nobody else notices', async () => {
    const { redis, publish } = await withRedis();
    const { socket, farm } = await commandable([
      '--redis-url',
      redis.url,
      '--workers',
      '1',
      '--probation-ms',
      '600000',
    ]);
    const traffic = await Traffic.start(farm, { publish });
    const [old] = await lives(socket);
    const reload = command(socket, RELOAD);
    await eventually(async () =>
      (await lives(socket)).some(({ role, connections }) => role === 'other' && connections === 16),
    );
    process.kill(old?.pid ?? -1, 'SIGKILL');
    expect(await reload).toMatchObject({ lost: { moved: 16, lost: 72 } });
    await eventually(() => traffic.clients.filter(({ isClosed }) => isClosed).length === 72);
    await traffic.goesOn();
    expect(await traffic.end()).toEqual([]);
    await eventually(async () =>
      expect((await lives(socket)).map(({ role, connections }) => [role, connections])).toEqual([
        ['current', 16],
      ]),
    );
  });

  it('whose old worker is killed between two batches, or in one, leaves nobody half moved', async () => {
    const { redis, publish } = await withRedis();
    const small = ['--workers', '1', '--move-batch-rows', '4'];
    const { socket, farm } = await commandable(['--redis-url', redis.url, ...small]);
    const traffic = await Traffic.start(farm, { publish });
    const killed: number[] = [];
    // A machine may be done before it is heard how far it has come.
    for (let reloads = 0; reloads < 5 && killed.length === 0; reloads++) {
      const old = (await lives(socket)).find(({ role }) => role === 'current');
      await command(socket, RELOAD, ({ moved }) => {
        if (old !== undefined && moved >= 32 && killed.length === 0 && kill(old.pid)) killed.push(old.pid);
      });
    }
    expect(killed).toHaveLength(1);
    // Each goes on or has ended; and the new worker serves exactly those who go on.
    await eventually(async () => {
      const living = traffic.clients.filter(({ isClosed }) => !isClosed).length;
      expect(living).toBeGreaterThanOrEqual(32);
      expect((await lives(socket)).map(({ role, connections }) => [role, connections])).toEqual([
        ['current', living],
      ]);
    });
    await traffic.goesOn();
    expect(await traffic.end()).toEqual([]);
  });

  it('whose old worker stands still for a while goes on with it, and nobody misses anything', async () => {
    const { socket, farm, publish } = await commandable(['--workers', '1', ...WITH_ADMIN]);
    const port = await adminPortOf(farm);
    const traffic = await Traffic.start(farm, { publish });
    const [old] = await lives(socket);
    let stopped: Promise<void> | undefined;
    const standStill = async (): Promise<void> => {
      process.kill(old?.pid ?? -1, 'SIGSTOP');
      // It is given a second to answer, and has not.
      await eventually(async () => {
        const { body } = await callAdmin(port, 'GET', '/api/overview');
        return isDeepStrictEqual(Object(body).unanswered, [0]);
      });
      process.kill(old?.pid ?? -1, 'SIGCONT');
    };
    const reload = command(socket, RELOAD, ({ moved }) => {
      if (moved > 0) stopped ??= standStill();
    });
    expect(await reload).toMatchObject(ALL_MOVED);
    await stopped;
    await traffic.goesOn();
    expect(await traffic.end()).toEqual([]);
  });

  it('does not hide a connection from who asks for it, or ends it, by its id', async () => {
    const { socket, farm } = await commandable(WITH_ADMIN);
    const port = await adminPortOf(farm);
    const ids: string[] = [];
    for (const client of await connectMany(farm, '/id', 300)) ids.push((await client.nextMessage()).text);
    const doomed = ids.splice(0, 20);
    const answers = new Set<string>();
    const over = new AbortController();
    const reload = command(socket, RELOAD).finally(() => over.abort());
    const ask = async (): Promise<void> => {
      for (let index = 0; !over.signal.aborted; index = (index + 7) % ids.length) {
        const { status } = await callAdmin(port, 'GET', `/api/connections/${ids[index] ?? ''}`);
        answers.add(`asked for: ${status}`);
        const connection = index % 3 === 0 ? doomed.pop() : undefined;
        if (connection === undefined) continue;
        const { body } = await callAdmin(port, 'POST', '/api/disconnect', { connection });
        answers.add(`ended: ${JSON.stringify(body)}`);
      }
    };
    await Promise.all(Array.from({ length: 16 }, ask));
    expect(await reload).toMatchObject({ done: { closed: 0 } });
    expect([...answers].toSorted()).toEqual(['asked for: 200', 'ended: {"isFound":true}']);
  });

  it('closes whoever is disconnected meanwhile, and nobody else', async () => {
    const { redis, publish } = await withRedis();
    const { socket, farm } = await commandable(['--redis-url', redis.url]);
    const traffic = await Traffic.start(farm, { publish });
    const members = await connectMany(farm, '/news?channel=doomed', 60);
    const order = JSON.stringify({ type: 'disconnect', channel: 'doomed' });
    const disconnecter = await PlainRedisClient.connect(redis.port);
    let disconnection: Promise<unknown> | undefined;
    const reload = command(socket, RELOAD, ({ moved }) => {
      if (moved > 0) disconnection ??= disconnecter.publish('roost:control', order);
    });
    expect(await reload).toMatchObject({ done: { closed: 0 } });
    await disconnection;
    await eventually(() => members.every(({ isClosed }) => isClosed), { what: 'every member is closed' });
    for (const member of members) expect((await member.closed).code).toBe(4500);
    await traffic.goesOn();
    expect(await traffic.end()).toEqual([]);
    expect(traffic.clients.filter(({ isClosed }) => isClosed)).toEqual([]);
  });
});

describe('a worker that was killed', () => {
  it('is filled again from the others, which nobody notices', async () => {
    const { redis, publish } = await withRedis();
    const { socket, farm } = await commandable(['--redis-url', redis.url]);
    const traffic = await Traffic.start(farm, { publish });
    const [first] = await lives(socket);
    process.kill(first?.pid ?? -1, 'SIGKILL');
    await farm.log(({ msg }) => msg === 'worker died');
    await eventually(async () => {
      const counts = (await lives(socket)).map(({ connections }) => connections);
      return counts.length === 2 && Math.abs((counts[0] ?? 0) - (counts[1] ?? 0)) <= 2;
    });
    expect(traffic.clients.filter(({ isClosed }) => isClosed).length).toBeGreaterThan(0);
    await traffic.goesOn();
    expect(await traffic.end()).toEqual([]);
  });
});
