import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { redisIsInstalled, TestClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import {
  closeAfterEach,
  connect,
  request,
  serverForAll,
  start,
  startOwnRedis,
} from './fixtures/system-test.ts';

const PAGE = fileURLToPath(new URL('../page/', import.meta.url));
const PAGE_APP = fileURLToPath(new URL('./fixtures/page-app.mjs', import.meta.url));

closeAfterEach();
const server = serverForAll();

describe('/plain', () => {
  it('subscribes to each named channel once and delivers payloads as they were published', async () => {
    const farm = await start(['--plain-client-publish']);
    const client = await connect(farm, '/plain?channel=news&channel=sports&channel=news');
    const publisher = await connect(farm, '/plain?channel=news');
    publisher.send('hello');
    expect(await client.nextMessage()).toMatchObject({ text: 'hello', isBinary: false });
    publisher.send(Buffer.from('00ff', 'hex'));
    expect(await client.nextMessage()).toMatchObject({ data: Buffer.from('00ff', 'hex'), isBinary: true });
    await client.roundTrip();
    expect(client.messageCount).toBe(2);
  });

  it('publishes to all channels of the sender, itself included, when clientPublish is on', async () => {
    const farm = await start(['--plain-client-publish']);
    const sender = await connect(farm, '/plain?channel=a&channel=b');
    const a = await connect(farm, '/plain?channel=a');
    const b = await connect(farm, '/plain?channel=b');
    sender.send('1');
    expect((await a.nextMessage()).text).toBe('1');
    expect((await b.nextMessage()).text).toBe('1');
    expect((await sender.nextMessage()).text).toBe('1');
    expect((await sender.nextMessage()).text).toBe('1');
  });

  it.skipIf(!redisIsInstalled())('closes with 1013 whose message the broker did not take', async () => {
    const redis = await startOwnRedis();
    const farm = await start(['--plain-client-publish', '--redis-url', redis.url]);
    const client = await connect(farm, '/plain?channel=a');
    client.send('taken');
    expect((await client.nextMessage()).text).toBe('taken');
    await redis.stop();
    client.send('not taken');
    expect(await client.closed).toMatchObject({
      code: 1013,
      reason: expect.stringMatching(/^the message was not published: BROKER_(UNAVAILABLE|OUTCOME_UNKNOWN)$/),
    });
  });

  it('closes with 4501 who sends a message when clientPublish is off', async () => {
    const farm = server();
    const client = await connect(farm, '/plain?channel=news');
    client.send('hello');
    expect(await client.closed).toEqual({
      code: 4501,
      reason: 'this server takes no messages from plain clients',
    });
  });

  it.each([
    ['', 'Name at least one channel, as in /plain?channel=news.'],
    ['?channel=', 'The channel "" is refused: a channel name must not be empty.'],
    ['?channel=caf%e9', 'The channel "caf\\ufffd" is refused: it is not valid UTF-8.'],
    [
      '?channel=a%1b[2J',
      'The channel "a\\u001b[2J" is refused: a channel name must not contain control characters.',
    ],
    [
      `?channel=${'x'.repeat(256)}`,
      `The channel "${'x'.repeat(64)}\\u2026" is refused: a channel name must have at most 255 bytes of UTF-8, got 256.`,
    ],
  ])('refuses %j with 400 and the reason', async (query, reason) => {
    const farm = server();
    await expect(connect(farm, `/plain${query}`)).rejects.toMatchObject({
      status: 400,
      body: expect.stringContaining(reason),
    });
  });

  it('refuses more channels than a connection may have', async () => {
    const farm = await start(['--max-subscriptions-per-connection', '2']);
    await expect(connect(farm, '/plain?channel=a&channel=b&channel=c')).rejects.toMatchObject({
      status: 400,
    });
    await connect(farm, '/plain?channel=a&channel=b&channel=b');
  });

  it('answers a request that is no upgrade with 426', async () => {
    const farm = server();
    const response = await request(farm, '/plain?channel=news');
    expect(response.status).toBe(426);
    expect(response.headers.get('upgrade')).toBe('websocket');
    expect(await response.text()).toBe(
      'This path speaks WebSocket only: connect to ws://…/plain?channel=news.\n',
    );
  });
});

describe('a request to /plain that is no upgrade', () => {
  it('is answered as its WebSocket would be refused', async () => {
    const farm = await start([], {
      env: { ROOST_TOKENS_SECRET: 'a-secret-of-more-than-32-characters' },
    });
    for (const [path, headers] of [
      ['/plain', {}],
      ['/plain?channel=news', {}],
      ['/plain?channel=news&token=no.jwt.atall', {}],
      ['/plain?channel=news&token=a.b.c', { Authorization: 'Bearer a.b.c' }],
    ] as const) {
      const response = await request(farm, path, { headers });
      const answer = { status: response.status, body: await response.text() };
      expect(answer.status).toBeLessThan(403);
      await expect(TestClient.connect(farm.url + path, { headers }), path).rejects.toMatchObject(answer);
    }
  });
});

describe('health', () => {
  it('is live and ready when the farm serves', async () => {
    const farm = server();
    const live = await request(farm, '/health/live');
    expect([live.status, await live.json()]).toEqual([200, { status: 'live' }]);
    const ready = await request(farm, '/health/ready');
    expect([ready.status, await ready.json()]).toEqual([200, { ready: true, reasons: [] }]);
    expect(ready.headers.get('cache-control')).toBe('no-store');
  });

  it('answers HEAD without a body and refuses other methods', async () => {
    const farm = server();
    const head = await request(farm, '/health/ready', { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    const post = await request(farm, '/health/live', { method: 'POST' });
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
  });
});

describe('other paths', () => {
  it('/ is the page', async () => {
    const farm = server();
    const response = await request(farm, '/');
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await response.text()).toContain('<title>Roost');
  });

  it('are 404 with one sentence', async () => {
    const farm = server();
    const response = await request(farm, '/wp-admin?x=1');
    expect(response.status).toBe(404);
    expect(await response.text()).toBe(
      'There is nothing at "/wp-admin": WebSockets connect to /plain?channel=news, and / is a page to try this server by hand.\n',
    );
    await expect(connect(farm, '/socket')).rejects.toMatchObject({
      status: 404,
      body: 'There is nothing at "/socket": WebSockets connect to /plain?channel=news, and / is a page to try this server by hand.',
    });
  });

  it('do not deny over HTTP that an application may take WebSockets there', async () => {
    const farm = await start([PAGE_APP]);
    const client = await connect(farm, '/echo');
    await client.roundTrip();
    const response = await request(farm, '/echo');
    expect([response.status, await response.text()]).toEqual([
      404,
      'Nothing answers plain HTTP at "/echo"; which WebSockets connect there, the application says.\n',
    ]);
  });

  it('/page/ has every file of the page, and nothing else', async () => {
    const farm = server();
    const files = readdirSync(PAGE).filter((name) => /\.(css|js)$/.test(name));
    expect(files.length).toBeGreaterThan(3);
    for (const name of [...files, 'settings.js']) {
      const response = await request(farm, `/page/${name}`);
      const type = name.endsWith('.css') ? 'text/css' : 'text/javascript';
      expect([name, response.status, response.headers.get('content-type')]).toEqual([
        name,
        200,
        `${type}; charset=utf-8`,
      ]);
      const text = await response.text();
      expect(text).toBe(name === 'settings.js' ? text : readFileSync(join(PAGE, name), 'utf8'));
      for (const [, imported = ''] of text.matchAll(/from '\.\/([^']+)'/g)) {
        expect([...files, 'settings.js'], name).toContain(imported);
      }
    }
    for (const path of [
      '/page/',
      '/page/tsconfig.json',
      '/page/settings.d.ts',
      '/page/%2e%2e/package.json',
    ]) {
      expect((await request(farm, path)).status, path).toBe(404);
    }
  });
});
