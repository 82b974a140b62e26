import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { eventually, startServer, type FarmProcess, type TestClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf } from './harness/failures-guide.ts';
import { API_KEY, connect, counter, endAfterTest, expectEcho, get, info } from './harness/system.ts';
import { cpusOf } from './harness/processes.ts';

const APP = fileURLToPath(new URL('./apps/stuck.js', import.meta.url));

async function startFarm(...args: readonly string[]): Promise<FarmProcess> {
  const usual = ['--workers', '2', '--api-key', API_KEY, '--drain-ms', '0'];
  const farm = await startServer([APP, ...usual, ...args]);
  endAfterTest(() => farm.stop());
  return farm;
}

/** Clients of both workers, by the pid of each. */
async function clientsOf(farm: FarmProcess): Promise<Map<number, TestClient>> {
  const clients = new Map<number, TestClient>();
  for (let count = 0; count < 2; count++) {
    const client = await connect(farm, '/echo');
    clients.set(Number((await client.nextMessage()).text), client);
  }
  expect(new Set(clients.keys())).toEqual(new Set(farm.workers.map(({ pid }) => pid)));
  return clients;
}

/** Has a worker do it, and answers its pid. */
async function begin(farm: FarmProcess, way: string): Promise<number> {
  const { status, body } = await get(farm, way);
  expect(status).toBe(200);
  return Number(body);
}

/** The client of the worker is gone, the other one has noticed nothing, and two workers serve. */
async function expectReplaced(
  farm: FarmProcess,
  clients: Map<number, TestClient>,
  pid: number,
): Promise<void> {
  const { worker } = farm.workers.find((one) => one.pid === pid) ?? { worker: -1 };
  await farm.log(
    (line) => line['msg'] === 'worker ready' && line['worker'] === worker && line['pid'] !== pid,
  );
  await clients.get(pid)?.closed;
  for (const [other, client] of clients) if (other !== pid) await expectEcho(client, 'still here');
  expect((await info(farm)).workers.map(({ state }) => state)).toEqual(['ready', 'ready']);
}

function killOf(farm: FarmProcess, pid: number) {
  return farm.log((line) => line['msg'] === 'killing worker' && line['pid'] === pid);
}

describe('a worker whose event loop is blocked', () => {
  // Time in which a busy machine has no CPU for a worker does not count.
  const TIMEOUT_MS = ['--worker-timeout-ms', '2000'];

  it.each([
    // V8 looks for interrupts where a function begins, and in loops: all samples may be in what the loop calls.
    ['/loop', /^(?:endlessLoop|half) /, 'at endlessLoop '],
    ['/regexp', /^RegExp\.test /, 'at badPattern '],
  ])('is killed after workerTimeoutMs, and the log says where it was: %s', async (way, stuckIn, frame) => {
    const farm = await startFarm(...TIMEOUT_MS);
    const clients = await clientsOf(farm);
    const pid = await begin(farm, way);
    const line = await killOf(farm, pid);
    expect(line).toMatchObject({ level: 'error', reason: 'it was silent', thread: 'running' });
    expect(line['stuckIn']).toMatch(stuckIn);
    const { stack } = line;
    expect(stack).toMatch(/^The event loop is here:\n {4}at .*\n/);
    expect(stack).toMatch(/at Timeout\._onTimeout \(.*\/test\/apps\/stuck\.js:\d+:\d+\)/);
    expect(stack).toContain(frame);
    expect(line['cpuMs']).toBeGreaterThan(0);
    await expectReplaced(farm, clients, pid);
    expect(await counter(farm, 'worker_kills')).toBe(1);
    if (way === '/regexp') await drillOf("A worker's event loop is blocked").expectQuoted(() => farm.logs);
  });

  it('in a system call says which function of the kernel it waits in', async () => {
    const farm = await startFarm(...TIMEOUT_MS);
    const clients = await clientsOf(farm);
    const pid = await begin(farm, '/system-call');
    const line = await killOf(farm, pid);
    expect(line).toMatchObject({ reason: 'it was silent', thread: 'sleeping' });
    expect(line['stack']).toBeUndefined();
    // Where the kernel does not tell, it is left out.
    expect(line['waitsIn'] ?? 'poll').toMatch(/poll|read|wait/);
    await expectReplaced(farm, clients, pid);
  });

  it('in native code is killed without a stack', async () => {
    const farm = await startFarm(...TIMEOUT_MS);
    const clients = await clientsOf(farm);
    const pid = await begin(farm, '/native');
    expect(await killOf(farm, pid)).toMatchObject({ reason: 'it was silent', thread: 'running' });
    await expectReplaced(farm, clients, pid);
  });

  it('is killed with its stack when it leaves a hand-off, too', async () => {
    const farm = await startFarm('--hand-off-timeout-ms', '1000', '--worker-timeout-ms', '0');
    await clientsOf(farm);
    const pid = await begin(farm, '/loop');
    // Half of them are given to the worker that is blocked, and then to the other one.
    const come = await Promise.all(Array.from({ length: 20 }, () => connect(farm, '/echo')));
    expect(await killOf(farm, pid)).toMatchObject({
      reason: 'it left a hand-off unacknowledged',
      stack: expect.stringContaining('at endlessLoop '),
    });
    for (const client of come) expect(Number((await client.nextMessage()).text)).not.toBe(pid);
  });

  it('is left alone when workerTimeoutMs is 0', async () => {
    const farm = await startFarm('--worker-timeout-ms', '0');
    const clients = await clientsOf(farm);
    const pid = await begin(farm, '/pause');
    for (const client of clients.values()) await expectEcho(client, 'still here');
    expect((await info(farm)).workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
    expect(clients.has(pid)).toBe(true);
  });
});

describe('a worker that others leave no CPU', () => {
  it('is left alone, with one line in the log, and answers when it has a CPU again', async () => {
    const farm = await startFarm('--worker-timeout-ms', '3000');
    const clients = await clientsOf(farm);
    // One for each CPU of a worker, at a priority that leaves it hardly one hundredth.
    const { body } = await get(farm, `/loops-on/${farm.workers.map(({ pid }) => cpusOf(pid)).join()}`);
    const loops: number[] = JSON.parse(body);
    for (const { pid } of farm.workers) setPriority(pid, 19);
    const pid = await begin(farm, '/work');
    const line = await farm.log(
      ({ msg }) => msg === 'worker gets too little of a CPU to answer; it is left alone',
    );
    expect(line).toMatchObject({ level: 'warn', thread: 'running' });
    for (const loop of loops) process.kill(loop, 'SIGKILL');
    for (const client of clients.values()) await expectEcho(client, 'still here');
    expect(clients.has(pid)).toBe(true);
    expect(await counter(farm, 'worker_starvations')).toBeGreaterThanOrEqual(1);
    expect(await counter(farm, 'worker_kills')).toBe(0);
    await drillOf('A worker gets no CPU').expectQuoted(() => farm.logs);
  });
});

describe('a farm that is stopped as a whole, as with its machine', () => {
  it('goes on with all of its workers, whichever process runs first again', async () => {
    const farm = await startFarm('--worker-timeout-ms', '3000');
    const clients = await clientsOf(farm);
    const workers = farm.workers.map(({ pid }) => pid);
    for (const pids of [
      [farm.pid, ...workers],
      [...workers, farm.pid],
    ]) {
      for (const pid of pids) process.kill(pid, 'SIGSTOP');
      // Processes that are stopped tell nothing: only time can pass.
      await new Promise((resolve) => setTimeout(resolve, 4500));
      for (const pid of pids) process.kill(pid, 'SIGCONT');
      for (const client of clients.values()) await expectEcho(client, 'still here');
      await eventually(async () => expect((await info(farm)).workers).toHaveLength(2));
    }
    expect(await counter(farm, 'worker_kills')).toBe(0);
  });
});

describe('a worker whose JavaScript heap is full', () => {
  it('is ended by V8 at workerHeapMb, which the log says, and only its own connections go with it', async () => {
    const farm = await startFarm('--worker-heap-mb', '64');
    const clients = await clientsOf(farm);
    const pid = await begin(farm, '/leak');
    await farm.log(
      (line) =>
        line['msg'] === 'worker has used up its JavaScript heap; V8 ends it' &&
        line['pid'] === pid &&
        line['workerHeapMb'] === 64,
    );
    await farm.log(
      (line) => line['msg'] === 'worker died' && line['pid'] === pid && line['signal'] === 'SIGABRT',
    );
    await expectReplaced(farm, clients, pid);
    expect(await counter(farm, 'worker_heap_exhaustions')).toBe(1);
    expect(await counter(farm, 'worker_kills')).toBe(0);
    await drillOf("A worker's JavaScript heap is full").expectQuoted(() => farm.logs);
  });
});
