import { eventually, redisIsInstalled } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import Pusher from 'pusher';
import { describe, expect, it } from 'vitest';
import {
  APP_ID,
  countersOf,
  endAfterEach,
  endAfterTest,
  KEY,
  KINDS,
  RawPusher,
  SECRET,
  startFarm,
  startKind,
  startOwnRedis,
} from '../worker/dialects/pusher/fixtures/pusher-farm.ts';
import { Receiver } from './fixtures/receiver.ts';
import type { Answer } from './fixtures/receiver.ts';

endAfterEach();

/** Nobody comes back from a departure that is told so soon. */
const LINGER_MS = '50';

async function startReceiver(...answers: Answer[]): Promise<Receiver> {
  const receiver = await Receiver.start(...answers);
  endAfterTest(() => receiver.stop());
  return receiver;
}

/** The variables of a farm that tells the receiver. */
function telling(receiver: Receiver, more: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    ROOST_PUSHER_WEBHOOKS: JSON.stringify([{ url: receiver.url, headers: { 'X-Gateway': 'hunter2' } }]),
    ROOST_PUSHER_WEBHOOK_LINGER_MS: LINGER_MS,
    ...more,
  };
}

/** What the receiver was told, as text, in order. */
const told = (receiver: Receiver): string[] => receiver.events.map((event) => JSON.stringify(event));

async function untilTold(receiver: Receiver, ...events: readonly string[]): Promise<void> {
  await eventually(() => expect(told(receiver)).toEqual(expect.arrayContaining([...events])));
}

const OCCUPIED = '{"name":"channel_occupied","channel":"presence-room"}';
const VACATED = '{"name":"channel_vacated","channel":"presence-room"}';
const added = (user: string): string =>
  `{"name":"member_added","channel":"presence-room","user_id":"${user}"}`;
const removed = (user: string): string =>
  `{"name":"member_removed","channel":"presence-room","user_id":"${user}"}`;

/** What it was told about the room, in no order: that of two kinds of events is not promised. */
const aboutRoom = (receiver: Receiver): string[] =>
  told(receiver)
    .filter((event) => event.includes('presence-room'))
    .toSorted();

function unsubscribe(pusher: RawPusher, channel: string): void {
  pusher.send({ event: 'pusher:unsubscribe', data: { channel } });
}

describe.each(KINDS)('webhooks, on $title', (kind) => {
  it('tell what happens in channels, each thing once', async () => {
    const receiver = await startReceiver();
    const farm = await startKind(kind, telling(receiver));
    const [ada, adasTab, grace] = [
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
      await RawPusher.connect(farm),
    ];
    await ada.join('presence-room', 'ada');
    await adasTab.join('presence-room', 'ada');
    await grace.join('presence-room', 'grace');
    ada.send({ event: 'client-typing', channel: 'presence-room', data: { at: 1 } });
    expect((await grace.next()).event).toBe('client-typing');
    await grace.subscribe('cache-news');
    expect((await grace.next()).event).toBe('pusher:cache_miss');
    const typing = `{"name":"client_event","channel":"presence-room","event":"client-typing","data":"{\\"at\\":1}","socket_id":"${ada.socketId}","user_id":"ada"}`;
    await untilTold(receiver, OCCUPIED, added('ada'), added('grace'), typing);
    await untilTold(
      receiver,
      '{"name":"channel_occupied","channel":"cache-news"}',
      '{"name":"cache_miss","channel":"cache-news"}',
    );
    unsubscribe(adasTab, 'presence-room');
    unsubscribe(ada, 'presence-room');
    await untilTold(receiver, removed('ada'));
    await grace.client.close();
    await untilTold(receiver, removed('grace'), VACATED, '{"name":"channel_vacated","channel":"cache-news"}');
    expect(told(receiver).toSorted()).toEqual([...new Set(told(receiver))].toSorted());
    expect(told(receiver)).toHaveLength(10);
    expect(await countersOf(farm)).toMatchObject({ app_pusher_webhook_events: 10 });
  });

  it('tell nothing of who comes back', async () => {
    const receiver = await startReceiver();
    const farm = await startKind(kind, telling(receiver, { ROOST_PUSHER_WEBHOOK_LINGER_MS: '60000' }));
    let page = await RawPusher.connect(farm);
    await page.join('presence-room', 'ada');
    await untilTold(receiver, OCCUPIED, added('ada'));
    for (let i = 0; i < 3; i++) {
      await page.client.close();
      page = await RawPusher.connect(farm);
      await page.join('presence-room', 'ada');
    }
    await page.subscribe('cache-news');
    await untilTold(receiver, '{"name":"cache_miss","channel":"cache-news"}');
    expect(aboutRoom(receiver)).toEqual([OCCUPIED, added('ada')].toSorted());
  });
});

describe('webhooks', () => {
  it('are signed as the SDK expects, and secrets appear in no log', async () => {
    const receiver = await startReceiver(500);
    const farm = await startFarm([], telling(receiver));
    await (await RawPusher.connect(farm)).subscribe('news');
    await receiver.until(2);
    const pusher = new Pusher({ appId: APP_ID, key: KEY, secret: SECRET, host: '127.0.0.1' });
    for (const { headers, body } of receiver.requests) {
      expect(pusher.webhook({ headers, rawBody: body }).isValid()).toBe(true);
      expect(headers['x-gateway']).toBe('hunter2');
    }
    const line = await farm.log(({ msg }) => msg === 'webhook failed: it is tried again');
    expect(line).toMatchObject({ app: APP_ID, url: receiver.url, reason: 'it answered with status 500' });
    const output = JSON.stringify(farm.logs) + farm.otherOutput;
    expect(output).not.toContain('hunter2');
    expect(output).not.toContain(SECRET);
    expect(await countersOf(farm)).toMatchObject({ app_pusher_webhook_failures: 1 });
  });

  it('are told of what they want, each on its own', async () => {
    const [rooms, others] = [await startReceiver(), await startReceiver()];
    const webhooks = [
      {
        url: rooms.url,
        event_types: ['channel_occupied'],
        filter: { channel_name_starts_with: 'presence-' },
      },
      { url: others.url, event_types: ['cache_miss'] },
    ];
    const farm = await startFarm([], { ROOST_PUSHER_WEBHOOKS: JSON.stringify(webhooks) });
    const ada = await RawPusher.connect(farm);
    await ada.join('presence-room', 'ada');
    await ada.subscribe('cache-news');
    await untilTold(rooms, OCCUPIED);
    await untilTold(others, '{"name":"cache_miss","channel":"cache-news"}');
    expect([told(rooms).length, told(others).length]).toEqual([1, 1]);
  });

  it('tell at the end of a farm whom it disconnects', async () => {
    const receiver = await startReceiver();
    const farm = await startFarm([], telling(receiver, { ROOST_PUSHER_WEBHOOK_LINGER_MS: '60000' }));
    const ada = await RawPusher.connect(farm);
    await ada.join('presence-room', 'ada');
    await untilTold(receiver, OCCUPIED, added('ada'));
    farm.signal('SIGTERM');
    expect(await farm.exited).toEqual({ code: 0, signal: null });
    expect(told(receiver).toSorted()).toEqual([OCCUPIED, VACATED, added('ada'), removed('ada')].toSorted());
  });
});

async function startTwo(
  receiver: Receiver,
  more: Readonly<Record<string, string>> = {},
): Promise<[FarmProcess, FarmProcess]> {
  const redis = await startOwnRedis();
  const env = telling(receiver, { ROOST_REDIS_URL: redis.url, ...more });
  return [await startFarm([], env), await startFarm([], env)];
}

describe.skipIf(!redisIsInstalled())('webhooks of two farms on one Redis', () => {
  it('tell everything once, also of who moves from one to the other', async () => {
    const receiver = await startReceiver();
    const farms = await startTwo(receiver, { ROOST_PUSHER_WEBHOOK_LINGER_MS: '60000' });
    for (let i = 0; i < 6; i++) {
      const ada = await RawPusher.connect(farms[i % 2] ?? farms[0]);
      await ada.join('presence-room', 'ada');
      await ada.client.close();
    }
    const last = await RawPusher.connect(farms[1]);
    await last.join('presence-room', 'ada');
    await last.subscribe('cache-news');
    await untilTold(receiver, '{"name":"cache_miss","channel":"cache-news"}');
    expect(aboutRoom(receiver)).toEqual([OCCUPIED, added('ada')].toSorted());
  });

  it('go on when the farm that sends them dies, and tell of its members', async () => {
    const receiver = await startReceiver();
    const farms = await startTwo(receiver);
    const users = ['ada', 'bob', 'cyd', 'dan'];
    for (const [i, user] of users.entries()) {
      await (await RawPusher.connect(farms[i % 2] ?? farms[0])).join('presence-room', user);
    }
    await untilTold(receiver, OCCUPIED, ...users.map(added));
    // Whichever of them sends: afterwards the other does.
    farms[0].signal('SIGKILL');
    await untilTold(receiver, removed('ada'), removed('cyd'));
    const eve = await RawPusher.connect(farms[1]);
    await eve.join('presence-room', 'eve');
    await untilTold(receiver, added('eve'));
    expect(told(receiver)).not.toContain(removed('bob'));
  });
});
