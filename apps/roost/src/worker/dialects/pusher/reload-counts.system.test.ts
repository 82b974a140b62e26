import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, type FarmProcess } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { run } from '../../../fixtures/system-test.ts';
import { Receiver } from '../../../webhooks/fixtures/receiver.ts';
import {
  APP_ID,
  call,
  endAfterEach,
  endAfterTest,
  KINDS,
  RawPusher,
  startFarm,
  startOwnRedis,
} from './fixtures/pusher-farm.ts';

endAfterEach();

const CLIENTS = 40;

function countEvent(count: number): string {
  return `{"event":"pusher_internal:subscription_count","channel":"news","data":"{\\"subscription_count\\":${count}}"}`;
}

function countWebhook(count: number, channel = 'news'): string {
  return JSON.stringify({ name: 'subscription_count', channel, subscription_count: count });
}

async function answer(farm: FarmProcess, path: string, query: Readonly<Record<string, string>>) {
  const { status, body } = await call(farm, 'GET', `/apps/${APP_ID}${path}`, { query });
  expect(status).toBe(200);
  return JSON.stringify(body);
}

/** What the HTTP API says of the channels. */
async function countsOf(farm: FarmProcess): Promise<readonly string[]> {
  return [
    await answer(farm, '/channels/news', { info: 'subscription_count' }),
    await answer(farm, '/channels/lonely', { info: 'subscription_count' }),
    await answer(farm, '/channels', { filter_by_prefix: 'lonely' }),
  ];
}

const TRUTH = [
  `{"occupied":true,"subscription_count":${CLIENTS}}`,
  '{"occupied":true,"subscription_count":1}',
  '{"channels":{"lonely":{}}}',
];

describe.each(KINDS.filter(({ workers }) => workers === 2))(
  'counts of subscribers: $title',
  ({ isOnRedis }) => {
    it('are shown and sent as they are at every moment of a reload, a resize and a rebalance', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'roost-counts-'));
      endAfterTest(() => rmSync(folder, { recursive: true }));
      const controlSocket = ['--control-socket', join(folder, 'c.sock')];
      const receiver = await Receiver.start();
      endAfterTest(() => receiver.stop());
      const redis = isOnRedis ? ['--redis-url', (await startOwnRedis()).url] : [];
      const farm = await startFarm(
        // One batch for each few rows, so that there are many moments.
        [...controlSocket, '--probation-ms', '0', '--move-batch-rows', '4', ...redis],
        {
          ROOST_PUSHER_SUBSCRIPTION_COUNT: 'true',
          ROOST_PUSHER_WEBHOOKS: JSON.stringify([{ url: receiver.url }]),
          ROOST_PUSHER_WEBHOOK_LINGER_MS: '0',
        },
      );
      const lonely = await RawPusher.connect(farm);
      lonely.ask('lonely');
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => RawPusher.connect(farm)));
      for (const client of clients) client.ask('news');
      const heard = [lonely, ...clients].map(({ client }) => {
        const texts: string[] = [];
        client.socket.on('message', (data: Buffer) => {
          if (!data.includes('pusher:ping')) texts.push(data.toString());
        });
        return texts;
      });
      const told = (): string[] => receiver.events.map((event) => JSON.stringify(event));
      // The sum of all is the last that is told.
      await eventually(() => {
        for (const texts of heard.slice(1)) expect(texts.at(-1)).toBe(countEvent(CLIENTS));
        expect(told()).toContain(countWebhook(CLIENTS));
        expect(told()).toContain('{"name":"channel_occupied","channel":"lonely"}');
      });
      expect(await countsOf(farm)).toEqual(TRUTH);
      const [before, toldBefore] = [heard.map(({ length }) => length), told().length];

      const wrong: unknown[] = [];
      let isOver = false;
      const polls = Array.from({ length: 3 }, async () => {
        for (let count = 0; ; count++) {
          const counts = await countsOf(farm);
          if (counts.join() !== TRUTH.join()) wrong.push(counts);
          if (isOver) return count;
        }
      });
      for (const words of [['reload'], ['workers', '4'], ['workers', '1'], ['workers', '2'], ['reload']]) {
        const { exitCode, stderr } = await run([...words, ...controlSocket]);
        expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
      }
      isOver = true;
      for (const count of await Promise.all(polls)) expect(count).toBeGreaterThan(10);
      expect(wrong).toEqual([]);
      // Whatever was told meanwhile would stand before what is told of who goes now.
      clients[0]?.send({ event: 'pusher:unsubscribe', data: { channel: 'news' } });
      await eventually(() => {
        for (const [index, texts] of heard.entries()) {
          const isGone = index <= 1;
          expect(texts.slice(before[index])).toEqual(isGone ? [] : [countEvent(CLIENTS - 1)]);
        }
      });
      await lonely.client.terminate();
      await eventually(() => {
        const vacated = '{"name":"channel_vacated","channel":"lonely"}';
        expect(told().slice(toldBefore)).toEqual([
          countWebhook(CLIENTS - 1),
          countWebhook(0, 'lonely'),
          vacated,
        ]);
      });
    });
  },
);
