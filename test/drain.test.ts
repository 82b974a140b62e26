import { eventually, livingMembers, patient } from '@roost/testing';
import type { TestClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf } from './harness/failures-guide.ts';
import {
  connect,
  connectMany,
  connectRaw,
  expectEcho,
  get,
  info,
  startFarm,
  upgradeRequest,
} from './harness/system.ts';

const GONE = { code: 1001, reason: 'the server is shutting down' };

/** When each client was closed, in ms from now, in the order of the clients. */
function closings(clients: readonly TestClient[]): Promise<number[]> {
  const from = performance.now();
  return Promise.all(clients.map((client) => client.closed.then(() => performance.now() - from)));
}

/** Well before the harness would kill what a dead master leaves, which is 20 s after its end. */
async function expectGone(group: number, workers: readonly number[]): Promise<void> {
  await eventually(
    () => {
      const living = livingMembers(group);
      expect(workers.filter((pid) => living.includes(pid))).toEqual([]);
    },
    { deadlineMs: 900 },
  );
}

describe('Ctrl-C', () => {
  it('reaches the whole process group, and drains: every client gets 1001, spread over drainMs; exit code 0', async () => {
    const drainMs = patient(1500);
    const farm = await startFarm(['--drain-ms', String(drainMs)]);
    // Enough for each twentieth of the time to see some of them.
    const count = 2 * Math.ceil(drainMs / 75);
    const clients = await connectMany(farm, '/echo', count);
    const closed = closings(clients);
    // As a terminal does: master and workers get it.
    process.kill(-farm.pid, 'SIGINT');
    await Promise.race(clients.map((client) => client.closed));
    // Those whose turn has not come are served.
    const open = clients.filter(({ isClosed }) => !isClosed);
    expect(open.length).toBeGreaterThan(0);
    await Promise.all(open.slice(-5).map((client) => expectEcho(client, 'still here')));

    const times = (await closed).toSorted((one, other) => one - other);
    for (const client of clients) expect(await client.closed).toEqual(GONE);
    expect(times.at(-1)! - times[0]!).toBeGreaterThan(drainMs / 2);
    // Spread, not in two lumps: a tenth of the time sees less than half of them.
    for (let from = 0; from < count; from++) {
      const within = times.filter((time) => time >= times[from]! && time < times[from]! + drainMs / 10);
      expect(within.length).toBeLessThan(count / 2);
    }
    expect(await farm.exited).toEqual({ code: 0, signal: null });
    const drained = farm.logs.filter(({ msg }) => msg === 'worker drained');
    expect(drained.map((line) => line['closed'])).toEqual([count / 2, count / 2]);
    expect(farm.logs.some(({ msg }) => msg === 'worker died')).toBe(false);
    await drillOf('The master is told to stop').expectQuoted(() => farm.logs);
  });

  it('a second time ends everything at once', async () => {
    const farm = await startFarm(['--drain-ms', '600000']);
    const clients = await connectMany(farm, '/echo', 10);
    process.kill(-farm.pid, 'SIGINT');
    await farm.log(({ msg }) => msg === 'signal received: draining, a second one forces');
    process.kill(-farm.pid, 'SIGTERM');
    expect(await farm.exited).toEqual({ code: 130, signal: null });
    await Promise.all(clients.map((client) => client.closed));
  });
});

describe('while a farm drains', () => {
  it('who asks for an upgrade on a connection it has gets 503, and new connections are refused', async () => {
    const farm = await startFarm(['--drain-ms', String(patient(3000)), '--workers', '1']);
    const clients = await connectMany(farm, '/echo', 20);
    const early = await connectRaw(farm.port);
    // Both have been handed to the worker when this has been answered.
    await info(farm);
    farm.signal('SIGTERM');
    await Promise.race(clients.map((client) => client.closed));
    early.writeText(upgradeRequest('/echo'));
    const head = await early.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 503 /);
    expect(head).toMatch(/^Retry-After: \d+\r$/im);
    await expect(connectRaw(farm.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await farm.exited).toEqual({ code: 0, signal: null });
  });

  it('an HTTP response that has begun is finished, and the connection told to close', async () => {
    const farm = await startFarm(['--drain-ms', String(patient(2000)), '--workers', '1']);
    const clients = await connectMany(farm, '/echo', 10);
    const [slow, other] = [await connectRaw(farm.port), await connectRaw(farm.port)];
    slow.writeText('GET /half HTTP/1.1\r\nHost: a\r\n\r\n');
    await slow.readHead();
    expect((await slow.read(5)).toString()).toBe('half,');
    other.writeText('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await other.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    expect((await other.read(17)).toString()).toBe('{"status":"live"}');

    farm.signal('SIGTERM');
    await Promise.race(clients.map((client) => client.closed));
    other.writeText('GET /release HTTP/1.1\r\nHost: a\r\n\r\n');
    expect((await slow.read(5)).toString()).toBe('whole');
    const answer = await other.readHead();
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toMatch(/^Connection: close\r$/im);
    await Promise.all([slow.closed, other.closed]);
    expect(await farm.exited).toEqual({ code: 0, signal: null });
  });

  it('an HTTP response that takes longer than the draining of the connections is not cut', async () => {
    const farm = await startFarm(['--drain-ms', '0', '--workers', '1', '--stop-timeout-ms', '600000']);
    const slow = await connectRaw(farm.port);
    const client = await connect(farm, '/echo');
    slow.writeText('GET /slowly HTTP/1.1\r\nHost: a\r\n\r\n');
    await slow.readHead();
    farm.signal('SIGTERM');
    expect(await client.closed).toEqual(GONE);
    expect((await slow.read(10)).toString()).toBe('half,whole');
    // Nor is it waited for any longer: stopTimeoutMs is ten minutes.
    await slow.closed;
    expect(await farm.exited).toEqual({ code: 0, signal: null });
  });

  it('a client that never answers the close frame does not keep it', async () => {
    const farm = await startFarm(['--close-timeout-ms', '600000', '--stop-timeout-ms', '500']);
    const mute = await connectRaw(farm.port);
    mute.writeText(upgradeRequest('/echo'));
    await mute.readHead();
    farm.signal('SIGTERM');
    // FIN, close, 1001.
    expect((await mute.read(4)).toString('hex')).toMatch(/^88..03e9$/);
    await mute.closed;
    expect(await farm.exited).toEqual({ code: 0, signal: null });
  });
});

describe('a master that is killed', () => {
  it('takes its workers with it, and their clients', async () => {
    const drill = drillOf('The master is killed');
    const farm = await startFarm();
    const { port } = farm;
    const clients = await connectMany(farm, '/echo', 10);
    const workers = farm.workers.map(({ pid }) => pid);
    const lineCount = farm.logs.length;
    const from = performance.now();
    farm.signal('SIGKILL');
    for (const client of clients) expect((await client.closed).code).toBe(1006);
    await expectGone(farm.pid, workers);
    drill.tookMs('no process is left', from);
    // Nobody is there who could say it, and nobody holds the port.
    expect(farm.logs.slice(lineCount)).toEqual([]);
    await drill.expectQuoted(() => farm.logs);
    // Another spec's farm may have been given it for a moment.
    await eventually(() => expect(connectRaw(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' }));
    const next = await startFarm(['--port', String(port)]);
    await expectEcho(await connect(next, '/echo'), 'again');
  });

  it('takes even a worker whose event loop is blocked', async () => {
    const farm = await startFarm();
    await get(farm, '/block');
    await farm.log(({ msg }) => msg === 'blocking');
    const workers = farm.workers.map(({ pid }) => pid);
    farm.signal('SIGKILL');
    await expectGone(farm.pid, workers);
  });
});
