import type { LogFields } from '@roost/farm';
import { endAll, eventually } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import type { WebhookOptions } from '../worker/dialects/pusher/options.ts';
import { EventsQueue } from './fixtures/events-queue.ts';
import { hang, held, Receiver } from './fixtures/receiver.ts';
import type { Answer } from './fixtures/receiver.ts';
import { recordedTypes } from './recorded-types.ts';
import { WebhookSender } from './sender.ts';
import type { SenderOptions, SendingApp } from './sender.ts';

const OPTIONS: SenderOptions = {
  timeoutMs: 10_000,
  retryMs: 60_000,
  batchMs: 0,
  maxBatchEvents: 100,
  maxQueuedEvents: 1000,
  lingerMs: 600_000,
};

const opened: (() => Promise<unknown>)[] = [];
afterEach(() => endAll(opened));

const nothing = (): void => {};

async function receiverThat(...answers: Answer[]): Promise<Receiver> {
  const receiver = await Receiver.start(...answers);
  opened.push(() => receiver.stop());
  return receiver;
}

function webhook(url: string, more: Partial<WebhookOptions> = {}): WebhookOptions {
  return { url, eventTypes: [], channelNameStartsWith: '', channelNameEndsWith: '', headers: {}, ...more };
}

function app(id: string, webhooks: readonly WebhookOptions[]): SendingApp {
  return { id, key: `${id}-key`, secret: `${id}-secret`, webhooks };
}

/** Sends for these apps what is recorded in the queue. Channels are called `<app>/<channel>`. */
function send(apps: readonly SendingApp[], options: Partial<SenderOptions> = {}) {
  const events = new EventsQueue();
  const warnings: LogFields[] = [];
  const sender = new WebhookSender(
    events,
    apps,
    { ...OPTIONS, ...options },
    {
      log: {
        debug: nothing,
        info: nothing,
        warn: (fields: LogFields) => void warnings.push(fields),
        error: nothing,
        fatal: nothing,
      },
      counts: { taken: nothing, failed: nothing, lost: nothing },
      placeOf: (name) => {
        const [id = '', channel = ''] = name.split('/');
        return apps.some((one) => one.id === id) ? { app: id, channel } : undefined;
      },
    },
  );
  opened.push(() => sender.stop({ timeoutMs: 0, keepsEvents: true }));
  return { events, sender, warnings };
}

/** An app whose one webhook wants these. */
const wanting = (...eventTypes: string[]) => ({ webhooks: [webhook('http://a/', { eventTypes })] });

const namesIn = ({ events }: Receiver): string[] =>
  events.map(({ name, channel }) => [name, channel].join(' '));

describe('what must be recorded', () => {
  it('is what webhooks want, and of departures and returns always both', () => {
    expect(recordedTypes([wanting('client_event'), wanting('channel_vacated')]).toSorted()).toEqual([
      'channel_occupied',
      'channel_vacated',
      'client_event',
    ]);
    expect(recordedTypes([wanting('member_added')])).toContain('member_removed');
    expect(recordedTypes([wanting()])).toHaveLength(7);
    expect(recordedTypes([{ webhooks: [] }])).toEqual([]);
  });
});

describe('the sender of webhooks', () => {
  it('gives each event to the webhooks of its app that want it', async () => {
    const [all, presence, other] = [await receiverThat(), await receiverThat(), await receiverThat()];
    const { events } = send([
      app('a', [
        webhook(all.url),
        webhook(presence.url, { eventTypes: ['member_added'], channelNameStartsWith: 'presence-' }),
      ]),
      app('b', [webhook(other.url)]),
    ]);
    events.add('channel_occupied', 'a/presence-x');
    events.add('member_added', 'a/presence-x', { user: 'u1' });
    events.add('cache_miss', 'b/cache-y');
    events.add('cache_miss', 'nobody/cache-z');
    await eventually(() => events.finished.length === 4);
    expect(namesIn(all)).toEqual(['channel_occupied presence-x', 'member_added presence-x']);
    expect(namesIn(presence)).toEqual(['member_added presence-x']);
    expect(namesIn(other)).toEqual(['cache_miss cache-y']);
    expect(other.requests[0]?.headers['x-pusher-key']).toBe('b-key');
  });

  it('is done with an event when every webhook that wants it is', async () => {
    const slow = held();
    const [first, second] = [await receiverThat(), await receiverThat(slow.answer)];
    const { events } = send([app('a', [webhook(first.url), webhook(second.url)])]);
    events.add('cache_miss', 'a/x');
    await first.until(1);
    await second.until(1);
    expect(events.finished).toEqual([]);
    slow.goOn();
    await eventually(() => events.finished.length === 1);
  });

  it('tells nobody of who left and came back, and is done with both events', async () => {
    const receiver = await receiverThat();
    const { events } = send([app('a', [webhook(receiver.url)])]);
    events.add('member_removed', 'a/presence-x', { user: 'u1' });
    events.add('channel_vacated', 'a/presence-x');
    events.add('channel_occupied', 'a/presence-x');
    events.add('member_added', 'a/presence-x', { user: 'u1' });
    events.add('cache_miss', 'a/y');
    await eventually(() => events.finished.length === 5);
    expect(namesIn(receiver)).toEqual(['cache_miss y']);
  });

  it('goes on for the others while a webhook hangs and its queue is full', async () => {
    const [dead, alive] = [await receiverThat(hang), await receiverThat()];
    const { events } = send([app('a', [webhook(dead.url)]), app('b', [webhook(alive.url)])], {
      maxQueuedEvents: 10,
    });
    for (let i = 0; i < 100; i++) {
      events.add('cache_miss', `a/${i}`);
      events.add('cache_miss', `b/${i}`);
    }
    // Of both the ten newest wait. The dead one has one on its way, and the alive one sends.
    await eventually(() => namesIn(alive).includes('cache_miss 99'));
    expect(events.mostTaken).toBeLessThanOrEqual(60);
  });

  it('goes on for the others while several hang with whole batches, and all queues are full', async () => {
    const [first, second, alive] = [await receiverThat(hang), await receiverThat(hang), await receiverThat()];
    const dead = [first, second];
    const { events } = send(
      [app('a', [webhook(first.url)]), app('b', [webhook(second.url)]), app('c', [webhook(alive.url)])],
      { maxQueuedEvents: 10, maxBatchEvents: 10, batchMs: 600_000, timeoutMs: 600_000 },
    );
    const add = (type: 'cache_miss' | 'channel_vacated', place: string): void => {
      for (let i = 0; i < 10; i++) events.add(type, `${place}${i}`);
    };
    add('channel_vacated', 'c/gone');
    for (const place of ['a/', 'b/']) add('cache_miss', place);
    for (const receiver of dead) await receiver.until(1);
    // Ten are on their way, and these wait.
    for (const place of ['a/', 'b/']) add('cache_miss', place);
    add('cache_miss', 'c/');
    await alive.until(1);
    expect(namesIn(alive)).toHaveLength(10);
  });

  it('sends at its end what waits, and whom it has not told of yet, where nobody could do it later', async () => {
    const slow = held();
    const receiver = await receiverThat(slow.answer);
    const { events, sender } = send([app('a', [webhook(receiver.url)])], {
      batchMs: 60_000,
      maxBatchEvents: 1,
    });
    events.add('cache_miss', 'a/x');
    await receiver.until(1);
    events.add('cache_miss', 'a/y');
    events.add('channel_vacated', 'a/y');
    const stopped = sender.stop({ timeoutMs: 60_000, keepsEvents: false });
    events.add('channel_vacated', 'a/z');
    slow.goOn();
    await stopped;
    expect(namesIn(receiver)).toEqual([
      'cache_miss x',
      'cache_miss y',
      'channel_vacated y',
      'channel_vacated z',
    ]);
    expect(events.finished.toSorted()).toEqual(['1', '2', '3', '4']);
  });

  it('leaves departures and what comes later to the next one, where there can be one', async () => {
    const slow = held();
    const receiver = await receiverThat(slow.answer);
    const { events, sender } = send([app('a', [webhook(receiver.url)])]);
    events.add('channel_vacated', 'a/x');
    events.add('cache_miss', 'a/x');
    await receiver.until(1);
    const stopped = sender.stop({ timeoutMs: 60_000, keepsEvents: true });
    events.add('cache_miss', 'a/y');
    slow.goOn();
    await stopped;
    expect(namesIn(receiver)).toEqual(['cache_miss x']);
    expect(events.finished).toEqual(['2']);
  });

  it.each([
    [true, []],
    [false, [{ lost: 1, waitedMs: 50 }]],
  ])('ends in time when a webhook hangs (events are kept: %s)', async (keepsEvents, lines) => {
    const receiver = await receiverThat(hang);
    const { events, sender, warnings } = send([app('a', [webhook(receiver.url)])]);
    events.add('cache_miss', 'a/x');
    await receiver.until(1);
    await sender.stop({ timeoutMs: 50, keepsEvents });
    expect(events.finished).toEqual([]);
    expect(warnings).toEqual(lines);
  });
});
