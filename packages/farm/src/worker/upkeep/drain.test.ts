import { patient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  textFrame,
  upgradeHead,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

const ECHO: App = {
  upgrade: () => accept(),
  message: (connection, data, isBinary) => void connection.send(data, isBinary),
  http: (_request, response) => void response.end('hello'),
};

let harness: WorkerHarness;
afterEach(() => harness.stop());

async function start(app: App = ECHO, options: HarnessOptions = {}): Promise<void> {
  harness = await WorkerHarness.start(app, options);
}

function drain(drainMs: number): void {
  harness.send({ type: 'drain', drainMs, workers: 1 });
}

/** Ten steps of 50 ms on a machine at rest, and as many more as it is busier. */
function drainTime(): { readonly drainMs: number; readonly steps: number } {
  const steps = Math.ceil(patient(500) / 50);
  return { drainMs: steps * 50, steps };
}

/** When each of `count` clients is closed, as a share of the time of the drain. */
async function closingTimes(count: number, drainMs: number): Promise<number[]> {
  await start(ECHO, { capacity: count });
  const clients = await Promise.all(Array.from({ length: count }, () => harness.client()));
  const startedAt = performance.now();
  drain(drainMs);
  const times = clients.map(async (client) => client.closed.then(() => performance.now() - startedAt));
  return (await Promise.all(times)).map((time) => time / drainMs).toSorted((one, other) => one - other);
}

describe('a drain', () => {
  it('closes every connection with 1001, asleep or awake, and ends with the last of them', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 10 }, () => harness.client()));
    const awake = await harness.open();
    awake.write(clientFrame(0x01, 'frag'));
    await harness.counts('wakes', 1);
    drain(0);
    for (const client of clients) {
      expect(await client.closed).toEqual({ code: 1001, reason: 'the server is shutting down' });
    }
    expect((await awake.read(4)).readUInt16BE(2)).toBe(1001);
    awake.write(clientFrame(0x88, Buffer.from([0x03, 0xe9])));
    await awake.closed;
    await poll(() => harness.exits).toEqual([0]);
    await poll(() => harness.said).toContainEqual({ type: 'drained', closed: 11 });
    const reports = harness.said.filter((message) => message.type === 'report');
    expect(reports.at(-1)?.report.connections).toBe(0);
  });

  it('has some come back at once, where the app has a code for that, and never more than it allows', async () => {
    const drainMs = patient(1000);
    const perSecond = 20_000 / drainMs;
    await start({ ...ECHO, returnAtOnce: { code: 4200, reason: 'come back', perSecond } }, { capacity: 200 });
    const clients = await Promise.all(Array.from({ length: 200 }, () => harness.client()));
    const startedAt = performance.now();
    drain(drainMs);
    const closes = await Promise.all(clients.map((client) => client.closed));
    const seconds = (performance.now() - startedAt) / 1000;
    const atOnce = closes.filter(({ code }) => code === 4200);
    expect(atOnce.length).toBeGreaterThan(5);
    expect(atOnce.length).toBeLessThanOrEqual(perSecond * seconds);
    expect(atOnce[0]).toEqual({ code: 4200, reason: 'come back' });
    expect(closes.filter(({ code }) => code === 1001)).toHaveLength(200 - atOnce.length);
    await poll(() => harness.exits).toEqual([0]);
    await poll(() => harness.said).toContainEqual({ type: 'drained', closed: 200 });
    const reports = harness.said.filter((message) => message.type === 'report');
    expect(reports.at(-1)?.report.counters).toMatchObject({ closed_to_return_at_once: atOnce.length });
  });

  it('is spread over drainMs', async () => {
    const { drainMs, steps } = drainTime();
    const times = await closingTimes(2 * steps, drainMs);
    expect(times[0]).toBeLessThan(0.5);
    expect(times.at(-1)).toBeGreaterThan(0.8);
    // No two steps may hold everybody.
    expect(times.filter((time) => time < 0.3).length).toBeLessThan(1.2 * steps);
    await poll(() => harness.exits).toEqual([0]);
  });

  it('is spread over drainMs when the clients are one more than its steps', async () => {
    // Two a step would end it in half of the time.
    const { drainMs, steps } = drainTime();
    expect((await closingTimes(steps + 1, drainMs)).at(-1)).toBeGreaterThan(0.8);
    await poll(() => harness.exits).toEqual([0]);
  });

  it('is not hurried by clients that leave meanwhile, and ends with the last that is left', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 10 }, () => harness.client()));
    const [first, ...others] = clients;
    const last = others.pop();
    const startedAt = performance.now();
    const drainMs = patient(600);
    drain(drainMs);
    await first?.closed;
    // By themselves: the last one keeps its turn.
    await Promise.all(others.map((client) => client.terminate()));
    await last?.closed;
    expect(performance.now() - startedAt).toBeGreaterThan((2 / 3) * drainMs);
    await poll(() => harness.exits).toEqual([0]);
  });

  it('does not wait when there is nobody to close', async () => {
    await start();
    drain(600_000);
    await poll(() => harness.exits).toEqual([0]);
  });

  it('serves who is not closed yet', async () => {
    await start();
    const clients = [await harness.client(), await harness.client()];
    drain(patient(400));
    const [first, second] = clients;
    await first?.closed;
    second?.send('still here');
    expect((await second?.nextMessage())?.text).toBe('still here');
    expect((await second?.closed)?.code).toBe(1001);
  });

  it('refuses upgrades with 503, also one that an asynchronous hook was deciding', async () => {
    let decide = nothing;
    await start({
      ...ECHO,
      upgrade: ({ path }) =>
        path === '/slow'
          ? new Promise((resolve) => {
              decide = () => resolve(accept());
            })
          : accept(),
    });
    const open = await harness.open();
    const slow = await harness.connect();
    slow.writeText(upgradeHead('/slow'));
    const late = await harness.connect();
    late.writeText(upgradeHead().slice(0, 20));
    await harness.report();
    drain(0);
    await open.read(4);
    late.writeText(upgradeHead().slice(20));
    for (const client of [late, slow]) {
      decide();
      const head = await client.readHead();
      expect(head).toMatch(/^HTTP\/1\.1 503 /);
      expect(head).toContain('\r\nRetry-After: 5\r\n');
    }
    expect(await harness.count('refused_draining')).toBe(2);
    open.write(clientFrame(0x88, Buffer.from([0x03, 0xe9])));
    await Promise.all([open.closed, late.closed, slow.closed]);
    await poll(() => harness.exits).toEqual([0]);
  });

  it('ends HTTP connections with their response, idle and silent ones at once', async () => {
    let answer = nothing;
    await start({
      ...ECHO,
      http(request, response) {
        if (request.url === '/slow') answer = () => response.end('done');
        else response.end('hello');
      },
    });
    const idle = await harness.connect();
    idle.writeText('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await idle.readHead();
    const silent = await harness.connect();
    const slow = await harness.connect();
    slow.writeText('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await harness.counts('http_connections', 2);
    drain(0);
    await Promise.all([idle.closed, silent.closed]);
    expect(slow.isClosed).toBe(false);
    answer();
    expect(await slow.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    expect(String(await slow.read(4))).toBe('done');
    await slow.closed;
    await poll(() => harness.exits).toEqual([0]);
  });

  it('ends after stopTimeoutMs whoever does not answer', async () => {
    const closes: number[] = [];
    await start({ ...ECHO, close: (_connection, code) => void closes.push(code) }, { stopTimeoutMs: 100 });
    const deaf = await harness.open();
    drain(0);
    await deaf.closed;
    expect((await deaf.read(4)).readUInt16BE(2)).toBe(1001);
    await poll(() => harness.exits).toEqual([0]);
    expect(closes).toEqual([1001]);
  });

  it('asked for twice is one', async () => {
    await start();
    const client = await harness.client();
    drain(0);
    drain(0);
    await client.closed;
    await poll(() => harness.exits).toEqual([0]);
    await poll(() => harness.said.filter(({ type }) => type === 'drained')).toEqual([
      { type: 'drained', closed: 1 },
    ]);
  });
});

describe('a worker whose master is gone', () => {
  it('ends everything at once and exits', async () => {
    await start();
    const client = await harness.open();
    client.write(textFrame('x').subarray(0, 3));
    await harness.stop();
    expect(harness.exits).toEqual([1]);
    await client.closed;
  });
});

function nothing(): void {
  // Replaced before it is called.
}
