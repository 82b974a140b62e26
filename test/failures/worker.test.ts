import { fileURLToPath } from 'node:url';
import { startServer, type FarmProcess, type TestClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf, type Drill } from '../harness/failures-guide.ts';
import { limitMemory } from '../harness/memory-group.ts';
import { API_KEY, connect, counter, endAfterTest, expectEcho, get } from '../harness/system.ts';

const APP = fileURLToPath(new URL('../apps/stuck.js', import.meta.url));
const MORE_BYTES = 96 * 1024 * 1024;

async function startFarm(...args: readonly string[]): Promise<FarmProcess> {
  const farm = await startServer([APP, '--workers', '2', '--api-key', API_KEY, '--drain-ms', '0', ...args]);
  endAfterTest(() => farm.stop());
  return farm;
}

/** A client of each worker, by the pid of that. */
async function clientsOf(farm: FarmProcess): Promise<Map<number, TestClient>> {
  const clients = new Map<number, TestClient>();
  for (let count = 0; count < 2; count++) {
    const client = await connect(farm, '/echo');
    clients.set(Number((await client.nextMessage()).text), client);
  }
  expect(new Set(clients.keys())).toEqual(new Set(farm.workers.map(({ pid }) => pid)));
  return clients;
}

/** Its clients get 1006 and are served by others, no other client notices, and there are two workers again. */
async function expectReplaced(
  farm: FarmProcess,
  { clients, pid, drill }: { clients: ReadonlyMap<number, TestClient>; pid: number; drill: Drill },
): Promise<void> {
  const died = await farm.log(({ msg, pid: of }) => msg === 'worker died' && of === pid);
  const from = performance.now();
  expect((await clients.get(pid)!.closed).code).toBe(1006);
  await expectEcho(await connect(farm, '/echo').then(afterGreeting), 'again');
  await farm.log(
    ({ msg, worker, pid: of }) => msg === 'worker ready' && worker === died['worker'] && of !== pid,
  );
  drill.tookMs('a new worker serves', from);
  for (const [other, client] of clients) if (other !== pid) await expectEcho(client, 'still here');
  await drill.expectQuoted(() => farm.logs);
}

async function afterGreeting(client: TestClient): Promise<TestClient> {
  await client.nextMessage();
  return client;
}

describe('a worker', () => {
  it('that the kernel kills for want of memory takes its own clients with it, and is replaced', async () => {
    const drill = drillOf('A worker is killed');
    const farm = await startFarm();
    const clients = await clientsOf(farm);
    // Whichever serves the next request.
    const groups = new Map(farm.workers.map(({ pid: each }) => [each, limitMemory(each, MORE_BYTES)]));
    const isLimited = ![...groups.values()].includes(undefined);
    const [{ pid: first } = { pid: 0 }] = farm.workers;
    const pid = isLimited ? Number((await get(farm, '/allocate')).body) : first;
    if (!isLimited) {
      process.stderr.write('No control group can be made here: SIGKILL stands for the OOM killer.\n');
      process.kill(pid, 'SIGKILL');
    }
    await expectReplaced(farm, { clients, pid, drill });
    if (isLimited) expect(groups.get(pid)?.()).toBe(1);
    expect(await counter(farm, 'worker_kills')).toBe(0);
  });

  it('that is stopped is killed after workerTimeoutMs, and replaced', async () => {
    const drill = drillOf('A worker is stopped');
    const farm = await startFarm('--worker-timeout-ms', '2000');
    const clients = await clientsOf(farm);
    const [{ pid } = { pid: 0 }] = farm.workers;
    const from = performance.now();
    process.kill(pid, 'SIGSTOP');
    await farm.log(({ msg, pid: of }) => msg === 'killing worker' && of === pid);
    drill.tookMs('it is killed (workerTimeoutMs is 2000)', from);
    await expectReplaced(farm, { clients, pid, drill });
    expect(await counter(farm, 'worker_kills')).toBe(1);
  });
});
