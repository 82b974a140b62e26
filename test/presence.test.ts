import { createHmac } from 'node:crypto';
import { eventually, redisIsInstalled, startRedis } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { endAfterTest, startFarm } from './harness/system.ts';
import { APP } from './presence/member.ts';
import { RoomKeeper } from './presence/room-keeper.ts';

/** ROOST_PRESENCE_MEMBERS=10000 is how large the promise is; the channels grow with it. */
const MEMBERS = Number(process.env['ROOST_PRESENCE_MEMBERS'] ?? 500);
const CHANNELS = Math.ceil(MEMBERS / 20);
/** How long after an event everybody must know of it. */
const EXACT_WITHIN_MS = 5000;

async function startPusherFarm(redisUrl: string): Promise<FarmProcess> {
  const app = [
    `--pusher-app-id=${APP.id}`,
    `--pusher-app-key=${APP.key}`,
    `--pusher-app-secret=${APP.secret}`,
  ];
  return startFarm(['--redis-url', redisUrl, ...app], { deadlineMs: 20_000 });
}

/** A signed GET of the HTTP API. */
async function get(
  farm: FarmProcess,
  path: string,
  query: Readonly<Record<string, string>> = {},
): Promise<unknown> {
  const full = `/apps/${APP.id}${path}`;
  const parameters = Object.entries({
    ...query,
    auth_key: APP.key,
    auth_timestamp: String(Math.floor(Date.now() / 1000)),
    auth_version: '1.0',
  })
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&');
  const signature = createHmac('sha256', APP.secret).update(`GET\n${full}\n${parameters}`).digest('hex');
  const response = await fetch(
    `http://127.0.0.1:${farm.port}${full}?${parameters}&auth_signature=${signature}`,
  );
  expect(response.status).toBe(200);
  return response.json();
}

/** Everybody's list is right, within the time; nobody was told anything twice; and the HTTP API says the same. */
async function expectExact(rooms: RoomKeeper, asked: FarmProcess): Promise<void> {
  await eventually(() => expect(rooms.mistaken().slice(0, 3)).toEqual([]), {
    deadlineMs: EXACT_WITHIN_MS,
    what: 'everybody knows who is there',
  });
  expect(rooms.misfits.slice(0, 3)).toEqual([]);
  const truth = rooms.truth();
  const counts = Object.fromEntries(
    Array.from(truth, ([channel, users]) => [channel, { user_count: users.size }]),
  );
  await eventually(
    async () =>
      expect(await get(asked, '/channels', { filter_by_prefix: 'presence-', info: 'user_count' })).toEqual({
        channels: counts,
      }),
    { deadlineMs: EXACT_WITHIN_MS, what: 'the HTTP API counts them' },
  );
  const [channel = '', users = new Set<string>()] = [...truth][0] ?? [];
  const listed = await get(asked, `/channels/${channel}/users`);
  expect(listed).toEqual({
    users: expect.arrayContaining(Array.from(users, (id) => ({ id }))),
  });
}

describe.skipIf(!redisIsInstalled())(
  'presence over two farms on one Redis (skipped without redis-server)',
  () => {
    it(
      'is exact while members come and go, a worker is killed, and a whole farm is',
      async () => {
        const redis = await startRedis();
        endAfterTest(() => redis.stop());
        const [first, second] = [await startPusherFarm(redis.url), await startPusherFarm(redis.url)];
        const rooms = new RoomKeeper([first, second], CHANNELS);
        endAfterTest(async () => rooms.leaveAll());

        await rooms.add(MEMBERS);
        await expectExact(rooms, first);

        for (const everyNth of [7, 11, 3]) {
          const before = rooms.openCount;
          await rooms.remove(everyNth);
          await rooms.add(before - rooms.openCount);
          await expectExact(rooms, second);
        }

        const before = rooms.openCount;
        process.kill(first.workers[0]?.pid ?? -1, 'SIGKILL');
        await eventually(() => rooms.openCount < before, { what: 'the clients of the worker are gone' });
        await expectExact(rooms, first);

        second.signal('SIGKILL');
        await rooms.gone(second.port);
        await expectExact(rooms, first);

        await rooms.add(Math.ceil(MEMBERS / 10), [first]);
        await expectExact(rooms, first);
      },
      // Most of it is as long as the members are many.
      120_000 + MEMBERS * 20,
    );
  },
);
