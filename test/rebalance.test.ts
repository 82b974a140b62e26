import { allowedCpus } from '@roost/farm/checks';
import { eventually } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { command, controlSocket, lives } from './harness/control.ts';
import { cpusOf } from './harness/processes.ts';
import { call, connectMany, counter, info, startFarm } from './harness/system.ts';
import { Traffic } from './harness/traffic.ts';

async function busyFarm(args: readonly string[] = []) {
  const socket = controlSocket();
  const farm = await startFarm(['--control-socket', socket, '--probation-ms', '0', ...args]);
  const publish = (channel: string, data: string): Promise<unknown> =>
    call(farm, 'publish', { channel, data });
  const traffic = await Traffic.start(farm, { publish });
  await traffic.goesOn();
  return { socket, farm, traffic };
}

/** Sockets of each worker, those of publishers over HTTP included. */
async function counts(socket: string): Promise<number[]> {
  return (await lives(socket)).map(({ connections }) => connections);
}

async function expectUnnoticed({ farm, traffic }: Awaited<ReturnType<typeof busyFarm>>): Promise<void> {
  await traffic.goesOn();
  expect(await traffic.end()).toEqual([]);
  expect(traffic.clients.filter(({ isClosed }) => isClosed)).toEqual([]);
  expect(await counter(farm, 'closed')).toBe(0);
}

describe('another number of workers', () => {
  it('shares the connections anew, and no client notices', async () => {
    const busy = await busyFarm();
    const { socket, traffic } = busy;
    for (const workers of [4, 1, 2]) {
      expect(await command(socket, { command: 'workers', workers })).toMatchObject({ done: { closed: 0 } });
      const now = await counts(socket);
      expect(now).toHaveLength(workers);
      // A publisher over HTTP may have come or gone since.
      expect(Math.max(...now) - Math.min(...now)).toBeLessThanOrEqual(3);
      await traffic.goesOn();
    }
    await expectUnnoticed(busy);
  });
});

describe('workers that are added', () => {
  const PUBLICATIONS = ['1', '2', '3'];

  it('have the CPUs in turn, as from the start, and those that go give theirs back', async () => {
    const socket = controlSocket();
    const farm = await startFarm(['--control-socket', socket]);
    const cpus = allowedCpus();
    for (const workers of [5, 2, 3, 1, 4]) {
      expect(await command(socket, { command: 'workers', workers })).toMatchObject({ done: { closed: 0 } });
      const expected = Array.from({ length: workers }, (_, index) => cpus[index % cpus.length]);
      const now = (await info(farm)).workers;
      expect(now.map(({ cpu }) => cpu)).toEqual(expected);
      expect(now.map(({ pid }) => cpusOf(pid))).toEqual(now.map(({ cpu }) => String(cpu)));
      expect(await lives(socket)).toHaveLength(workers);
    }
  });

  it('share their CPU with those that were there, who take turns from then on, until they have gone', async () => {
    const socket = controlSocket();
    const farm = await startFarm(['--control-socket', socket, '--workers', '1'], { onOneCpu: true });
    // A channel is large with a thousand on one worker.
    const clients = await connectMany(farm, '/news?channel=all', 2200);
    const turnsOfFirst = async (): Promise<number> => {
      for (const data of PUBLICATIONS) await call(farm, 'publish', { channel: 'all', data });
      for (const client of clients) {
        for (const text of PUBLICATIONS) expect((await client.nextMessage()).text).toBe(text);
      }
      return (await lives(socket))[0]?.counters['broadcast_turns'] ?? Number.NaN;
    };
    expect(await turnsOfFirst()).toBe(0);
    expect(await command(socket, { command: 'workers', workers: 2 })).toMatchObject({ done: { closed: 0 } });
    // What is shown is what the worker has reported last.
    await turnsOfFirst();
    await eventually(async () => expect(await turnsOfFirst()).toBeGreaterThan(0));
    expect(await command(socket, { command: 'workers', workers: 1 })).toMatchObject({ done: { closed: 0 } });
    await turnsOfFirst();
    const before = await counter(farm, 'broadcast_turns');
    await turnsOfFirst();
    expect(await counter(farm, 'broadcast_turns')).toBe(before);
  });
});

describe('a canary', () => {
  it('gets its share of the connections, and its rollback brings them back', async () => {
    const busy = await busyFarm();
    const { socket, traffic } = busy;
    const before = (await lives(socket)).map(({ pid }) => pid);
    expect(await command(socket, { command: 'canary', share: 0.25 })).toMatchObject({ done: { closed: 0 } });
    const canary = (await lives(socket)).find(({ role }) => role === 'canary');
    expect(canary?.connections).toBeGreaterThanOrEqual(20);
    expect(canary?.connections).toBeLessThanOrEqual(24);
    await traffic.goesOn();
    expect(await command(socket, { command: 'reload' })).toMatchObject({ refused: expect.any(String) });
    expect(await command(socket, { command: 'rollback' })).toMatchObject({ done: { closed: 0 } });
    await eventually(async () => expect((await lives(socket)).map(({ pid }) => pid)).toEqual(before));
    await expectUnnoticed(busy);
  });

  it('goes on as a reload of all workers', async () => {
    const busy = await busyFarm();
    const { socket } = busy;
    const before = (await lives(socket)).map(({ pid }) => pid);
    expect(await command(socket, { command: 'canary', share: 0.1 })).toMatchObject({ done: { closed: 0 } });
    expect(await command(socket, { command: 'continue' })).toMatchObject({ done: { closed: 0 } });
    const after = (await lives(socket)).map(({ pid }) => pid);
    expect(after).toHaveLength(2);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    await expectUnnoticed(busy);
  });
});

describe('a rebalance', () => {
  it('of even workers moves nobody', async () => {
    const busy = await busyFarm();
    const { socket } = busy;
    expect(await command(socket, { command: 'rebalance' })).toMatchObject({ done: { moved: 0, closed: 0 } });
    await expectUnnoticed(busy);
  });
});
