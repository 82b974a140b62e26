import { redisIsInstalled, startRedis, startServer } from '@roost/testing';
import type { FarmProcess, RedisFixture } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ADMIN_AWAY_ROWS,
  ADMIN_ROWS,
  API_ROWS,
  AWAY_ROWS,
  DENIED_ROWS,
  DRAIN_ROW,
  MAX_BODY_BYTES,
  PUSHER_ROWS,
} from './fixtures/described-calls.ts';
import type { Row } from './fixtures/described-calls.ts';
import { OpenApi, request } from './fixtures/openapi.ts';
import { API_KEY } from './fixtures/system-test.ts';
import { APP_ID, KEY, RawPusher, requestOf, SECRET } from './worker/dialects/pusher/fixtures/pusher-farm.ts';

/*
 * Every call of the documents is made to a farm that runs, in every way that is described, and what comes back must be
 * described: route, status, media type and each field. The specs of the APIs and of what befalls a farm compare all that they
 * are answered, too (expectDescribed).
 */

const TOKEN = 'only-for-those-who-run-the-farm';

/** What other specs are answered, and compare with the document; or what no request can bring about. */
const NOT_HERE: readonly { readonly status: number; readonly path: RegExp; readonly reason: string }[] = [
  { status: 500, path: /./, reason: 'a bug of ours, which we know of none' },
  {
    status: 504,
    path: /^\/api\/publish$/,
    reason: 'test/redis-partition.test.ts: a Redis that hears nothing',
  },
  {
    status: 503,
    path: /^\/api\/channels$/,
    reason: 'test/partial-answers.test.ts: a worker that does not run',
  },
  { status: 503, path: /^\/api\/info$/, reason: 'a master that does not answer in 5 s, or stops meanwhile' },
  {
    status: 503,
    path: /^\/metrics$|^\/api\/(?:overview|connections|webhooks|changes|presence|drain)/,
    reason: 'a farm that starts or stops',
  },
];

/** A farm with all APIs, which says in its log which routes each server of its processes has. */
const PRELOAD = `import { subscribe } from 'node:diagnostics_channel';
subscribe('fastify.initialization', ({ fastify }) =>
  fastify.addHook('onRoute', ({ method, url }) => console.log(JSON.stringify({ msg: 'a route', method, url }))));`;

const openApi = new OpenApi('openapi.yaml');
const adminApi = new OpenApi('openapi-admin.yaml');

const title = ({ method, path, status, headers, json, body }: Row): string =>
  `${method} ${path.slice(0, 60)} is answered with ${status}: ${JSON.stringify(json ?? body ?? headers ?? '').slice(0, 60)}`;
const titled = (rows: readonly Row[]): [string, Row][] => rows.map((row) => [title(row), row]);

describe.skipIf(!redisIsInstalled())('the OpenAPI documents', () => {
  let redis: RedisFixture;
  let farm: FarmProcess;
  let adminPort: number;
  const clients: RawPusher[] = [];

  beforeAll(async () => {
    redis = await startRedis();
    farm = await startServer(
      ['--workers', '1', '--api-key', API_KEY, '--drain-ms', '0', '--redis-url', redis.url]
        .concat(['--admin-port', '0', '--admin-token', TOKEN])
        .concat(['--api-max-body-bytes', String(MAX_BODY_BYTES)]),
      {
        env: {
          NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(PRELOAD)}`,
          ROOST_PUSHER_APP_ID: APP_ID,
          ROOST_PUSHER_APP_KEY: KEY,
          ROOST_PUSHER_APP_SECRET: SECRET,
          ROOST_PUSHER_APPS: '[{"id":"off","key":"off-key","secret":"off-secret","enabled":false}]',
        },
      },
    );
    const { metrics } = await farm.log(({ msg }) => msg === 'admin listener open');
    adminPort = Number(new URL(String(metrics)).port);
    const client = await RawPusher.connect(farm);
    clients.push(client);
    await client.subscribe('news');
    await client.subscribe('presence-room', '{"user_id":"ada"}');
  });
  afterAll(async () => {
    await Promise.all(clients.map(({ client }) => client.terminate()));
    await farm?.stop();
    await redis?.stop();
  });

  async function send(port: number, row: Row, headers: Readonly<Record<string, string>>): Promise<void> {
    const api = port === adminPort ? adminApi : openApi;
    const described = api.pathOf(row.method, row.path);
    expect(described, 'a document describes it').toBeDefined();
    if (row.json !== undefined && row.isBeyondSchema !== true) {
      const problem = api.bodyProblem(row.method, described ?? '', row.json);
      if (row.status < 300) expect(problem, 'the body fits its schema').toBeUndefined();
      if (row.status === 400 && row.signedAs?.query === undefined && !row.path.includes('/users/')) {
        expect(problem, 'the body does not fit its schema').toBeDefined();
      }
    }
    const body = row.body ?? (row.json === undefined ? undefined : JSON.stringify(row.json));
    const signed =
      row.signedAs &&
      requestOf(row.method, row.path, { ...row.signedAs, ...(body !== undefined && { body: String(body) }) });
    const path = signed?.path ?? row.path;
    const answered = await request(port, row.method, path, { ...headers, ...row.headers }, body);
    expect(answered.status, answered.body).toBe(row.status);
    api.check(row.method, row.path, answered);
  }

  const toFarm = (row: Row): Promise<void> =>
    send(farm.port, row, row.signedAs === undefined ? { 'X-API-Key': API_KEY } : {});

  async function toAdmin(row: Row): Promise<void> {
    // In the Pusher dialect the id of a connection is told to its client.
    const path = row.path.replace('of-a-client', clients[0]?.socketId ?? '');
    const type = row.json === undefined ? {} : { 'Content-Type': 'application/json' };
    await send(adminPort, { ...row, path }, { Authorization: `Bearer ${TOKEN}`, ...type });
  }

  describe('of the port for clients', () => {
    it.each(titled([...API_ROWS, ...PUSHER_ROWS]))('%s', (_, row) => toFarm(row));

    it('have all its paths: another gets 404, and another method 405', async () => {
      for (const [method, path, status] of [
        ['POST', '/api/presence', 404],
        ['GET', '/api/publish', 405],
      ] as const) {
        expect(openApi.pathOf(method, path)).toBeUndefined();
        const answered = await request(farm.port, method, path, { 'X-API-Key': API_KEY });
        expect(answered.status).toBe(status);
      }
    });
  });

  describe('of the admin listener', () => {
    it.each(titled(ADMIN_ROWS))('%s', (_, row) => toAdmin(row));
  });

  it('have every route that a server of the farm has, and no other', () => {
    const described = [...openApi.calls(), ...adminApi.calls()].map(
      ({ method, path }) => `${method} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`,
    );
    const routes = farm.logs
      .filter(({ msg, method }) => msg === 'a route' && method !== 'HEAD')
      .map(({ method, url }) => `${String(method)} ${String(url)}`);
    expect(new Set(routes)).toEqual(new Set(described.filter((call) => !call.includes(' /health/'))));
  });

  it('are kept to while Redis denies publications, and when it has gone', async () => {
    await redis.command('ACL', 'SETUSER', 'default', '-publish');
    for (const row of DENIED_ROWS) await toFarm(row);
    await redis.kill();
    await expect.poll(async () => (await request(farm.port, 'GET', '/health/ready')).status).toBe(503);
    for (const row of AWAY_ROWS) await toFarm(row);
    for (const row of ADMIN_AWAY_ROWS) await toAdmin(row);
  });

  it('are kept to by a drain', async () => {
    await toAdmin(DRAIN_ROW);
    await farm.exited;
  });

  it('describe no status that nothing here is answered with, unless there is a reason', () => {
    const rows = [
      [openApi, [...API_ROWS, ...PUSHER_ROWS, ...DENIED_ROWS, ...AWAY_ROWS]],
      [adminApi, [...ADMIN_ROWS, ...ADMIN_AWAY_ROWS, DRAIN_ROW]],
    ] as const;
    const missing = rows.flatMap(([api, made]) => {
      const seen = new Set(
        made.map((row) => `${row.method} ${api.pathOf(row.method, row.path)} ${row.status}`),
      );
      return api.calls().flatMap(({ method, path, statuses }) =>
        statuses
          .filter((status) => !NOT_HERE.some((known) => known.status === status && known.path.test(path)))
          .map((status) => `${method} ${path} ${status}`)
          .filter((call) => !seen.has(call)),
      );
    });
    expect(missing).toEqual([]);
  });
});
