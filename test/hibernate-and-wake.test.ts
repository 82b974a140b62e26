import { eventually, RawClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { ownMemoryOf } from './harness/processes.ts';
import { connectRaw, counter, info, startFarm, SWITCHING, upgradeRequest } from './harness/system.ts';

const CONNECTIONS = 4000;
const IN_FLIGHT = 100;
const QUIET_MS = 500;

// "one" and "two", masked with zeros.
const FIRST_FRAGMENT = '01 83 00000000 6f6e65';
const LAST_FRAGMENT = '80 83 00000000 74776f';
const ECHO = '81066f6e6574776f';

async function openMany(port: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  while (clients.length < CONNECTIONS) {
    const opening = Array.from({ length: IN_FLIGHT }, async () => {
      const client = await connectRaw(port);
      client.writeText(upgradeRequest('/echo'));
      expect(await client.readHead()).toContain(SWITCHING);
      return client;
    });
    clients.push(...(await Promise.all(opening)));
  }
  return clients;
}

describe('connections that have sent fragmented messages', () => {
  it('go back to sleep and give back their memory', async () => {
    const farm = await startFarm(['--quiet-ms', String(QUIET_MS)]);
    const memory = (): number => farm.workers.reduce((sum, { pid }) => sum + ownMemoryOf(pid), 0);
    // The API's first call on a worker loads what answers it, which stays.
    await Promise.all(Array.from({ length: 16 }, () => info(farm)));
    const clients = await openMany(farm.port);
    const idle = memory();

    for (const client of clients) client.write(FIRST_FRAGMENT);
    await eventually(async () => expect(await counter(farm, 'wakes')).toBe(CONNECTIONS));
    const awake = memory();
    // Less than a whole object each would be no test.
    expect(awake - idle).toBeGreaterThan(CONNECTIONS * 1000);

    for (const client of clients) client.write(LAST_FRAGMENT);
    for (const client of clients) expect((await client.read(8)).toString('hex')).toBe(ECHO);
    await eventually(async () => expect(await counter(farm, 'hibernations')).toBe(CONNECTIONS));

    // What the heap itself needs for having worked is more than nothing: bench/wake.mjs has the exact figures.
    await eventually(() => expect(memory()).toBeLessThan(idle + (awake - idle) / 3), { deadlineMs: 20_000 });
    // Two a worker after the wave, and the start's second one before it or instead of one of them.
    await eventually(
      async () => expect(await counter(farm, 'collections')).toBeGreaterThanOrEqual(2 * farm.workers.length),
      { deadlineMs: 20_000 },
    );
    for (const client of clients.slice(0, 100)) client.write('81 81 00000000 21');
    for (const client of clients.slice(0, 100)) expect((await client.read(3)).toString('hex')).toBe('810121');
    expect(await counter(farm, 'wakes')).toBe(CONNECTIONS);
    expect(await counter(farm, 'collections')).toBeLessThanOrEqual(3 * farm.workers.length);
  });
});
