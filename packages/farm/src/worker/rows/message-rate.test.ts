import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import { MessageRate } from './message-rate.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  serverText,
  textFrame,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

/** How many of so many are taken. */
function taken(rate: MessageRate, slot: number, count: number): number {
  let sum = 0;
  for (let index = 0; index < count; index++) if (rate.take(slot)) sum++;
  return sum;
}

describe('the bucket of a row', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] });
    vi.advanceTimersByTime(1000);
  });
  afterEach(() => void vi.useRealTimers());

  it('gives a burst at once, then its rate', () => {
    const rate = new MessageRate(4, 10, 5);
    expect(taken(rate, 1, 100)).toBe(5);
    vi.advanceTimersByTime(99);
    expect(taken(rate, 1, 100)).toBe(0);
    vi.advanceTimersByTime(1);
    expect(taken(rate, 1, 100)).toBe(1);
    vi.advanceTimersByTime(350);
    expect(taken(rate, 1, 100)).toBe(3);
  });

  it('holds no more than a burst, however long it was quiet', () => {
    const rate = new MessageRate(4, 10, 5);
    vi.advanceTimersByTime(3_600_000);
    expect(taken(rate, 1, 100)).toBe(5);
  });

  it('is one for each row, and full for its next owner', () => {
    const rate = new MessageRate(4, 1000, 2);
    expect(taken(rate, 0, 9)).toBe(2);
    expect(taken(rate, 3, 9)).toBe(2);
    rate.release(0);
    expect(taken(rate, 0, 9)).toBe(2);
    expect(taken(rate, 3, 9)).toBe(0);
  });

  it('may be of one message', () => {
    const rate = new MessageRate(1, 2, 1);
    expect(taken(rate, 0, 9)).toBe(1);
    vi.advanceTimersByTime(500);
    expect(taken(rate, 0, 9)).toBe(1);
  });
});

describe('messageRate', () => {
  const closes: unknown[] = [];
  const ECHO: App = {
    upgrade: () => accept(),
    message: (connection, data, isBinary) => void connection.send(data, isBinary),
    close: (_connection, code) => void closes.push(code),
  };
  const CLOSE_4002 = `881f0fa2${Buffer.from('more than 1 messages a second').toString('hex')}`;
  /** So slow that nothing is filled while a test runs. */
  const LIMIT = { messageRate: 1, messageBurst: 3 };

  let harness: WorkerHarness;
  afterEach(async () => {
    await harness.stop();
    closes.length = 0;
  });

  async function start(options: HarnessOptions): Promise<void> {
    harness = await WorkerHarness.start(ECHO, options);
  }

  it.each([
    ['messages', textFrame('x'), serverText('x')],
    ['pings', clientFrame(0x89, 'x'), '8a0178'],
    ['pongs', clientFrame(0x8a, 'x'), ''],
    ['fragmented messages', Buffer.concat([clientFrame(0x01, 'x'), clientFrame(0x80, '')]), serverText('x')],
    [
      'pings within a message',
      Buffer.concat([clientFrame(0x01, ''), clientFrame(0x89, 'x'), clientFrame(0x80, '')]),
      `8a0178${serverText('')}`,
    ],
  ])('closes with 4002 who sends more %s, after those that are allowed', async (what, frames, answer) => {
    await start(LIMIT);
    const client = await harness.open();
    // The last takes two tokens a round, of which the second round has but one.
    const rounds = what.includes('within') ? 1 : 3;
    client.write(
      Buffer.concat([frames, frames, frames, frames, clientFrame(0x88, Buffer.from([0x0f, 0xa2]))]),
    );
    const expected = answer.repeat(rounds) + (rounds === 1 ? '8a0178' : '');
    expect((await client.read(expected.length / 2)).toString('hex')).toBe(expected);
    expect((await client.read(CLOSE_4002.length / 2)).toString('hex')).toBe(CLOSE_4002);
    await client.closed;
    await poll(() => closes).toHaveLength(1);
    expect(await harness.count('closed_message_rate')).toBe(1);
  });

  it('hurts nobody else, and not who sends slowly', async () => {
    await start({ messageRate: 10, messageBurst: 1 });
    const [fast, slow] = [await harness.open(), await harness.open()];
    fast.write(Buffer.concat([textFrame('a'), textFrame('b')]));
    expect((await fast.read(7)).toString('hex')).toBe(`${serverText('a')}88200fa2`);
    for (let round = 0; round < 5; round++) {
      slow.write(textFrame('c'));
      expect((await slow.read(3)).toString('hex')).toBe(serverText('c'));
      // Counted from the answer: the worker had taken the token by then.
      const from = performance.now();
      await poll(() => performance.now() - from > 101).toBe(true);
    }
    await Promise.all([fast.close(), slow.close()]);
    expect(await harness.count('closed_message_rate')).toBe(1);
  });

  it('gives the next owner of a row a full bucket', async () => {
    await start({ ...LIMIT, capacity: 1, reservedConnections: 1 });
    for (let round = 1; round <= 3; round++) {
      const client = await harness.open();
      client.write(Buffer.concat([textFrame('a'), textFrame('b'), textFrame('c')]));
      await client.read(9);
      await client.close();
      await poll(() => harness.released).toBe(round);
    }
    expect(await harness.count('closed_message_rate')).toBe(0);
  });

  it('allows a burst of one second when no burst is set', async () => {
    await start({ messageRate: 100 });
    const client = await harness.open();
    client.write(Buffer.concat(Array.from({ length: 100 }, () => textFrame('x'))));
    expect((await client.read(300)).toString('hex')).toBe(serverText('x').repeat(100));
    await client.close();
  });

  it('does not hold without a limit', async () => {
    await start({});
    const client = await harness.open();
    client.write(Buffer.concat(Array.from({ length: 5000 }, () => textFrame('x'))));
    await client.read(15_000);
    await client.close();
    expect(await harness.count('closed_message_rate')).toBe(0);
  });
});
