import { redisIsInstalled } from '@roost/testing';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  APP_ID,
  call,
  countersOf,
  endAfterEach,
  KEY,
  KINDS,
  RawPusher,
  sign,
  startFarm,
  startKind,
  startOwnRedis,
  trigger,
} from './fixtures/pusher-farm.ts';

endAfterEach();

const count = (subscribers: number): string =>
  `{"event":"pusher_internal:subscription_count","channel":"news","data":"{\\"subscription_count\\":${subscribers}}"}`;

const subscribe = (channel: string, auth: string, channelData?: string): object => ({
  event: 'pusher:subscribe',
  data: { channel, auth, channel_data: channelData },
});

describe.each(KINDS)('on $title', (kind) => {
  it('a subscription is answered, and then come the events', async () => {
    const farm = await startKind(kind);
    const pushers = await Promise.all([RawPusher.connect(farm), RawPusher.connect(farm)]);
    for (const pusher of pushers) {
      pusher.ask('news');
      expect(await pusher.nextText()).toBe(
        '{"event":"pusher_internal:subscription_succeeded","channel":"news","data":"{}"}',
      );
    }
    await trigger(farm, 'news', 'greet', '{"n":1}');
    for (const pusher of pushers) {
      expect(await pusher.nextText()).toBe('{"event":"greet","channel":"news","data":"{\\"n\\":1}"}');
    }
  });

  it('an event leaves out the connection that it excludes, wherever that is', async () => {
    const farm = await startKind(kind);
    const pushers = await Promise.all(Array.from({ length: 4 }, () => RawPusher.connect(farm)));
    for (const pusher of pushers) await pusher.subscribe('news');
    for (const pusher of pushers) {
      await trigger(farm, 'news', 'greet', 'x', { socket_id: pusher.socketId });
      await trigger(farm, 'news', 'done', '');
      for (const other of pushers) {
        const expected = other === pusher ? ['done'] : ['greet', 'done'];
        for (const event of expected) expect((await other.next()).event).toBe(event);
      }
    }
  });

  it('members of a presence channel know each other, each user once', async () => {
    const farm = await startKind(kind);
    const [ada, adasTab, grace] = [
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
    ];
    expect(await ada.join('presence-room', 'ada', { name: 'Ada' })).toEqual({ ada: { name: 'Ada' } });
    // A second connection of a user tells nobody, and its info does not replace the first.
    expect(await adasTab.join('presence-room', 'ada', { name: 'Tab' })).toEqual({ ada: { name: 'Ada' } });
    expect(await grace.join('presence-room', 'grace')).toEqual({ ada: { name: 'Ada' }, grace: null });
    for (const other of [ada, adasTab]) {
      expect(await other.nextText()).toBe(
        '{"event":"pusher_internal:member_added","channel":"presence-room","data":"{\\"user_id\\":\\"grace\\",\\"user_info\\":null}"}',
      );
    }
    await adasTab.client.close();
    await trigger(farm, 'presence-room', 'marker', '');
    for (const other of [ada, grace]) expect((await other.next()).event).toBe('marker');
    ada.send({ event: 'pusher:unsubscribe', data: { channel: 'presence-room' } });
    expect(await grace.nextText()).toBe(
      '{"event":"pusher_internal:member_removed","channel":"presence-room","data":"{\\"user_id\\":\\"ada\\"}"}',
    );
    expect(await call(farm, 'GET', `/apps/${APP_ID}/channels/presence-room/users`)).toEqual({
      status: 200,
      body: { users: [{ id: 'grace' }] },
    });
  });

  it('a client event goes to the other subscribers as it came, with the user of the membership', async () => {
    const farm = await startKind(kind);
    const [ada, grace, alan] = [
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
    ];
    await ada.join('presence-room', 'ada');
    await grace.join('presence-room', 'grace');
    expect((await ada.next()).event).toBe('pusher_internal:member_added');
    await ada.subscribe('private-a');
    await alan.subscribe('private-a');
    ada.send(
      '{"event":"client-type","channel":"presence-room","data":{"n": 12345678901234567890},"user_id":"x"}',
    );
    expect(await grace.nextText()).toBe(
      '{"event":"client-type","channel":"presence-room","data":{"n":12345678901234567890},"user_id":"ada"}',
    );
    ada.send('{"event":"client-type","channel":"private-a","data":"text"}');
    expect(await alan.nextText()).toBe('{"event":"client-type","channel":"private-a","data":"text"}');
    // The sender gets neither.
    await trigger(farm, 'private-a', 'marker', '');
    expect((await ada.next()).event).toBe('marker');
  });

  it('a cache channel gives its last event of the HTTP API to who comes later, or says that it has none', async () => {
    const farm = await startKind(kind);
    const [first, second] = [await RawPusher.connect(farm), await RawPusher.connect(farm)];
    await first.subscribe('private-cache-a');
    expect(await first.nextText()).toBe('{"event":"pusher:cache_miss","channel":"private-cache-a"}');
    await trigger(farm, 'private-cache-a', 'price', '{"n":1}');
    await trigger(farm, 'private-cache-a', 'price', '{"n":2}');
    expect([(await first.next()).data, (await first.next()).data]).toEqual(['{"n":1}', '{"n":2}']);
    first.send('{"event":"client-price","channel":"private-cache-a","data":{"n":3}}');
    await second.subscribe('private-cache-a');
    expect(await second.nextText()).toBe(
      '{"event":"price","channel":"private-cache-a","data":"{\\"n\\":2}"}',
    );
    await trigger(farm, 'private-cache-a', 'price', '{"n":4}');
    const texts = [await second.nextText()];
    // The client event may have come before or after the subscription.
    if (texts.some((text) => text.includes('client-price'))) texts.push(await second.nextText());
    expect(texts.at(-1)).toBe('{"event":"price","channel":"private-cache-a","data":"{\\"n\\":4}"}');
  });

  it('a user is sent events, and its connections are ended', async () => {
    const farm = await startKind(kind);
    const [one, two, other] = [
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
    ];
    for (const pusher of [one, two]) {
      pusher.signIn('{"id":"u/1","user_info":{"name":"Ada"},"watchlist":["u2"]}');
      expect(await pusher.nextText()).toBe(
        '{"event":"pusher:signin_success","data":{"user_data":"{\\"id\\":\\"u/1\\",\\"user_info\\":{\\"name\\":\\"Ada\\"},\\"watchlist\\":[\\"u2\\"]}"}}',
      );
      await pusher.subscribe('#server-to-user-u/1');
    }
    other.signIn('{"id":"u2"}');
    expect((await other.next()).event).toBe('pusher:signin_success');
    await trigger(farm, '#server-to-user-u/1', 'note', 'x');
    for (const pusher of [one, two]) {
      expect(await pusher.nextText()).toBe('{"event":"note","channel":"#server-to-user-u/1","data":"x"}');
    }
    expect(await one.join('presence-room', 'u/1', undefined)).toEqual({ 'u/1': null });
    expect(
      await call(farm, 'POST', `/apps/${APP_ID}/users/${encodeURIComponent('u/1')}/terminate_connections`, {
        json: {},
      }),
    ).toEqual({ status: 200, body: {} });
    for (const pusher of [one, two]) {
      expect(await pusher.client.closed).toEqual({
        code: 4009,
        reason: 'the connections of the user were terminated',
      });
    }
    await other.expectQuiet();
  });

  it('subscribers are told how many they are, where the app says so', async () => {
    const farm = await startKind(kind, { ROOST_PUSHER_SUBSCRIPTION_COUNT: 'true' });
    const [one, two] = [await RawPusher.connect(farm), await RawPusher.connect(farm)];
    await one.subscribe('news');
    await two.subscribe('news');
    await expect.poll(() => one.nextText()).toBe(count(2));
    await two.client.close();
    await expect.poll(() => one.nextText()).toBe(count(1));
  });
});

describe('a subscription', () => {
  it('with a signature succeeds, with channel_data signed where it is sent, on private channels as well', async () => {
    const farm = await startFarm(['--workers', '1']);
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('private-a');
    // The suite of pusher-js does so.
    await pusher.subscribe('private-b', '{"user_id":"u1"}');
    await pusher.subscribe('private-encrypted-c');
    expect(await countersOf(farm)).toEqual({ app_pusher_connections: 1, app_pusher_subscriptions: 3 });
  });

  it('that is refused is told at the channel and at the connection, and leaves the connection', async () => {
    const farm = await startFarm([
      '--workers',
      '1',
      '--pusher-max-member-info-bytes',
      '16',
      '--pusher-max-presence-members',
      '1',
    ]);
    const first = await RawPusher.connect(farm);
    await first.join('presence-full', 'ada');
    const pusher = await RawPusher.connect(farm);
    const wrong = 'The signature of the channel is wrong.';
    const good = sign(`${pusher.socketId}:private-a`);
    const data = '{"user_id":"u1"}';
    const signed = (channel: string, channelData: string): object =>
      subscribe(channel, `${KEY}:${sign(`${pusher.socketId}:${channel}:${channelData}`)}`, channelData);
    const refused: [object, string, number | null, string, number, string][] = [
      [subscribe('private-a', ''), 'private-a', 4009, 'AuthError', 401, wrong],
      [subscribe('private-a', good), 'private-a', 4009, 'AuthError', 401, wrong],
      [subscribe('private-a', `other:${good}`), 'private-a', 4009, 'AuthError', 401, wrong],
      [subscribe('private-b', `${KEY}:${good}`), 'private-b', 4009, 'AuthError', 401, wrong],
      [subscribe('private-a', `${KEY}:${good}`, data), 'private-a', 4009, 'AuthError', 401, wrong],
      [
        subscribe('private-a', `${KEY}:${sign(`${first.socketId}:private-a`)}`),
        'private-a',
        4009,
        'AuthError',
        401,
        wrong,
      ],
      [subscribe('presence-a', ''), 'presence-a', 4009, 'AuthError', 401, wrong],
      [
        subscribe('presence-a', `${KEY}:${sign(`${pusher.socketId}:presence-a`)}`),
        'presence-a',
        null,
        'InvalidMember',
        400,
        'The channel_data is invalid: it is missing, and the connection is not signed in.',
      ],
      [
        signed('presence-a', '{"user_info":{}}'),
        'presence-a',
        null,
        'InvalidMember',
        400,
        'The channel_data is invalid: its user_id must be a text.',
      ],
      [
        signed('presence-a', '{"user_id":"u1","user_info":{"name":"Ada Lovelace"}}'),
        'presence-a',
        4301,
        'LimitReached',
        4301,
        'The user_info is larger than the app allows.',
      ],
      [
        signed('presence-full', data),
        'presence-full',
        4004,
        'LimitReached',
        4100,
        'The channel has as many members as it may have.',
      ],
      [
        subscribe('#server-to-user-u1', ''),
        '#server-to-user-u1',
        4009,
        'AuthError',
        401,
        'Only a connection that is signed in as this user may subscribe to the channel.',
      ],
      [
        subscribe('a b', ''),
        'a b',
        null,
        'InvalidChannel',
        400,
        'The name of the channel is invalid: it has other characters than letters, digits and _ - = @ , . ;.',
      ],
      [
        subscribe('x'.repeat(165), ''),
        'x'.repeat(165),
        null,
        'InvalidChannel',
        400,
        'The name of the channel is invalid: it has more than 164 characters.',
      ],
    ];
    for (const [message, channel, code, type, status, error] of refused) {
      pusher.send(message);
      const what = JSON.stringify(message);
      expect(await pusher.next(), what).toEqual({
        event: 'pusher:subscription_error',
        channel,
        data: JSON.stringify({ type, error, status }),
      });
      expect(await pusher.next(), what).toEqual({ event: 'pusher:error', data: { code, message: error } });
      // What the right signature would have been is nobody's business.
      expect(error).not.toMatch(/[0-9a-f]{32}/);
    }
    await pusher.expectQuiet();
    // A further connection of a member is never refused.
    const tab = await RawPusher.connect(farm);
    await tab.join('presence-full', 'ada');
    expect(await countersOf(farm)).toMatchObject({
      app_pusher_refused_signatures: 7,
      app_pusher_refused_subscriptions: 7,
    });
  });

  it('for the second time is an error, and the first one stays', async () => {
    const farm = await startFarm(['--workers', '1']);
    const pusher = await RawPusher.connect(farm);
    await pusher.join('presence-a', 'ada');
    pusher.ask('presence-a', '{"user_id":"ada"}');
    expect(await pusher.nextText()).toBe(
      '{"event":"pusher:error","data":{"code":null,"message":"The connection is subscribed to this channel already."}}',
    );
    await trigger(farm, 'presence-a', 'marker', '');
    expect((await pusher.next()).event).toBe('marker');
  });

  it('that is asked for twice at once is answered once', async () => {
    const farm = await startFarm();
    const pusher = await RawPusher.connect(farm);
    pusher.ask('news');
    pusher.ask('news');
    const events = [(await pusher.next()).event, (await pusher.next()).event];
    expect(events.toSorted()).toEqual(['pusher:error', 'pusher_internal:subscription_succeeded']);
    await trigger(farm, 'news', 'marker', '');
    expect((await pusher.next()).event).toBe('marker');
    await trigger(farm, 'news', 'marker', '');
    expect((await pusher.next()).event).toBe('marker');
  });

  it('that is cancelled under way, and asked for again, is what was asked for last', async () => {
    const farm = await startFarm();
    const pusher = await RawPusher.connect(farm);
    const leave = { event: 'pusher:unsubscribe', data: { channel: 'presence-a' } };
    pusher.ask('presence-a', '{"user_id":"ada"}');
    pusher.send(leave);
    await expect
      .poll(() => call(farm, 'GET', `/apps/${APP_ID}/channels/presence-a/users`))
      .toEqual({ status: 200, body: { users: [] } });
    pusher.ask('presence-b', '{"user_id":"ada"}');
    pusher.send({ event: 'pusher:unsubscribe', data: { channel: 'presence-b' } });
    pusher.ask('presence-b', '{"user_id":"grace"}');
    let last: unknown;
    await expect
      .poll(async () => {
        last = (await pusher.next()).data;
        return String(last);
      })
      .toContain('grace');
    expect(await call(farm, 'GET', `/apps/${APP_ID}/channels/presence-b/users`)).toEqual({
      status: 200,
      body: { users: [{ id: 'grace' }] },
    });
  });

  it.skipIf(!redisIsInstalled())(
    "that was asked for again is nobody's when the client has gone",
    async () => {
      const redis = await startOwnRedis();
      const farm = await startFarm(['--workers', '1', '--redis-url', redis.url]);
      const [gone, other] = [await RawPusher.connect(farm), await RawPusher.connect(farm)];
      // Until then no subscription is confirmed.
      await redis.command('CLIENT', 'PAUSE', '2000');
      gone.ask('private-a');
      gone.send({ event: 'pusher:unsubscribe', data: { channel: 'private-a' } });
      gone.ask('private-a');
      await gone.expectQuiet();
      await gone.client.terminate();
      await other.subscribe('private-a');
      expect(await countersOf(farm)).toEqual({ app_pusher_connections: 2, app_pusher_subscriptions: 1 });
    },
  );

  it('beyond the most of a connection is refused', async () => {
    const farm = await startFarm(['--workers', '1', '--max-subscriptions-per-connection', '2']);
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('a');
    await pusher.subscribe('b');
    pusher.ask('c');
    expect(await pusher.next()).toMatchObject({ event: 'pusher:subscription_error', channel: 'c' });
    expect(await pusher.next()).toEqual({
      event: 'pusher:error',
      data: { code: 4301, message: 'The connection has as many subscriptions as it may have.' },
    });
    pusher.send({ event: 'pusher:unsubscribe', data: { channel: 'a' } });
    await pusher.subscribe('c');
  });

  it('to as many channels as a connection may have can be asked for at once, as after a reconnection', async () => {
    const farm = await startFarm(['--workers', '1', '--max-subscriptions-per-connection', '300']);
    const pusher = await RawPusher.connect(farm);
    const channels = Array.from({ length: 301 }, (_, at) => `private-${at}`);
    for (const channel of channels) pusher.ask(channel);
    const answers = new Map<string, string[]>();
    for (let answered = 0; answered < 302; answered++) {
      const { event, channel = '' } = await pusher.next();
      answers.set(event, [...(answers.get(event) ?? []), channel]);
    }
    const succeeded = answers.get('pusher_internal:subscription_succeeded');
    expect(new Set(succeeded)).toEqual(new Set(channels.slice(0, 300)));
    expect(answers.get('pusher:subscription_error')).toEqual(['private-300']);
  });

  it('to the channels of the default app shares them with /plain, but for those that need a signature', async () => {
    const farm = await startFarm(['--workers', '1', '--pusher-default-app', APP_ID]);
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('news');
    const plain = await RawPusher.open(farm, '/plain?channel=news');
    await trigger(farm, 'news', 'greet', '{"n":1}');
    expect(await plain.nextText()).toBe('{"n":1}');
    expect((await pusher.next()).data).toBe('{"n":1}');
    await fetch(`http://127.0.0.1:${farm.port}/api/publish`, {
      method: 'POST',
      headers: { 'X-API-Key': 'sesame' },
      body: '{"channel":"news","data":"raw"}',
    });
    expect(await pusher.nextText()).toBe('{"event":"message","channel":"news","data":"raw"}');
    expect(await plain.nextText()).toBe('raw');
    for (const channel of ['private-a', 'presence-a', '%23server-to-user-1', 'private-encrypted-a']) {
      await expect(RawPusher.open(farm, `/plain?channel=${channel}`)).rejects.toThrow(/403/);
    }
  });

  it('hides the channels that need a signature from /plain under the name of the app, too', async () => {
    const farm = await startFarm(['--workers', '1']);
    await expect(RawPusher.open(farm, `/plain?channel=${APP_ID}/private-a`)).rejects.toThrow(/403/);
    await RawPusher.open(farm, `/plain?channel=${APP_ID}/news`);
    await RawPusher.open(farm, '/plain?channel=private-a');
  });

  it('needs no token of Roost, and no glob of public channels opens to /plain what needs a signature', async () => {
    const secret = 'a-secret-that-has-32-characters!';
    const farm = await startFarm(
      ['--workers', '1', '--pusher-default-app', APP_ID, '--tokens-public-channels', '*'],
      { ROOST_TOKENS_SECRET: secret },
    );
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('private-a');
    await RawPusher.open(farm, '/plain?channel=news');
    await expect(RawPusher.open(farm, '/plain?channel=private-a')).rejects.toThrow(/403/);
    const token = await new SignJWT({ channels: ['private-*'] })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(secret));
    const plain = await RawPusher.open(farm, `/plain?channel=private-a&token=${token}`);
    await trigger(farm, 'private-a', 'greet', 'x');
    expect([await plain.nextText(), (await pusher.next()).data]).toEqual(['x', 'x']);
  });

  it('gets no publication whose bytes are not UTF-8, and that is counted', async () => {
    const farm = await startFarm(['--workers', '1']);
    const pusher = await RawPusher.connect(farm);
    await pusher.subscribe('news');
    for (const body of [
      `{"channel":"${APP_ID}/news","b64data":"/w=="}`,
      `{"channel":"${APP_ID}/news","data":"x"}`,
    ]) {
      await fetch(`http://127.0.0.1:${farm.port}/api/publish`, {
        method: 'POST',
        headers: { 'X-API-Key': 'sesame' },
        body,
      });
    }
    expect(await pusher.nextText()).toBe('{"event":"message","channel":"news","data":"x"}');
    expect(await countersOf(farm)).toMatchObject({ app_pusher_not_text: 1 });
  });
});

describe('a sign-in', () => {
  it('with a wrong signature closes the connection with 4009', async () => {
    const farm = await startFarm(['--workers', '1']);
    const pusher = await RawPusher.connect(farm);
    pusher.send({ event: 'pusher:signin', data: { auth: `${KEY}:0`, user_data: '{"id":"u1"}' } });
    expect(await pusher.nextText()).toBe(
      '{"event":"pusher:error","data":{"code":4009,"message":"The signature of the user is wrong."}}',
    );
    expect(await pusher.client.closed).toEqual({ code: 4009, reason: 'The signature of the user is wrong.' });
    expect(await countersOf(farm)).toMatchObject({ app_pusher_refused_signatures: 1 });
  });

  it('as nobody, or as somebody else, is refused', async () => {
    const farm = await startFarm(['--workers', '1', '--pusher-max-member-info-bytes', '16']);
    const pusher = await RawPusher.connect(farm);
    const refused: [string, number | null, string][] = [
      ['{}', null, 'The user_data is invalid: its id must be a text.'],
      ['{"id":7}', null, 'The user_data is invalid: its id must be a text.'],
      ['{"id":""}', null, 'The user_data is invalid: its id is empty.'],
      ['[]', null, 'The user_data is invalid: it is not the text of a JSON object.'],
      [`{"id":"u1","user_info":"${'x'.repeat(15)}"}`, 4301, 'The user_info is larger than the app allows.'],
    ];
    for (const [data, code, message] of refused) {
      pusher.signIn(data);
      expect(await pusher.next(), data).toEqual({ event: 'pusher:error', data: { code, message } });
    }
    pusher.signIn('{"id":"u1"}');
    expect((await pusher.next()).event).toBe('pusher:signin_success');
    pusher.signIn('{"id":"u2"}');
    expect(await pusher.next()).toEqual({
      event: 'pusher:error',
      data: { code: 4009, message: 'The connection is signed in as another user already.' },
    });
    pusher.signIn('{"id":"u1","user_info":{"n":1}}');
    expect((await pusher.next()).event).toBe('pusher:signin_success');
    // Then a presence channel needs no channel_data.
    expect(await pusher.subscribe('presence-a')).toBe(
      '{"presence":{"ids":["u1"],"hash":{"u1":{"n":1}},"count":1}}',
    );
    expect(await countersOf(farm)).toMatchObject({ app_pusher_signins: 2, app_pusher_refused_signins: 6 });
  });
});
