import { eventually, UpgradeRefusedError } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf } from './harness/failures-guide.ts';
import { acceptedSockets, cpuMsOf, exhaustDescriptors, socketsOf } from './harness/processes.ts';
import {
  call,
  connect,
  connectMany,
  connectRaw,
  counter,
  expectEcho,
  get,
  info,
  startFarm,
  SWITCHING,
  upgradeRequest,
} from './harness/system.ts';

describe('maxConnections', () => {
  it('refuses the next upgrade with 503 and Retry-After, and lets one in when another has left', async () => {
    const farm = await startFarm(['--max-connections', '10']);
    const clients = await connectMany(farm, '/echo', 10);

    const refused = await connectRaw(farm.port);
    refused.writeText(upgradeRequest('/echo'));
    const head = await refused.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 503 /);
    expect(head).toMatch(/^Retry-After: \d+\r$/im);
    refused.end();
    await refused.closed;
    expect(await counter(farm, 'refused_limit')).toBe(1);

    // Who asks how the farm is gets an answer, and a farm that is full is no farm that fails.
    expect((await get(farm, '/health/live')).status).toBe(200);
    expect((await get(farm, '/health/ready')).status).toBe(200);
    for (const client of clients) await expectEcho(client, 'still here');

    await clients[0]!.close();
    const next = await eventually(() => connect(farm, '/echo'), { what: 'the next client is let in' });
    await expectEcho(next, 'my turn');
    await expect(connect(farm, '/echo')).rejects.toMatchObject({ status: 503 });
    expect((await info(farm)).num_clients).toBe(10);
  });

  it('answers health checks and refuses upgrades in a storm, too', async () => {
    const farm = await startFarm(['--max-connections', '4']);
    const clients = await connectMany(farm, '/echo', 4);
    const attempts = await Promise.allSettled(Array.from({ length: 300 }, () => connect(farm, '/echo')));
    const reasons = attempts.map((attempt) =>
      attempt.status === 'rejected' && attempt.reason instanceof UpgradeRefusedError
        ? attempt.reason.status
        : attempt,
    );
    expect(new Set(reasons)).toEqual(new Set([503]));
    expect((await get(farm, '/health/live')).status).toBe(200);
    for (const client of clients) await expectEcho(client, 'still here');
    expect(await counter(farm, 'refused_limit')).toBe(300);
  });
});

describe('maxConnectionsPerWorker', () => {
  it('full workers are given nothing more: the farm is full when all of them are', async () => {
    const farm = await startFarm(['--max-connections-per-worker', '3']);
    await connectMany(farm, '/echo', 6);
    await expect(connect(farm, '/echo')).rejects.toMatchObject({ status: 503 });
    expect((await info(farm)).workers.map(({ connections }) => connections)).toEqual([3, 3]);
  });
});

describe('maxMessageBytes', () => {
  it('a larger message closes with 1009, and its sender only', async () => {
    const farm = await startFarm(['--max-message-bytes', '1000']);
    const [large, other] = [await connect(farm, '/echo'), await connect(farm, '/echo')];
    await expectEcho(large, 'x'.repeat(1000));
    large.send('x'.repeat(1001));
    expect((await large.closed).code).toBe(1009);
    await expectEcho(other, 'still here');
  });
});

describe('messageRate', () => {
  it('closes with 4002 who sends more, and nobody else', async () => {
    const farm = await startFarm(['--message-rate', '1', '--message-burst', '5']);
    const [busy, other] = [await connect(farm, '/echo'), await connect(farm, '/echo')];
    for (let count = 0; count < 6; count++) busy.send(`${count}`);
    for (let count = 0; count < 5; count++) expect((await busy.nextMessage()).text).toBe(`${count}`);
    expect((await busy.closed).code).toBe(4002);
    await expectEcho(other, 'still here');
    expect(await counter(farm, 'closed_message_rate')).toBe(1);
  });
});

describe('maxSubscriptionsPerConnection', () => {
  it('refuses the upgrade with one channel more', async () => {
    const farm = await startFarm(['--max-subscriptions-per-connection', '2']);
    await connect(farm, '/plain?channel=a&channel=b');
    await expect(connect(farm, '/plain?channel=a&channel=b&channel=c')).rejects.toMatchObject({
      status: 400,
    });
  });
});

describe('maxChannelBytes', () => {
  it('holds for upgrades and for the HTTP API, and may be raised', async () => {
    const farm = await startFarm(['--max-channel-bytes', '300']);
    const name = 'x'.repeat(300);
    const client = await connect(farm, `/plain?channel=${name}`);
    expect(await call(farm, 'publish', { channel: name, data: 'hello' })).toMatchObject({ status: 200 });
    expect((await client.nextMessage()).text).toBe('hello');
    await expect(connect(farm, `/plain?channel=${name}x`)).rejects.toMatchObject({
      status: 400,
      body: expect.stringContaining('at most 300 bytes of UTF-8, got 301'),
    });
    expect(await call(farm, 'publish', { channel: `${name}x`, data: 'hello' })).toMatchObject({
      status: 400,
      body: { error: { code: 107, message: expect.stringContaining('at most 300 bytes of UTF-8, got 301') } },
    });
  });
});

describe('descriptors', () => {
  it('that the master lacks make it wait, not spin, and it goes on when there are some', async () => {
    const farm = await startFarm();
    const client = await connect(farm, '/echo');
    // The copy of the client's socket is closed when the worker has acknowledged it; its number would be free again.
    await eventually(() => {
      const held = socketsOf(farm.pid);
      expect(acceptedSockets(farm.port).filter((inode) => held.has(inode))).toEqual([]);
    });
    const giveBack = exhaustDescriptors(farm.pid);

    const from = performance.now();
    const cpuFrom = cpuMsOf(farm.pid);
    const waiting = await connectRaw(farm.port);
    waiting.writeText(upgradeRequest('/echo'));
    const failures = (): number => farm.logs.filter(({ msg }) => msg === 'accept failed; pausing').length;
    await eventually(() => expect(failures()).toBeGreaterThanOrEqual(5));
    // It tries ten times a second; a spinning master would have tried ten thousand times.
    const elapsed = performance.now() - from;
    expect(failures()).toBeLessThanOrEqual(elapsed / 100 + 2);
    expect(cpuMsOf(farm.pid) - cpuFrom).toBeLessThan(elapsed / 2);
    await expectEcho(client, 'still here');
    expect(waiting.received).toHaveLength(0);

    giveBack();
    expect(await waiting.readHead()).toContain(SWITCHING);
    expect(await counter(farm, 'accept_errors')).toBe(failures());
    await drillOf('The master has no descriptor left').expectQuoted(() => farm.logs);
    await expectEcho(await connect(farm, '/echo'), 'a new one');
  });

  it('that a worker lacks send its clients to another worker', async () => {
    const farm = await startFarm();
    await connectMany(farm, '/echo', 2);
    const [poor, rich] = farm.workers;
    const giveBack = exhaustDescriptors(poor!.pid);
    const cpuFrom = cpuMsOf(farm.pid);
    const from = performance.now();
    const clients = await connectMany(farm, '/where', 20);
    for (const client of clients) expect((await client.nextMessage()).text).toBe(String(rich!.pid));
    expect(cpuMsOf(farm.pid) - cpuFrom).toBeLessThan(Math.max(200, (performance.now() - from) / 2));
    expect(await counter(farm, 'handoffs_placed_again')).toBeGreaterThan(0);
    expect(await counter(farm, 'handoffs_placed_again')).toBeLessThan(200);

    giveBack();
    await eventually(async () => {
      const client = await connect(farm, '/where');
      expect((await client.nextMessage()).text).toBe(String(poor!.pid));
    });
  });

  it('that all workers lack make clients wait, not the farm spin', async () => {
    const farm = await startFarm();
    await connectMany(farm, '/echo', 2);
    const giveBack = farm.workers.map(({ pid }) => exhaustDescriptors(pid));
    const pids = [farm.pid, ...farm.workers.map(({ pid }) => pid)];
    const cpuFrom = pids.map(cpuMsOf);
    const from = performance.now();
    const waiting = await connectRaw(farm.port);
    waiting.writeText(upgradeRequest('/echo'));
    const pauses = (): number =>
      farm.logs.filter(({ msg }) => msg === 'worker has no descriptor left; pausing').length;
    await eventually(() => expect(pauses()).toBeGreaterThanOrEqual(12));
    const elapsed = performance.now() - from;
    expect(waiting.received).toHaveLength(0);
    for (const [index, pid] of pids.entries()) {
      expect(cpuMsOf(pid) - cpuFrom[index]!, `CPU of ${pid}`).toBeLessThan(elapsed / 2);
    }
    for (const give of giveBack) give();
    expect(await waiting.readHead()).toContain(SWITCHING);
    await drillOf('No worker has a descriptor left').expectQuoted(() => farm.logs);
  });

  it('of a low ulimit -n bound the farm: it is full instead of failing', async () => {
    const farm = await startFarm(['--workers', '1', '--reserved-connections', '16'], { maxOpenFiles: 320 });
    // 320 less 256 that are kept for everything else, less 16.
    const clients = await connectMany(farm, '/echo', 48);
    const attempts = await Promise.allSettled(Array.from({ length: 200 }, () => connect(farm, '/echo')));
    for (const attempt of attempts) {
      expect(attempt).toMatchObject({ status: 'rejected', reason: { status: 503 } });
    }
    for (const client of clients) await expectEcho(client, 'still here');
    await clients[0]!.close();
    const next = await eventually(() => connect(farm, '/echo'));
    await expectEcho(next, 'my turn');
    expect(await counter(farm, 'accept_errors')).toBe(0);
    expect((await info(farm)).workers[0]).toMatchObject({ restarts: 0 });
  });
});
