import { redisIsInstalled } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import {
  APP_ID,
  call,
  countersOf,
  endAfterEach,
  RawPusher,
  requestOf,
  startFarm,
  startOwnRedis,
  trigger,
} from './fixtures/pusher-farm.ts';

endAfterEach();

const EVENTS = `/apps/${APP_ID}/events`;
const EVENT = { name: 'greet', channels: ['news'], data: '{"n":1}' };

describe('the HTTP API of Pusher', () => {
  it('answers each request that is wrong with its status, counts it, and publishes nothing', async () => {
    const farm = await startFarm(['--workers', '1', '--api-max-body-bytes', '65536'], {
      ROOST_PUSHER_APPS: '[{"id":"off","key":"off-key","secret":"off-secret","enabled":false}]',
    });
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('news');
    const old = String(Math.floor(Date.now() / 1000) - 700);
    const refused: [number, string, Parameters<typeof call>][] = [
      [404, 'There is no app with this id.', [farm, 'POST', '/apps/none/events', { json: EVENT }]],
      [401, 'The auth_key is not that of this app.', [farm, 'POST', EVENTS, { json: EVENT, key: 'off-key' }]],
      [
        401,
        'The auth_timestamp is more than 600 s from the clock of the server.',
        [farm, 'POST', EVENTS, { json: EVENT, query: { auth_timestamp: old } }],
      ],
      [
        401,
        'The auth_version must be 1.0.',
        [farm, 'POST', EVENTS, { json: EVENT, query: { auth_version: '2' } }],
      ],
      [401, 'The auth_signature is wrong.', [farm, 'POST', EVENTS, { json: EVENT, secret: 'other' }]],
      [
        401,
        'The body_md5 is not that of the body.',
        [farm, 'POST', EVENTS, { json: EVENT, query: { body_md5: '0'.repeat(32) } }],
      ],
      [
        403,
        'The app is disabled.',
        [farm, 'POST', '/apps/off/events', { json: EVENT, key: 'off-key', secret: 'off-secret' }],
      ],
      [404, 'There is nothing at this path.', [farm, 'POST', `/apps/${APP_ID}/event`, { json: EVENT }]],
      [404, 'There is nothing at this path.', [farm, 'GET', '/apps']],
      [404, 'There is nothing at this path.', [farm, 'GET', '/apps/%zz']],
      [405, 'The path takes another method.', [farm, 'GET', EVENTS]],
      [400, 'The request is wrong: the body is not JSON.', [farm, 'POST', EVENTS, { body: '{' }]],
      [400, 'The request is wrong: the body is not JSON.', [farm, 'POST', EVENTS]],
      [
        413,
        'The request is too large: the data of an event has at most 10240 bytes, got 10241.',
        [farm, 'POST', EVENTS, { json: { ...EVENT, data: 'x'.repeat(10_241) } }],
      ],
      [
        413,
        'The request is too large: a body has at most 65536 bytes (api.maxBodyBytes).',
        [farm, 'POST', EVENTS, { json: { ...EVENT, data: 'x'.repeat(70_000) } }],
      ],
      [
        400,
        'The request is wrong: the name of an event begins with pusher: or pusher_internal:, which only the server sends.',
        [farm, 'POST', EVENTS, { json: { ...EVENT, name: 'pusher_internal:member_added' } }],
      ],
      [
        400,
        'The request is wrong: user_count needs a filter_by_prefix that begins with presence-.',
        [farm, 'GET', `/apps/${APP_ID}/channels`, { query: { info: 'user_count' } }],
      ],
      [
        400,
        'The request is wrong: only presence channels have a user_count.',
        [farm, 'GET', `/apps/${APP_ID}/channels/news`, { query: { info: 'user_count' } }],
      ],
      [
        400,
        'The request is wrong: only cache channels have a cache.',
        [farm, 'GET', `/apps/${APP_ID}/channels/news`, { query: { info: 'cache' } }],
      ],
      [
        400,
        'The request is wrong: only presence channels have users.',
        [farm, 'GET', `/apps/${APP_ID}/channels/news/users`],
      ],
      [
        400,
        'The request is wrong: the channel has other characters than letters, digits and _ - = @ , . ;.',
        [farm, 'GET', `/apps/${APP_ID}/channels/a%20b`],
      ],
      [
        400,
        'The request is wrong: the id of the user has more than 128 characters.',
        [farm, 'POST', `/apps/${APP_ID}/users/${'u'.repeat(129)}/terminate_connections`, { json: {} }],
      ],
    ];
    for (const [status, error, request] of refused) {
      expect(await call(...request), JSON.stringify(request.slice(1))).toEqual({ status, body: { error } });
    }
    await trigger(farm, 'news', 'marker', '');
    expect((await pusher.next()).event).toBe('marker');
    expect(await countersOf(farm)).toMatchObject({
      app_pusher_events: 1,
      app_pusher_refused_requests: refused.length,
    });
  });

  it('names the method of a path to who comes with another', async () => {
    const farm = await startFarm(['--workers', '1']);
    const methodOf = async (method: string, path: string): Promise<unknown> => {
      const response = await fetch(`http://127.0.0.1:${farm.port}${path}`, { method });
      return [response.status, response.headers.get('allow')];
    };
    expect(await methodOf('GET', EVENTS)).toEqual([405, 'POST']);
    expect(await methodOf('DELETE', EVENTS)).toEqual([405, 'POST']);
    expect(await methodOf('POST', `/apps/${APP_ID}/channels/news`)).toEqual([405, 'GET']);
    expect(await methodOf('POST', '/apps')).toEqual([404, null]);
  });

  it('does not read the body of a stranger', async () => {
    const farm = await startFarm(['--workers', '1']);
    const { path, init } = requestOf('POST', EVENTS, { body: 'x'.repeat(500_000), secret: 'other' });
    const response = await fetch(`http://127.0.0.1:${farm.port}${path}`, init);
    expect([response.status, response.headers.get('connection')]).toEqual([401, 'close']);
  });

  it('takes a socket id that no connection of a farm can have, and leaves nobody out', async () => {
    const farm = await startFarm(['--workers', '1']);
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('news');
    for (const socket of ['12345678901.1', '1.12345678901234567', `${'9'.repeat(20)}.${'9'.repeat(20)}`]) {
      await trigger(farm, 'news', 'greet', socket, { socket_id: socket });
      expect(await pusher.next()).toMatchObject({ event: 'greet', data: socket });
    }
  });

  it('takes 100 channels, and a batch of ten, in their order', async () => {
    const farm = await startFarm();
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('c99');
    await pusher.subscribe('news');
    const channels = Array.from({ length: 100 }, (_, at) => `c${at}`);
    expect(await call(farm, 'POST', EVENTS, { json: { ...EVENT, channels } })).toEqual({
      status: 200,
      body: {},
    });
    expect(await pusher.next()).toMatchObject({ event: 'greet', channel: 'c99' });
    const batch = Array.from({ length: 10 }, (_, at) => ({
      name: `e${at}`,
      channel: 'news',
      data: String(at),
    }));
    expect(await call(farm, 'POST', `/apps/${APP_ID}/batch_events`, { json: { batch } })).toEqual({
      status: 200,
      body: {},
    });
    for (let at = 0; at < 10; at++) {
      expect(await pusher.next()).toEqual({ event: `e${at}`, channel: 'news', data: String(at) });
    }
    expect(await countersOf(farm)).toMatchObject({ app_pusher_events: 110 });
  });

  it('publishes nothing of a batch with one event that is wrong', async () => {
    const farm = await startFarm(['--workers', '1']);
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('news');
    const batch = [
      { name: 'a', channel: 'news', data: '' },
      { name: 'b', channel: 'a b', data: '' },
    ];
    expect((await call(farm, 'POST', `/apps/${APP_ID}/batch_events`, { json: { batch } })).status).toBe(400);
    await trigger(farm, 'news', 'marker', '');
    expect((await pusher.next()).event).toBe('marker');
  });

  it('passes the data of an event on as it is, also under the name of a client event', async () => {
    const farm = await startFarm(['--workers', '1']);
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('private-a');
    await trigger(farm, 'private-a', 'client-typing', '{ "n" : 1 }');
    expect(await pusher.nextText()).toBe(
      '{"event":"client-typing","channel":"private-a","data":"{ \\"n\\" : 1 }"}',
    );
    await trigger(farm, 'private-a', 'text', 'ÿROOSTþ\u0001');
    expect((await pusher.next()).data).toBe('ÿROOSTþ\u0001');
  });

  it('verifies a signature without the configured prefix of a path', async () => {
    const farm = await startFarm(['--workers', '1', '--pusher-path-prefix', '/ws']);
    const form = { json: EVENT };
    expect(await call(farm, 'POST', EVENTS, { ...form, prefix: '/ws' })).toEqual({ status: 200, body: {} });
    expect(await call(farm, 'POST', EVENTS, form)).toEqual({ status: 200, body: {} });
  });

  it('keeps apps apart, with the same channels', async () => {
    const farm = await startFarm(['--workers', '1'], {
      ROOST_PUSHER_APPS: '[{"id":"2","key":"key-2","secret":"secret-2"}]',
    });
    const other = { key: 'key-2', secret: 'secret-2' };
    const [mine, theirs] = [
      await RawPusher.connect(farm),
      await RawPusher.connect(farm, 'protocol=7', 'key-2'),
    ];
    await mine.subscribe('news');
    await theirs.subscribe('news');
    expect((await call(farm, 'POST', '/apps/2/events', { json: EVENT, ...other })).status).toBe(200);
    expect(await theirs.next()).toMatchObject({ event: 'greet' });
    await trigger(farm, 'news', 'marker', '');
    expect(await mine.next()).toMatchObject({ event: 'marker' });
    await mine.subscribe('mine');
    expect(await call(farm, 'GET', '/apps/2/channels', other)).toEqual({
      status: 200,
      body: { channels: { news: {} } },
    });
    // A request that another app has signed is none of this one.
    expect((await call(farm, 'POST', EVENTS, { json: EVENT, ...other })).status).toBe(401);
  });

  it('lists the channels of users only to who asks for them', async () => {
    const farm = await startFarm(['--workers', '1'], { ROOST_PUSHER_MAX_CONNECTIONS: '10' });
    const pusher = await RawPusher.connect(farm);
    pusher.signIn('{"id":"u1"}');
    expect((await pusher.next()).event).toBe('pusher:signin_success');
    await pusher.subscribe('#server-to-user-u1');
    await pusher.subscribe('news');
    const list = (query: Readonly<Record<string, string>> = {}): ReturnType<typeof call> =>
      call(farm, 'GET', `/apps/${APP_ID}/channels`, { query });
    expect(await list()).toEqual({ status: 200, body: { channels: { news: {} } } });
    expect(await list({ filter_by_prefix: '#server-to-user-' })).toEqual({
      status: 200,
      body: { channels: { '#server-to-user-u1': {} } },
    });
    expect(await list({ filter_by_prefix: 'ne', info: 'subscription_count' })).toEqual({
      status: 200,
      body: { channels: { news: { subscription_count: 1 } } },
    });
  });

  it.skipIf(!redisIsInstalled())(
    'answers 503 with Retry-After when the broker has not confirmed',
    async () => {
      const redis = await startOwnRedis();
      const farm = await startFarm([], { ROOST_REDIS_URL: redis.url });
      await trigger(farm, 'news', 'a', '');
      const waiting = await RawPusher.connect(farm);
      await redis.command('CLIENT', 'PAUSE', '60000');
      for (const name of 'abc') waiting.ask(`presence-${name}`, '{"user_id":"u1"}');
      await waiting.expectQuiet();
      await redis.stop();
      expect((await waiting.client.closed).code).toBe(4100);
      // It is one client, however many subscriptions it waited for.
      expect(await countersOf(farm)).toMatchObject({ app_pusher_failed_subscriptions: 1 });
      await expect
        .poll(async () => (await fetch(`http://127.0.0.1:${farm.port}/health/ready`)).status)
        .toBe(503);
      const { path, init } = requestOf('POST', EVENTS, { body: JSON.stringify(EVENT) });
      const response = await fetch(`http://127.0.0.1:${farm.port}${path}`, init);
      expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
      expect(await response.json()).toEqual({
        error: expect.stringMatching(/^The request was not confirmed: try again: BROKER_/),
      });
      // A client that cannot be subscribed connects again.
      const pusher = await RawPusher.connect(farm);
      pusher.ask('presence-a', '{"user_id":"u1"}');
      expect(await pusher.next()).toEqual({
        event: 'pusher:error',
        data: { code: 4100, message: 'The subscription could not be confirmed: connect again.' },
      });
      expect((await pusher.client.closed).code).toBe(4100);
    },
  );
});
