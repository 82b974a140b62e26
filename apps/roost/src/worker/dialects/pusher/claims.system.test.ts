import { redisIsInstalled, startServer } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import {
  APP_ID,
  call,
  endAfterEach,
  endAfterTest,
  RawPusher,
  startFarm,
  startOwnRedis,
  trigger,
} from './fixtures/pusher-farm.ts';
import { clientOf, connected, subscribed } from './fixtures/sdk.ts';

endAfterEach();

/** What users of other servers of this protocol have reported; each is a promise here. */

const infoOf = async (farm: FarmProcess): Promise<{ readonly publications: number }> => {
  const response = await fetch(`http://127.0.0.1:${farm.port}/api/info`, {
    method: 'POST',
    headers: { 'X-API-Key': 'sesame' },
    body: '{}',
  });
  const { result }: { result: { nodes: { counters: { publications: number } }[] } } = JSON.parse(
    await response.text(),
  );
  return result.nodes[0]?.counters ?? { publications: -1 };
};

describe.skipIf(!redisIsInstalled())('two farms on one Redis', () => {
  it('presence lists the members of every server, each user once', async () => {
    const redis = await startOwnRedis();
    const farms = await Promise.all([
      startFarm([], { ROOST_REDIS_URL: redis.url }),
      startFarm([], { ROOST_REDIS_URL: redis.url }),
    ]);
    const [first, second] = farms;
    const [ada, tab, grace] = [
      await RawPusher.connect(first),
      await RawPusher.connect(second),
      await RawPusher.connect(second),
    ];
    await ada.join('presence-room', 'ada', { name: 'Ada' });
    expect(await tab.join('presence-room', 'ada')).toEqual({ ada: { name: 'Ada' } });
    expect(await grace.join('presence-room', 'grace')).toEqual({ ada: { name: 'Ada' }, grace: null });
    for (const other of [ada, tab]) {
      expect(await other.next()).toMatchObject({ event: 'pusher_internal:member_added' });
    }
    for (const farm of farms) {
      const { body } = await call(farm, 'GET', `/apps/${APP_ID}/channels/presence-room`, {
        query: { info: 'user_count' },
      });
      expect(body).toEqual({ occupied: true, user_count: 2 });
    }
  });

  it('a member is added and removed once, whichever of its connections ends, and wherever', async () => {
    const redis = await startOwnRedis();
    const [first, second] = await Promise.all([
      startFarm([], { ROOST_REDIS_URL: redis.url }),
      startFarm([], { ROOST_REDIS_URL: redis.url }),
    ]);
    const witnesses = [await RawPusher.connect(first), await RawPusher.connect(second)];
    await witnesses[0]?.join('presence-room', 'w');
    await witnesses[1]?.join('presence-room', 'w');
    const tabs = [
      await RawPusher.connect(first),
      await RawPusher.connect(first),
      await RawPusher.connect(second),
    ];
    for (const tab of tabs) await tab.join('presence-room', 'ada');
    for (const tab of tabs) await tab.client.terminate();
    for (const witness of witnesses) {
      expect((await witness.next()).event).toBe('pusher_internal:member_added');
      expect((await witness.next()).event).toBe('pusher_internal:member_removed');
    }
    await trigger(second, 'presence-room', 'marker', '');
    for (const witness of witnesses) expect((await witness.next()).event).toBe('marker');
  });

  it('a member whose server is killed is removed, once, and everybody is told', async () => {
    const redis = await startOwnRedis();
    const [first, second] = await Promise.all([
      startFarm([], { ROOST_REDIS_URL: redis.url }),
      startFarm([], { ROOST_REDIS_URL: redis.url }),
    ]);
    const witness = await RawPusher.connect(first);
    await witness.join('presence-room', 'w');
    const lost = await RawPusher.connect(second);
    await lost.join('presence-room', 'ada');
    expect((await witness.next()).event).toBe('pusher_internal:member_added');
    for (const { pid } of second.workers) process.kill(pid, 'SIGKILL');
    second.signal('SIGKILL');
    expect(await witness.next()).toMatchObject({
      event: 'pusher_internal:member_removed',
      data: '{"user_id":"ada"}',
    });
    await trigger(first, 'presence-room', 'marker', '');
    expect((await witness.next()).event).toBe('marker');
  });

  it('members know who is there, also of those who came while their server had lost its Redis', async () => {
    const redis = await startOwnRedis();
    const [first, second] = await Promise.all([
      startFarm([], { ROOST_REDIS_URL: redis.url }),
      startFarm([], { ROOST_REDIS_URL: redis.url }),
    ]);
    const ada = await connected(clientOf(first, { user: 'ada' }));
    const room = await subscribed(ada, 'presence-room');
    let lists = 0;
    room.bind('pusher:subscription_succeeded', () => lists++);
    await redis.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    // Whatever was missed, each member is given the whole list.
    await expect.poll(() => lists).toBe(1);
    await subscribed(await connected(clientOf(second, { user: 'grace' })), 'presence-room');
    await expect.poll(() => Object.keys(room.members?.members ?? {}).toSorted()).toEqual(['ada', 'grace']);
    expect(room.members?.count).toBe(2);
  });

  it('applications on one Redis do not hear each other, without a prefix of their own', async () => {
    const redis = await startOwnRedis();
    const others = { ROOST_PUSHER_APP_ID: 'other', ROOST_REDIS_URL: redis.url };
    const [mine, theirs] = await Promise.all([
      startFarm([], { ROOST_REDIS_URL: redis.url }),
      startFarm([], others),
    ]);
    const [here, there] = [await RawPusher.connect(mine), await RawPusher.connect(theirs)];
    for (const pusher of [here, there]) await pusher.join('presence-room', 'ada');
    await trigger(mine, 'presence-room', 'mine', '');
    expect((await here.next()).event).toBe('mine');
    expect(
      (
        await call(theirs, 'POST', '/apps/other/events', {
          json: { name: 'theirs', channel: 'presence-room', data: '' },
        })
      ).status,
    ).toBe(200);
    expect((await there.next()).event).toBe('theirs');
  });

  it('a worker hears only of the channels that it has subscribers of', async () => {
    const redis = await startOwnRedis();
    const [first, second] = await Promise.all([
      startFarm(['--workers', '1'], { ROOST_REDIS_URL: redis.url }),
      startFarm(['--workers', '1'], { ROOST_REDIS_URL: redis.url }),
    ]);
    const pusher = await RawPusher.connect(first);
    await pusher.subscribe('news');
    for (let n = 0; n < 20; n++) await trigger(second, n % 2 === 0 ? 'news' : `other-${n}`, 'n', '');
    for (let n = 0; n < 10; n++) expect((await pusher.next()).event).toBe('n');
    expect((await infoOf(first)).publications).toBe(10);
    expect((await infoOf(second)).publications).toBe(0);
  });
});

it('clients sign in without a switch, and an unknown event closes nobody', async () => {
  const farm = await startFarm(['--workers', '1']);
  const pusher = await RawPusher.connect(farm);
  pusher.signIn('{"id":"u1"}');
  expect((await pusher.next()).event).toBe('pusher:signin_success');
  await pusher.subscribe('#server-to-user-u1');
  await trigger(farm, '#server-to-user-u1', 'note', '1');
  expect(await pusher.next()).toMatchObject({ event: 'note', data: '1' });
  pusher.send('{"event":"pusher:something-new","data":{}}');
  expect(await pusher.next()).toMatchObject({ event: 'pusher:error', data: { code: null } });
  await pusher.expectQuiet();
});

it('the limit of an event is the one that is documented, to the byte, whatever the request around it', async () => {
  const farm = await startFarm(['--workers', '1']);
  const pusher = await RawPusher.connect(farm);
  await pusher.subscribe('news');
  const events = `/apps/${APP_ID}/events`;
  // Each quote is two bytes in the request.
  for (const data of ['x'.repeat(10_240), '"'.repeat(10_240), 'é'.repeat(5120)]) {
    const event = { name: 'large', channel: 'news', data };
    expect((await call(farm, 'POST', events, { json: event })).status).toBe(200);
    expect((await pusher.next()).data).toBe(data);
    const larger = { ...event, data: `${data}x` };
    expect(await call(farm, 'POST', events, { json: larger })).toEqual({
      status: 413,
      body: { error: 'The request is too large: the data of an event has at most 10240 bytes, got 10241.' },
    });
  }
});

it('more than 1,024 clients of one worker are served, without an extension', async () => {
  const farm = await startFarm(['--workers', '1']);
  const clients = await Promise.all(Array.from({ length: 1200 }, () => RawPusher.connect(farm)));
  await Promise.all(clients.map((pusher) => pusher.subscribe('private-a')));
  await trigger(farm, 'private-a', 'greet', '{"n":1}');
  const texts = await Promise.all(clients.map((pusher) => pusher.nextText()));
  expect(new Set(texts)).toEqual(new Set(['{"event":"greet","channel":"private-a","data":"{\\"n\\":1}"}']));
});

it('a drain asks few clients to come back at once, and nobody to come all together', async () => {
  const farm = await startServer(
    ['--workers', '2', '--drain-ms', '2000', '--pusher-drain-returns-per-second', '10'],
    {
      env: {
        ROOST_PUSHER_APP_ID: APP_ID,
        ROOST_PUSHER_APP_KEY: 'app-key',
        ROOST_PUSHER_APP_SECRET: 'app-secret',
      },
    },
  );
  endAfterTest(() => farm.stop());
  const clients = await Promise.all(Array.from({ length: 200 }, () => RawPusher.connect(farm)));
  const closes = clients.map(async ({ client }) => ({ ...(await client.closed), atMs: performance.now() }));
  farm.signal('SIGTERM');
  const ends = await Promise.all(closes);
  const times = ends.map(({ atMs }) => atMs).toSorted((a, b) => a - b);
  const tookMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
  expect(tookMs).toBeGreaterThan(1000);
  const atOnce = ends.filter(({ code }) => code === 4200).length;
  expect(atOnce).toBeGreaterThan(0);
  expect(atOnce).toBeLessThanOrEqual(Math.ceil((tookMs / 1000) * 10) + 2);
  expect(ends.filter(({ code }) => code === 1001)).toHaveLength(200 - atOnce);
});
