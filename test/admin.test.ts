import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { eventually, listenLocally, RawClient, type FarmProcess } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { documentedMetrics } from '../apps/roost/src/admin/metrics/reference.ts';
import { generateHead } from './fuzz/head-generator.ts';
import { ADMIN_TOKEN, adminPortOf, AS_ADMIN, callAdmin, WITH_ADMIN } from './harness/admin.ts';
import { parseExposition, type Scraped } from './harness/exposition.ts';
import {
  connect,
  connectMany,
  connectRaw,
  endAfterTest,
  expectEcho,
  get,
  info,
  startFarm,
  startSharedFarm,
} from './harness/system.ts';

/** Of Debian's package prometheus. */
function hasPromtool(): boolean {
  const isThere = spawnSync('promtool', ['--version']).error === undefined;
  if (!isThere) process.stderr.write('Metrics are not checked by promtool: it is not installed.\n');
  return isThere;
}

async function ask(
  port: number,
  path = '/metrics',
  headers: Readonly<Record<string, string>> = {},
  method = 'GET',
): Promise<{ readonly status: number; readonly headers: Headers; readonly body: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { Connection: 'close', ...headers },
  });
  return { status: response.status, headers: response.headers, body: await response.text() };
}

async function scrape(port: number): Promise<Map<string, Scraped>> {
  const { status, body } = await ask(port);
  expect(status).toBe(200);
  return parseExposition(body);
}

/** The sum over all series of a metric that have these words in their labels. */
function sumOf(metrics: Map<string, Scraped>, name: string, ...words: readonly string[]): number {
  let sum = 0;
  for (const [series, value] of metrics.get(name.replace(/_(?:count|sum)$/, ''))?.samples ??
    metrics.get(name)?.samples ??
    []) {
    if (series.replace(/\{.*/, '') === name && words.every((word) => series.includes(word))) sum += value;
  }
  return sum;
}

/** A scrape that is not the answer of an earlier second. */
async function scrapeUntil(
  port: number,
  isAsWanted: (metrics: Map<string, Scraped>) => boolean,
  what: string,
): Promise<Map<string, Scraped>> {
  let metrics = await scrape(port);
  await eventually(
    async () => {
      metrics = await scrape(port);
      return isAsWanted(metrics);
    },
    { what },
  );
  return metrics;
}

describe('GET /metrics', () => {
  let farm: FarmProcess;
  let port: number;
  beforeAll(async () => {
    farm = await startSharedFarm(['--admin-port', '0']);
    port = await adminPortOf(farm);
  });
  afterAll(() => farm.stop());

  it('answers what docs/reference/metrics.md lists, by worker, in the text format of Prometheus', async () => {
    const { headers } = await ask(port);
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    const metrics = await scrape(port);
    const documented = new Map(documentedMetrics().map((metric) => [metric.name, metric]));
    for (const [name, { type, help }] of metrics) {
      expect({ type, help }, name).toEqual({
        type: documented.get(name)?.type,
        help: documented.get(name)?.help.replaceAll('\\', '\\\\'),
      });
    }
    // Those of connections that have ended are there as soon as one has, those of Pusher and webhooks where they are configured.
    const missing = [...documented.keys()].filter((name) => !metrics.has(name));
    expect(missing.filter((name) => !/^roost_(?:app_pusher|webhook)_/.test(name))).toEqual([
      'roost_closes_total',
    ]);
    for (const worker of ['master', '0', '1']) {
      expect(sumOf(metrics, 'roost_process_resident_memory_bytes', `worker="${worker}"`)).toBeGreaterThan(
        1e7,
      );
      expect(sumOf(metrics, 'roost_process_proportional_memory_bytes', `worker="${worker}"`)).toBeGreaterThan(
        1e6,
      );
      expect(sumOf(metrics, 'roost_process_open_fds', `worker="${worker}"`)).toBeGreaterThan(5);
    }
  });

  it('counts what clients do', async () => {
    const before = await scrape(port);
    const clients = await connectMany(farm, '/echo', 4);
    for (const client of clients) await expectEcho(client, 'hello');
    for (const client of clients.slice(0, 2)) await client.close(1000, '');
    await get(farm, '/nothing-is-here');
    const after = await scrapeUntil(
      port,
      (metrics) => sumOf(metrics, 'roost_closes_total', 'code="1000"') === 2,
      'two connections have ended',
    );
    const added = (name: string, ...words: readonly string[]): number =>
      sumOf(after, name, ...words) - sumOf(before, name, ...words);
    expect(added('roost_upgrades_total')).toBe(4);
    expect(added('roost_messages_received_total')).toBe(4);
    expect(added('roost_closed_total')).toBe(2);
    // The connection over HTTP was handed off, too.
    expect(added('roost_accepted_total')).toBeGreaterThanOrEqual(5);
    expect(added('roost_handoffs_total', 'outcome="acknowledged"')).toBe(
      added('roost_handoff_duration_seconds_count'),
    );
    // A masked frame of 5 bytes is 11, and ours 7.
    expect(added('roost_received_bytes_total')).toBeGreaterThan(4 * 11);
    expect(added('roost_sent_bytes_total')).toBeGreaterThan(4 * 7);
    expect(sumOf(after, 'roost_connections', 'app="probe"')).toBe(2);
    expect(sumOf(after, 'roost_sockets', 'state="open"')).toBe(2);
    expect(sumOf(after, 'roost_tcp_sample_connections')).toBe(2);
  });

  it.skipIf(!hasPromtool())('passes the linter of Prometheus itself', async () => {
    await connectMany(farm, '/echo', 1);
    const { body } = await ask(port);
    const linter = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
    const said = Promise.all([text(linter.stdout), text(linter.stderr)]);
    linter.stdin.end(body);
    const [code] = await once(linter, 'close');
    expect({ code, said: (await said).join('') }).toEqual({ code: 0, said: '' });
  });

  it('answers in OpenMetrics, and in gzip, to who asks for it', async () => {
    const { headers, body } = await ask(port, '/metrics', {
      Accept: 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2',
      'Accept-Encoding': 'gzip',
    });
    expect(headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
    expect(headers.get('content-encoding')).toBe('gzip');
    expect(body).toMatch(/^# TYPE roost_upgrades counter\nroost_upgrades_total\{worker="0"\} \d+$/m);
    expect(body.endsWith('\n# EOF\n')).toBe(true);
    const { headers: plain } = await ask(port, '/metrics', { 'Accept-Encoding': 'gzip;q=0, identity' });
    expect(plain.get('content-encoding')).toBeNull();
  });

  it('asks the workers once a second at most, however many ask', async () => {
    const bodies = await Promise.all(Array.from({ length: 40 }, () => ask(port)));
    const uptimes = new Set(bodies.map(({ body }) => /^roost_uptime_seconds (\S+)$/m.exec(body)?.[1]));
    // Two when a second ended among them.
    expect(uptimes.size).toBeLessThanOrEqual(2);
  });

  it('keeps what dead workers have counted', async () => {
    const clients = await connectMany(farm, '/echo', 6);
    for (const client of clients) await expectEcho(client, 'counted');
    const before = await scrapeUntil(
      port,
      (metrics) => sumOf(metrics, 'roost_upgrades_total') >= 6,
      'they are counted',
    );
    const victim = (await info(farm)).workers[0];
    process.kill(victim?.pid ?? 0, 'SIGKILL');
    const after = await scrapeUntil(
      port,
      (metrics) =>
        sumOf(metrics, 'roost_worker_restarts_total', 'worker="0"') === 1 &&
        sumOf(metrics, 'roost_worker_up', 'worker="0"') === 1,
      'another worker has taken its place',
    );
    for (const [name, { type, samples }] of before) {
      if (type === 'gauge') continue;
      for (const [series, value] of samples) {
        expect(after.get(name)?.samples.get(series), series).toBeGreaterThanOrEqual(value);
      }
    }
  });

  it('goes on while a worker does not answer, and says how many did not', async () => {
    const { workers } = await info(farm);
    const pid = workers[1]?.pid ?? 0;
    const before = await scrape(port);
    process.kill(pid, 'SIGSTOP');
    try {
      const during = await scrapeUntil(
        port,
        (metrics) => sumOf(metrics, 'roost_unanswered_workers') === 1,
        'one has not answered',
      );
      const series = 'roost_upgrades_total{worker="1"}';
      expect(during.get('roost_upgrades_total')?.samples.get(series)).toBe(
        before.get('roost_upgrades_total')?.samples.get(series),
      );
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });
});

describe('the calls of the dashboard', () => {
  let farm: FarmProcess;
  let port: number;
  beforeAll(async () => {
    farm = await startSharedFarm(WITH_ADMIN);
    port = await adminPortOf(farm);
  });
  afterAll(() => farm.stop());

  const call = (method: string, path: string, body?: unknown) => callAdmin(port, method, path, body);

  it('tell how the farm is, and its largest channels', async () => {
    const clients = [await connect(farm, '/plain?channel=news'), await connect(farm, '/plain?channel=news')];
    await connect(farm, '/plain?channel=sports');
    expect(clients).toHaveLength(2);
    expect(await call('GET', '/api/channels')).toEqual({
      status: 200,
      body: {
        channels: [
          { channel: 'news', subscribers: 2 },
          { channel: 'sports', subscribers: 1 },
        ],
      },
    });
    await eventually(async () => {
      expect(await call('GET', '/api/overview')).toMatchObject({
        status: 200,
        body: {
          isReady: true,
          reasons: [],
          broker: 'memory',
          unanswered: [],
          workers: [
            { worker: 0, state: 'ready', isBrokerReady: true },
            { worker: 1, state: 'ready', isBrokerReady: true },
          ],
          totals: { opened: 3, closed: 0 },
        },
      });
    });
  });

  it('say when the workers were asked, also to who gets what others were told', async () => {
    const moments = new Map<unknown, Set<unknown>>();
    for (let looks = 0; looks < 20; looks++) {
      const { body } = await ask(port, '/api/overview', AS_ADMIN);
      const { at, uptimeMs }: { readonly at: number; readonly uptimeMs: number } = JSON.parse(body);
      moments.set(uptimeMs, (moments.get(uptimeMs) ?? new Set()).add(at));
    }
    for (const of of moments.values()) expect(of.size).toBe(1);
    expect(moments.size).toBeLessThan(20);
  });

  it('do not say of a connection that it is not there while a worker does not answer', async () => {
    const { pid = 0 } = farm.workers[1] ?? {};
    process.kill(pid, 'SIGSTOP');
    try {
      for (const [method, path, body] of [
        ['GET', '/api/connections/nobody', undefined],
        ['POST', '/api/disconnect', { connection: 'nobody' }],
      ] as const) {
        expect(await call(method, path, body)).toEqual({
          status: 503,
          body: {
            error: 'Worker 1 did not answer within a second, and may have the connection; the others do not.',
          },
        });
      }
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  });

  it('publish, on all workers', async () => {
    const clients = await connectMany(farm, '/plain?channel=wide', 4);
    expect(await call('POST', '/api/publish', { channel: 'wide', data: 'hello' })).toEqual({
      status: 200,
      body: {},
    });
    for (const client of clients) expect((await client.nextMessage()).text).toBe('hello');
  });

  it('disconnect all subscribers of a channel, and say it in the log', async () => {
    const clients = await connectMany(farm, '/plain?channel=closed', 4);
    const answer = await call('POST', '/api/disconnect', {
      channel: 'closed',
      code: 4999,
      reason: 'goodbye',
    });
    expect(answer).toEqual({ status: 200, body: { isFound: true } });
    for (const client of clients) {
      expect(await client.closed).toMatchObject({ code: 4999, reason: 'goodbye' });
    }
    const line = await farm.log(({ msg }) => msg === 'disconnected by an operator');
    expect(line).toMatchObject({ level: 'info', channel: 'closed', code: 4999 });
  });

  it.each([
    ['POST', '/api/publish', { channel: 'a' }, 400, "must have required property 'data'"],
    ['POST', '/api/publish', { channel: 7, data: 'x' }, 400, 'must be string'],
    ['POST', '/api/publish', { channel: 'a\n', data: 'x' }, 400, 'control characters'],
    ['GET', '/api/members', undefined, 400, "must have required property 'channel'"],
    ['GET', '/api/members?channel=a%0A', undefined, 400, 'control characters'],
    ['POST', '/api/publish', '{', 400, 'JSON'],
    ['POST', '/api/disconnect', {}, 400, 'must'],
    ['POST', '/api/disconnect', { user: 'a', channel: 'b' }, 400, 'must match exactly one'],
    ['POST', '/api/disconnect', { user: '' }, 400, 'user'],
    ['POST', '/api/disconnect', { user: 'a', code: 1005 }, 400, 'a close code is 1000'],
    ['POST', '/api/disconnect', { connection: 'x', reason: 'x'.repeat(124) }, 400, 'at most 123 bytes'],
    ['POST', '/api/drain', {}, 400, 'confirm'],
    ['POST', '/api/drain', { confirm: 'yes' }, 400, 'must be equal to constant'],
    ['GET', '/api/connections/nobody', undefined, 404, 'no connection of this id'],
    ['GET', '/api/nothing', undefined, 404, 'nothing is here'],
    ['DELETE', '/api/overview', undefined, 404, 'nothing is here'],
  ])('%s %s with %j is refused with %d', async (method, path, body, status, problem) => {
    const answer = await call(method, path, body);
    expect(answer).toEqual({ status, body: { error: expect.stringMatching(new RegExp(problem, 'i')) } });
    expect((await info(farm)).readiness.ready).toBe(true);
  });
});

describe('the admin listener', () => {
  it('is not behind the port for clients', async () => {
    const farm = await startFarm(WITH_ADMIN);
    for (const headers of [{}, AS_ADMIN]) {
      const response = await fetch(`http://127.0.0.1:${farm.port}/metrics`, { headers });
      expect([response.status, await response.text()]).toEqual([404, expect.not.stringContaining('roost_')]);
    }
  });

  it('answers strangers with 401, and requests that were meant for another name with 403', async () => {
    const farm = await startFarm(WITH_ADMIN);
    const port = await adminPortOf(farm);
    for (const path of [
      '/metrics',
      '/api/overview',
      '/api/anything',
      '/health/ready',
      '/metrics/',
      '/%6detrics',
    ]) {
      for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS']) {
        const { status, headers } = await ask(port, path, { Authorization: 'Bearer wrong' }, method);
        expect([status, headers.get('connection')], `${method} ${path}`).toEqual([401, 'close']);
      }
    }
    expect((await ask(port, '/metrics', AS_ADMIN)).status).toBe(200);
    const rebound = await connectRaw(port);
    rebound.writeText(
      `GET /metrics HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`,
    );
    expect(await rebound.readHead()).toMatch(/^HTTP\/1\.1 403 /);
  });

  it('is off when it is told to be', async () => {
    const farm = await startFarm(['--admin-port', 'off']);
    expect(farm.logs.some(({ msg }) => String(msg).includes('admin'))).toBe(false);
  });

  it('outlives what is not HTTP, or nearly: nothing is let in, and the farm does not notice', async () => {
    const farm = await startFarm(WITH_ADMIN);
    const port = await adminPortOf(farm);
    const bystander = await connect(farm, '/echo');
    for (let index = 0; index < 400; index++) {
      const { bytes } = generateHead(20_261_129, index);
      const client = await RawClient.connect(port);
      client.write(bytes);
      client.end();
      await client.closed;
      const answer = client.received.toString('latin1');
      // The files of the dashboard tell nothing; whether they arrive before the client has hung up is a matter of time.
      if (!/^<!doctype html>/im.test(answer)) {
        expect(answer, bytes.toString('latin1')).not.toMatch(/^HTTP\/1\.1 [23]/m);
      }
      expect(answer).not.toContain('roost_');
    }
    expect((await ask(port, '/metrics', AS_ADMIN)).status).toBe(200);
    await expectEcho(bystander, 'nothing happened');
    expect((await info(farm)).counters).toMatchObject({ master_errors: 0, worker_restarts: 0 });
  });

  it('ends who says nothing, or dribbles, and has room for others meanwhile', async () => {
    const farm = await startFarm(['--admin-port', '0']);
    const port = await adminPortOf(farm);
    const silent = await Promise.all(Array.from({ length: 32 }, () => connectRaw(port)));
    for (const client of silent) client.writeText('GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
    expect((await ask(port)).status).toBe(200);
    for (const client of silent) await client.closed;
    expect(silent[0]?.received.toString()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('has at most 64 connections', async () => {
    const farm = await startFarm(['--admin-port', '0']);
    const port = await adminPortOf(farm);
    const clients = await Promise.all(Array.from({ length: 65 }, () => connectRaw(port)));
    await Promise.race(clients.map(({ closed }) => closed));
    expect(clients.filter(({ isClosed }) => isClosed)).toHaveLength(1);
  });

  it('does not read the body of a stranger, nor a large one of anybody', async () => {
    const farm = await startFarm(WITH_ADMIN);
    const port = await adminPortOf(farm);
    const body = 'x'.repeat(70_000);
    for (const [path, authorization, status] of [
      ['/api/publish', 'Bearer wrong', 401],
      ['/api/publish', `Bearer ${ADMIN_TOKEN}`, 413],
      ['/api/nothing', `Bearer ${ADMIN_TOKEN}`, 404],
    ] as const) {
      const client = await connectRaw(port);
      client.writeText(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: ${authorization}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
      );
      client.writeText(body);
      expect(await client.readHead()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    }
  });

  it('keeps a farm whose admin port is in use from starting, when it was asked for', async () => {
    const other = createServer();
    const port = await listenLocally(other);
    endAfterTest(async () => {
      other.close();
      await once(other, 'close');
    });
    await expect(startFarm(['--admin-port', String(port)])).rejects.toThrow(
      `The admin listener cannot listen on port ${port} of 127.0.0.1: EADDRINUSE. Choose another port with --admin-port, or turn it off with --admin-port off.`,
    );
  });
});
