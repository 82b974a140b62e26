import { redisIsInstalled } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import {
  countersOf,
  endAfterEach,
  KEY,
  RawPusher,
  startFarm,
  startOwnRedis,
} from './fixtures/pusher-farm.ts';

endAfterEach();

const LIST = `[
  {"id":"1","key":"one","secret":"s1"},
  {"id":"2","key":"off","secret":"s2","enabled":false},
  {"id":"3","key":"few","secret":"s3","maxConnections":2},
  {"id":"4","key":"signed","secret":"s4","authorizedOnly":true,"authorizationTimeoutMs":1000}
]`;

describe('a connection', () => {
  it('is told its socket id and how long it may be silent', async () => {
    const farm = await startFarm();
    const pusher = await RawPusher.open(farm, `/app/${KEY}?protocol=7&client=js&version=8.6.0&flash=false`);
    expect(await pusher.nextText()).toMatch(
      /^\{"event":"pusher:connection_established","data":"\{\\"socket_id\\":\\"\d+\.\d+\\",\\"activity_timeout\\":50\}"\}$/,
    );
    const ids = await Promise.all([
      RawPusher.connect(farm),
      RawPusher.connect(farm),
      RawPusher.connect(farm),
    ]);
    expect(new Set(ids.map(({ socketId }) => socketId)).size).toBe(3);
    expect(await countersOf(farm)).toEqual({ app_pusher_connections: 4 });
  });

  it.each([['protocol=5'], ['protocol=6'], ['protocol=7'], ['version=x&protocol=7&protocol=9']])(
    'is let in with %s',
    async (query) => {
      const farm = await startFarm(['--workers', '1']);
      expect((await RawPusher.connect(farm, query)).socketId).toMatch(/^\d+\.\d+$/);
    },
  );

  it('is refused after the 101, by an error and a close frame with one code', async () => {
    const farm = await startFarm([], { ROOST_PUSHER_APPS: LIST });
    const refusals: [string, number, string][] = [
      ['/app/none?protocol=7', 4001, 'There is no app with this key.'],
      ['/app/__proto__?protocol=7', 4001, 'There is no app with this key.'],
      ['/app/app-id?protocol=7', 4001, 'There is no app with this key.'],
      ['/app/off?protocol=7', 4003, 'The app is disabled.'],
      ['/app?protocol=7', 4005, 'There is nothing at this path: connect to /app/<key>.'],
      ['/app/?protocol=7', 4005, 'There is nothing at this path: connect to /app/<key>.'],
      ['/app/app-key/more?protocol=7', 4005, 'There is nothing at this path: connect to /app/<key>.'],
      ['/app/app-key?protocol=4', 4007, 'This version of the protocol is not supported: use 5, 6 or 7.'],
      ['/app/app-key?protocol=8', 4007, 'This version of the protocol is not supported: use 5, 6 or 7.'],
      ['/app/app-key?protocol=seven', 4007, 'This version of the protocol is not supported: use 5, 6 or 7.'],
      ['/app/app-key?protocol=7.0', 4007, 'This version of the protocol is not supported: use 5, 6 or 7.'],
      ['/app/app-key', 4008, 'A version of the protocol is missing: connect with ?protocol=7.'],
      ['/app/app-key?protocol=', 4008, 'A version of the protocol is missing: connect with ?protocol=7.'],
    ];
    for (const [path, code, message] of refusals) {
      const pusher = await RawPusher.open(farm, path);
      expect(await pusher.nextText(), path).toBe(
        `{"event":"pusher:error","data":{"code":${code},"message":"${message}"}}`,
      );
      expect(await pusher.client.closed, path).toEqual({ code, reason: message });
    }
    expect(await countersOf(farm)).toEqual({ app_pusher_refused_connections: refusals.length });
  });

  it('is refused with 4004 when its app has its most connections on all workers', async () => {
    const farm = await startFarm([], { ROOST_PUSHER_APPS: LIST });
    const first = await RawPusher.connect(farm, 'protocol=7', 'few');
    await RawPusher.connect(farm, 'protocol=7', 'few');
    // What the other worker knows is up to a few seconds old.
    await expect
      .poll(async () => {
        const pusher = await RawPusher.open(farm, '/app/few?protocol=7');
        const { event, data } = await pusher.next();
        await pusher.client.close();
        return { event, data };
      })
      .toEqual({
        event: 'pusher:error',
        data: { code: 4004, message: 'The app has as many connections as it may have.' },
      });
    await first.client.close();
    await expect
      .poll(() =>
        RawPusher.connect(farm, 'protocol=7', 'few').then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);
    // Others are not concerned.
    await RawPusher.connect(farm, 'protocol=7', 'one');
  });

  it.skipIf(!redisIsInstalled())('is counted for its app whatever it unsubscribes from', async () => {
    const redis = await startOwnRedis();
    const farm = await startFarm(['--workers', '1', '--redis-url', redis.url], { ROOST_PUSHER_APPS: LIST });
    const first = await RawPusher.connect(farm, 'protocol=7', 'few');
    first.send({ event: 'pusher:unsubscribe', data: { channel: '#connections' } });
    await first.expectQuiet();
    await RawPusher.connect(farm, 'protocol=7', 'few');
    await expect.poll(() => redis.command('HVALS', 'roost:counts:{3/#connections}')).toEqual(['2']);
  });

  it('that shows no signature in time is closed with 4009 where the app wants one', async () => {
    const farm = await startFarm(['--workers', '1'], { ROOST_PUSHER_APPS: LIST });
    const silent = await RawPusher.connect(farm, 'protocol=7', 'signed');
    await silent.subscribe('news');
    const free = await RawPusher.connect(farm);
    expect(await silent.client.closed).toEqual({
      code: 4009,
      reason: 'the connection was not authorised in time',
    });
    await free.expectQuiet();
  });

  it('may stay where the app wants a signature, when it signs in or subscribes with one', async () => {
    const farm = await startFarm([
      '--workers',
      '1',
      '--pusher-authorized-only',
      '--pusher-authorization-timeout-ms',
      '1000',
    ]);
    const [subscribed, signedIn, silent] = [
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
    ];
    await subscribed.subscribe('private-a');
    signedIn.signIn('{"id":"u1"}');
    expect((await signedIn.next()).event).toBe('pusher:signin_success');
    expect((await silent.client.closed).code).toBe(4009);
    await subscribed.expectQuiet();
    await signedIn.expectQuiet();
  });

  it('may come by a path with the configured prefix, and without it', async () => {
    const farm = await startFarm(['--workers', '1', '--pusher-path-prefix', '/ws/v1']);
    for (const path of [`/ws/v1/app/${KEY}?protocol=7`, `/app/${KEY}?protocol=7`]) {
      expect((await (await RawPusher.open(farm, path)).next()).event).toBe('pusher:connection_established');
    }
    await expect(RawPusher.open(farm, `/ws/app/${KEY}?protocol=7`)).rejects.toThrow(/404/);
  });

  it('is told of an activity timeout that is just below the heartbeat, or the configured one', async () => {
    const farm = await startFarm(['--workers', '1', '--heartbeat-ms', '12000']);
    const pusher = await RawPusher.open(farm, `/app/${KEY}?protocol=7`);
    expect(await pusher.nextText()).toContain('\\"activity_timeout\\":10}');
    const other = await startFarm(['--workers', '1', '--pusher-activity-timeout-seconds', '120']);
    expect(await (await RawPusher.open(other, `/app/${KEY}?protocol=7`)).nextText()).toContain(
      '\\"activity_timeout\\":120}',
    );
  });

  it('gets 426 over plain HTTP, and /app is served to nobody where no app is configured', async () => {
    const farm = await startFarm(['--workers', '1']);
    const response = await fetch(`http://127.0.0.1:${farm.port}/app/${KEY}?protocol=7`);
    expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket']);
    const none = await startFarm(['--workers', '1'], {
      ROOST_PUSHER_APP_ID: '',
      ROOST_PUSHER_APP_KEY: '',
      ROOST_PUSHER_APP_SECRET: '',
    });
    await expect(RawPusher.open(none, `/app/${KEY}?protocol=7`)).rejects.toThrow(/404/);
    expect((await fetch(`http://127.0.0.1:${none.port}/apps/app-id/channels`)).status).toBe(404);
  });
});

describe('a silent connection', () => {
  it('is pinged by a message, and stays when it answers', async () => {
    const farm = await startFarm([
      '--workers',
      '1',
      '--heartbeat-ms',
      '1000',
      '--heartbeat-timeout-ms',
      '1000',
    ]);
    const pusher = await RawPusher.connect(farm);
    for (let beat = 0; beat < 3; beat++) {
      expect(await pusher.nextText()).toBe('{"event":"pusher:ping","data":{}}');
      pusher.send('{"event":"pusher:pong","data":{}}');
    }
  });

  it('is closed with 4201 when it does not answer', async () => {
    const farm = await startFarm([
      '--workers',
      '1',
      '--heartbeat-ms',
      '1000',
      '--heartbeat-timeout-ms',
      '1000',
    ]);
    const pusher = await RawPusher.connect(farm);
    expect(await pusher.client.closed).toEqual({ code: 4201, reason: 'no pong was received' });
  });
});

describe('a ping', () => {
  it.each([
    '{"event":"pusher:ping","data":{}}',
    '{"event":"pusher:ping","data":"{}"}',
    '{"event": "pusher:ping"}',
    '{"event":"pusher:ping"}',
    '{ "data" : "" , "event" : "pusher:ping" }',
  ])('is answered when it is written as %s', async (ping) => {
    const farm = await startFarm(['--workers', '1']);
    const pusher = await RawPusher.connect(farm);
    pusher.send(ping);
    expect(await pusher.nextText()).toBe('{"event":"pusher:pong","data":{}}');
  });
});
