import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { eventually, patient, type FarmProcess } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { connectMany, counter, endAfterTest, expectEcho, info, startFarm } from './harness/system.ts';

/** The living must have the time to answer. */
const TIMEOUT_MS = patient(1000);
/** The shortest that there are: both times, and a second for the rounds that look. */
const FAST = ['--heartbeat-ms', '1000', '--heartbeat-timeout-ms', String(TIMEOUT_MS)];
const LIVE = 300;
const DEAD = 30;
const PYTHON = '/usr/bin/python3';
const DEAF_CLIENTS = fileURLToPath(new URL('./clients/deaf_clients.py', import.meta.url));

const lacksPython = !existsSync(PYTHON);
if (lacksPython) process.stderr.write(`Peers that vanish are not tried: there is no ${PYTHON}.\n`);

/** Opens clients, and answers a function that cuts them off, as if their machine were gone. */
async function openDeaf(farm: FarmProcess, count: number): Promise<() => Promise<void>> {
  const child = spawn(PYTHON, [DEAF_CLIENTS, String(farm.port), '/echo', String(count)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  endAfterTest(async () => {
    child.stdin.end();
    if (child.exitCode === null) await once(child, 'exit');
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('open');
  return async () => {
    child.stdin.write('\n');
    expect((await lines.next()).value).toBe('deaf');
  };
}

/** Rounds of pings that all live clients have answered. */
async function roundsOfPings(farm: FarmProcess, rounds: number): Promise<void> {
  const from = await counter(farm, 'pings_sent');
  await eventually(async () => (await counter(farm, 'pings_sent')) >= from + rounds * LIVE, {
    what: `${rounds} rounds of pings`,
  });
}

describe('heartbeats', () => {
  it.skipIf(lacksPython)('end the dead within both times, and none of the living', async () => {
    // The kernel is to leave the dead to us.
    const farm = await startFarm([...FAST, '--tcp-user-timeout-ms', '0']);
    const living = await connectMany(farm, '/echo', LIVE);
    const cutOff = await openDeaf(farm, DEAD);
    await cutOff();
    // 2 s and two rounds of 0.125 s; the rest is for machines that are busy.
    await eventually(async () => expect(await counter(farm, 'closed_heartbeat')).toBe(DEAD));
    await roundsOfPings(farm, 3);
    expect(await counter(farm, 'closed')).toBe(DEAD);
    for (const client of living) await expectEcho(client, 'still here');
  });

  it.skipIf(lacksPython)(
    'are helped by the kernel: a ping that nobody acknowledges ends its connection after tcpUserTimeoutMs',
    async () => {
      const farm = await startFarm([
        '--heartbeat-ms=1000',
        '--heartbeat-timeout-ms=600000',
        '--tcp-user-timeout-ms=1000',
      ]);
      const living = await connectMany(farm, '/echo', 10);
      await (
        await openDeaf(farm, DEAD)
      )();
      await eventually(async () => expect(await counter(farm, 'closed_abnormally')).toBe(DEAD), {
        deadlineMs: 20_000,
      });
      expect(await counter(farm, 'closed_heartbeat')).toBe(0);
      for (const client of living) await expectEcho(client, 'still here');
    },
  );

  it('spare the living when the whole farm was stopped for longer than both times', async () => {
    const farm = await startFarm(FAST);
    const living = await connectMany(farm, '/echo', LIVE);
    await roundsOfPings(farm, 1);
    const pids = [farm.pid, ...farm.workers.map(({ pid }) => pid)];
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    // Processes that are stopped tell nothing: only time can pass, for longer than both times and a round.
    await new Promise((resolve) => setTimeout(resolve, 1000 + TIMEOUT_MS + 1500));
    for (const pid of pids) process.kill(pid, 'SIGCONT');
    await eventually(async () => expect(await counter(farm, 'stalls')).toBeGreaterThanOrEqual(2));
    await roundsOfPings(farm, 3);
    expect(await counter(farm, 'closed')).toBe(0);
    for (const client of living) await expectEcho(client, 'still here');
    expect((await info(farm)).workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
  });
});
