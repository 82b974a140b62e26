import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import { WorkerHarness } from '../fixtures/worker-harness.ts';

const APP: App = {
  upgrade: ({ path }) => accept({ channels: [path.slice(1)] }),
};

let harness: WorkerHarness;
beforeEach(async () => {
  harness = await WorkerHarness.start(APP, { capacity: 400 });
});
afterEach(() => harness.stop());

describe('the control message disconnect', () => {
  it('closes every subscriber of the channel, and nobody else', async () => {
    const news = await Promise.all([harness.client('/news'), harness.client('/news')]);
    const other = await harness.client('/other');
    harness.control({ type: 'disconnect', channel: 'news', code: 4500, reason: 'go away' });
    for (const client of news) expect(await client.closed).toEqual({ code: 4500, reason: 'go away' });
    await other.roundTrip();
    expect(await harness.count('control_messages')).toBe(1);
    await other.close();
  });

  it('closes with 4500 unless it says otherwise', async () => {
    const client = await harness.client('/news');
    harness.control({ type: 'disconnect', channel: 'news' });
    expect(await client.closed).toEqual({ code: 4500, reason: '' });
  });

  it('of a channel without subscribers does nothing', async () => {
    harness.control({ type: 'disconnect', channel: 'nobody' });
    await harness.counts('control_messages', 1);
    expect(await harness.count('control_malformed')).toBe(0);
  });

  it('closes hundreds', async () => {
    const clients = await Promise.all(Array.from({ length: 300 }, () => harness.open('/news')));
    harness.control({ type: 'disconnect', channel: 'news', code: 4500 });
    for (const client of clients) expect((await client.read(4)).toString('hex')).toBe('88021194');
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe('a malformed control message', () => {
  it.each([
    'not JSON',
    'null',
    '[]',
    '7',
    { type: 'reboot' },
    { type: 'disconnect' },
    { type: 'disconnect', channel: 7 },
    { type: 'disconnect', channel: '' },
    { type: 'disconnect', channel: 'x'.repeat(256) },
    { type: 'disconnect', channel: 'news', code: 1006 },
    { type: 'disconnect', channel: 'news', code: '4500' },
    { type: 'disconnect', channel: 'news', reason: 'x'.repeat(124) },
    { type: 'disconnect', channel: 'news', reason: 7 },
  ])('is counted, logged and ignored: %j', async (message) => {
    const client = await harness.client('/news');
    harness.control(message);
    await harness.counts('control_malformed', 1);
    expect(harness.logs.map((line) => line.message)).toContain('control message ignored');
    expect(await harness.count('control_messages')).toBe(0);
    await client.roundTrip();
    await client.close();
  });
});
