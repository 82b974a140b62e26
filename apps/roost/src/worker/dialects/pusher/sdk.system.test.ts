import { createRequire } from 'node:module';
import { isDeepStrictEqual } from 'node:util';
import { eventually, TcpProxy } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { endAfterEach, endAfterTest, KEY, KINDS, startFarm, startKind } from './fixtures/pusher-farm.ts';
import { clientOf, CLIENTS, connected, heardBy, hostOf, serverOf, subscribed } from './fixtures/sdk.ts';

endAfterEach();

const answer = async (response: Promise<Response>): Promise<unknown> => (await response).json();

describe.each(KINDS)('on $title', (kind) => {
  it.each(CLIENTS)('%s subscribes, hears events, and talks to others', async (name) => {
    const farm = await startKind(kind);
    const server = serverOf(farm);
    const [ada, grace] = [
      clientOf(farm, { user: 'ada', info: { name: 'Ada' } }, { name }),
      clientOf(farm, { user: 'grace', info: { name: 'Grace' } }, { name }),
    ];
    await connected(ada);
    await connected(grace);
    expect(ada.connection.socket_id).toMatch(/^\d+\.\d+$/);

    const news = heardBy(await subscribed(ada, 'news'));
    await server.trigger('news', 'greet', { n: 1, s: 'Zoë' });
    await server.trigger('news', 'text', 'not JSON');
    await expect
      .poll(() => news)
      .toEqual([
        ['greet', { n: 1, s: 'Zoë' }],
        ['text', 'not JSON'],
      ]);

    const [adas, graces] = [await subscribed(ada, 'private-a'), await subscribed(grace, 'private-a')];
    const [heardByAda, heardByGrace] = [heardBy(adas), heardBy(graces)];
    adas.trigger('client-typing', { at: [1, 2] });
    await expect.poll(() => heardByGrace).toEqual([['client-typing', { at: [1, 2] }]]);
    await server.trigger('private-a', 'all', {}, { socket_id: grace.connection.socket_id });
    await expect.poll(() => heardByAda).toEqual([['all', {}]]);

    const room = await subscribed(ada, 'presence-room');
    const events: unknown[] = [];
    room.bind('pusher:member_added', (member) => events.push(['added', member]));
    room.bind('pusher:member_removed', (member) => events.push(['removed', member]));
    const other = await subscribed(grace, 'presence-room');
    expect(other.members?.members).toEqual({ ada: { name: 'Ada' }, grace: { name: 'Grace' } });
    expect([other.members?.count, other.members?.me]).toEqual([2, { id: 'grace', info: { name: 'Grace' } }]);
    await expect.poll(() => room.members?.count).toBe(2);
    const typed: unknown[] = [];
    room.bind('client-typing', (data, metadata) => typed.push([data, metadata]));
    other.trigger('client-typing', 'x');
    await expect.poll(() => typed).toEqual([['x', { user_id: 'grace' }]]);
    grace.disconnect();
    await expect
      .poll(() => events)
      .toEqual([
        ['added', { id: 'grace', info: { name: 'Grace' } }],
        ['removed', { id: 'grace', info: { name: 'Grace' } }],
      ]);
    expect(room.members?.count).toBe(1);
    expect(heardByGrace).toHaveLength(1);
  });

  it('pusher-js signs in, hears what is sent to its user, and is ended by the back end for good', async () => {
    const farm = await startKind(kind);
    const server = serverOf(farm);
    const client = await connected(clientOf(farm, { user: 'ada' }));
    const notes: unknown[] = [];
    client.user?.bind('note', (data) => notes.push(data));
    client.signin?.();
    // Its subscription to the channel of the user follows by itself.
    await eventually(
      async () => {
        const response = await server.get({ path: '/channels/%23server-to-user-ada' });
        const { occupied }: { occupied: boolean } = JSON.parse(await response.text());
        return occupied;
      },
      { what: 'the client hears its user' },
    );
    await server.sendToUser('ada', 'note', { n: 1 });
    await server.sendToUser('grace', 'note', { n: 2 });
    await server.sendToUser('ada', 'note', { n: 3 });
    await expect.poll(() => notes).toEqual([{ n: 1 }, { n: 3 }]);
    await server.terminateUserConnections('ada');
    await expect.poll(() => client.connection.state).toBe('disconnected');
  });

  it('the SDK of servers triggers, asks and counts', async () => {
    const farm = await startKind(kind);
    const server = serverOf(farm);
    const [ada, tab, grace] = [
      await connected(clientOf(farm, { user: 'ada' })),
      await connected(clientOf(farm, { user: 'ada' })),
      await connected(clientOf(farm, { user: 'grace' })),
    ];
    const heard = heardBy(await subscribed(ada, 'news'));
    for (const client of [ada, tab, grace]) await subscribed(client, 'presence-room');
    await subscribed(grace, 'private-a');
    const get = (path: string, params: object = {}): Promise<unknown> => answer(server.get({ path, params }));

    expect(
      await answer(
        server.triggerBatch([
          { channel: 'news', name: 'a', data: { n: 1 } },
          { channel: 'news', name: 'b', data: 'x', info: 'subscription_count' },
          { channel: 'nobody', name: 'c', data: '' },
        ]),
      ),
    ).toEqual({ batch: [{}, { subscription_count: 1 }, {}] });
    await expect
      .poll(() => heard)
      .toEqual([
        ['a', { n: 1 }],
        ['b', 'x'],
      ]);
    // The others are told within a second.
    await expect
      .poll(() =>
        answer(server.trigger(['news', 'presence-room'], 'd', {}, { info: 'user_count,subscription_count' })),
      )
      .toEqual({
        channels: {
          news: { subscription_count: 1 },
          'presence-room': { user_count: 2, subscription_count: 3 },
        },
      });
    expect(await answer(server.trigger('news', 'e', {}))).toEqual({});
    expect(await get('/channels')).toEqual({ channels: { news: {}, 'presence-room': {}, 'private-a': {} } });
    expect(await get('/channels', { filter_by_prefix: 'presence-', info: 'user_count' })).toEqual({
      channels: { 'presence-room': { user_count: 2 } },
    });
    expect(await get('/channels/presence-room', { info: 'user_count,subscription_count' })).toEqual({
      occupied: true,
      user_count: 2,
      subscription_count: 3,
    });
    expect(await get('/channels/nobody')).toEqual({ occupied: false });
    expect(await get('/channels/presence-room/users')).toEqual({
      users: expect.toSatisfy((users: { id: string }[]) =>
        isDeepStrictEqual(users.map(({ id }) => id).toSorted(), ['ada', 'grace']),
      ),
    });
    await expect(server.get({ path: '/channels/news/users' })).rejects.toMatchObject({ status: 400 });
  });
});

it('pusher-js reads encrypted channels, whose key the server never has', async () => {
  const farm = await startFarm();
  const client = await connected(clientOf(farm));
  const heard = heardBy(await subscribed(client, 'private-encrypted-a'));
  await serverOf(farm).trigger('private-encrypted-a', 'secret', { n: 1 });
  await expect.poll(() => heard).toEqual([['secret', { n: 1 }]]);
});

it('pusher-js hears the kept event of a cache channel, or that there is none', async () => {
  const farm = await startFarm();
  const server = serverOf(farm);
  const [first, second] = [await connected(clientOf(farm)), await connected(clientOf(farm))];
  const misses: unknown[] = [];
  first.subscribe('cache-a').bind('pusher:cache_miss', () => misses.push('miss'));
  await expect.poll(() => misses).toEqual(['miss']);
  await server.trigger('cache-a', 'price', { n: 1 });
  const channel = second.subscribe('cache-a');
  const heard = heardBy(channel);
  await expect.poll(() => heard).toEqual([['price', { n: 1 }]]);
  const response = await server.get({ path: '/channels/cache-a', params: { info: 'cache' } });
  expect(await response.json()).toEqual({
    occupied: true,
    cache: { data: '{"n":1}', ttl: expect.toSatisfy((ttl: number) => ttl > 1700 && ttl <= 1800) },
  });
});

it('pusher-js is told of a refused subscription where applications look: at the channel and at the connection', async () => {
  const farm = await startFarm();
  const client = await connected(
    clientOf(
      farm,
      {},
      {
        channelAuthorization: {
          customHandler: (_: unknown, callback: (error: unknown, data: object) => void) =>
            callback(null, { auth: `${KEY}:0` }),
        },
      },
    ),
  );
  const errors: unknown[] = [];
  client.connection.bind('error', (error) => errors.push(error));
  client.subscribe('private-a').bind('pusher:subscription_error', (error) => errors.push(error));
  await expect
    .poll(() => errors)
    .toEqual([
      { type: 'AuthError', error: 'The signature of the channel is wrong.', status: 401 },
      {
        type: 'PusherError',
        data: { code: 4009, message: 'The signature of the channel is wrong.' },
      },
    ]);
});

it('pusher-js comes back by itself when its farm drains, to where it is sent then', async () => {
  const [first, second] = [await startFarm(), await startFarm()];
  const network = await TcpProxy.start(first.port);
  endAfterTest(() => network.stop());
  const client = await connected(clientOf(first, {}, { wsPort: network.port }));
  const heard = heardBy(await subscribed(client, 'news'));
  network.target = second.port;
  const before = client.connection.socket_id;
  first.signal('SIGTERM');
  await expect.poll(() => client.connection.socket_id).not.toBe(before);
  await subscribed(client, 'news');
  await serverOf(second).trigger('news', 'greet', 1);
  await expect.poll(() => heard).toEqual([['greet', 1]]);
});

it('Laravel Echo joins, whispers and leaves', async () => {
  const { default: Echo } = await import('laravel-echo');
  const farm = await startFarm();
  const echoOf = (user: string): InstanceType<typeof Echo<'pusher'>> => {
    const echo = new Echo({
      broadcaster: 'pusher',
      client: clientOf(farm, { user, info: { name: user } }),
      ...hostOf(farm),
    });
    endAfterTest(() => echo.disconnect());
    return echo;
  };
  const [ada, grace] = [echoOf('ada'), echoOf('grace')];
  const seen: unknown[] = [];
  ada
    .join('room')
    .here((members: unknown) => seen.push(['here', members]))
    .joining((member: unknown) => seen.push(['joining', member]))
    .leaving((member: unknown) => seen.push(['leaving', member]))
    .listenForWhisper('typing', (data: unknown) => seen.push(['whisper', data]))
    .listen('.OrderShipped', (data: unknown) => seen.push(['event', data]));
  await expect.poll(() => seen).toEqual([['here', [{ name: 'ada' }]]]);
  const graces = grace.join('room');
  await expect.poll(() => seen.length).toBe(2);
  graces.whisper('typing', { n: 1 });
  await expect.poll(() => seen.length).toBe(3);
  await serverOf(farm).trigger('presence-room', 'OrderShipped', { id: 7 });
  await expect.poll(() => seen.length).toBe(4);
  grace.leave('room');
  await expect
    .poll(() => seen)
    .toEqual([
      ['here', [{ name: 'ada' }]],
      ['joining', { name: 'grace' }],
      ['whisper', { n: 1 }],
      ['event', { id: 7 }],
      ['leaving', { name: 'grace' }],
    ]);
});

it('the software of others is of the versions that the documents name', () => {
  const load: (name: string) => { readonly version: string } = createRequire(import.meta.url);
  const versionOf = (name: string): string => load(`${name}/package.json`).version;
  expect([...CLIENTS, 'pusher'].map(versionOf)).toEqual(['8.6.0', '7.6.0', '5.1.1', '5.3.4']);
});
