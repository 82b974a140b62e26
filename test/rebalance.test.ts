import { eventually } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { command, controlSocket, lives } from './harness/control.ts';
import { call, counter, startFarm } from './harness/system.ts';
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
