/**
 * What heartbeats cost, and whom they end: idle connections that answer pings at two paces, then some whose peers vanish.
 * Prints a table and ends with 1 if a promise was not kept. Needs /usr/bin/python3 for the peers that vanish. See README.md.
 */
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { API_KEY, readInfo } from './lib/api.mjs';
import { ChildProgram, killProgramsAtExit } from './lib/child-program.mjs';
import { startLoad } from './lib/load.mjs';
import { introduceMachine } from './lib/machine.mjs';
import { cpuMs } from './lib/processes.mjs';
import { startServer } from './lib/servers.mjs';
import { formatVerdicts } from './lib/verdicts.mjs';

/**
 * @import { Load } from './lib/load.mjs'
 * @import { Server } from './lib/servers.mjs'
 * @import { Verdict } from './lib/verdicts.mjs'
 *
 * @typedef {{ name: string, connections: number, heartbeatMs: number }} FarmPlan
 *
 * @typedef {FarmPlan & { server: Server, load: Load | undefined }} OpenFarm
 */

/** One worker each, all at the same time: CPU time does not mind, and a minute is enough for all. */
const FARMS = [
  { name: 'no connections', connections: 0, heartbeatMs: 60_000 },
  { name: '10,000 connections', connections: 10_000, heartbeatMs: 60_000 },
  { name: '10,000 connections', connections: 10_000, heartbeatMs: 10_000 },
  { name: '15,000 connections', connections: 15_000, heartbeatMs: 60_000 },
];
/** Every connection is pinged once by the slower heartbeat. */
const SECONDS = 60;
const HEARTBEAT_TIMEOUT_MS = 5000;
const DEAD = 1000;
/** Two rounds and two ticks, see docs/reference/config.md; the rest is for the clock of this program. */
const LATE_MS = 2200 + 300;
const DEAF_CLIENTS = fileURLToPath(new URL('../test/clients/deaf_clients.py', import.meta.url));

killProgramsAtExit();
await introduceMachine(36_000);

/** @type {OpenFarm[]} */
const farms = [];
/** @type {Verdict[]} */
const verdicts = [];
try {
  for (const farm of FARMS) farms.push(await open(farm));
  const before = await Promise.all(farms.map(read));
  await delay(SECONDS * 1000);
  const after = await Promise.all(farms.map(read));
  farms.forEach(({ name, heartbeatMs }, index) => {
    const what = `CPU of a worker with ${name}, heartbeatMs ${heartbeatMs}`;
    const value = (after[index].cpu - before[index].cpu) / SECONDS;
    const pings = (after[index].pings - before[index].pings) / SECONDS;
    verdicts.push({ what: `${what} (${pings.toFixed(0)} pings/s)`, unit: 'ms/s', value, digits: 2 });
  });
  verdicts.push(...(await cutOff(farms[2])));
  for (const { load, connections } of farms) await load?.assertAllOpen(connections);
} finally {
  for (const { load, server } of farms) {
    await load?.stop();
    await server.stop();
  }
}
console.log(`\nLoad average now ${loadavg()[0].toFixed(2)}.\n`);
console.log(formatVerdicts(verdicts));
if (verdicts.some(({ target, passes }) => target !== undefined && !passes)) process.exitCode = 1;

/**
 * @param {FarmPlan} plan
 * @returns {Promise<OpenFarm>}
 */
async function open({ name, connections, heartbeatMs }) {
  const server = await startServer('Roost', {
    app: 'echo',
    workers: 1,
    connections: connections + DEAD,
    args: [
      `--api-key=${API_KEY}`,
      `--heartbeat-ms=${heartbeatMs}`,
      `--heartbeat-timeout-ms=${HEARTBEAT_TIMEOUT_MS}`,
      // The kernel is to leave the dead to us.
      '--tcp-user-timeout-ms=0',
    ],
  });
  const load = connections === 0 ? undefined : await startLoad(server.url, { connections });
  await load?.open(connections);
  return { name, connections, heartbeatMs, server, load };
}

/** @param {OpenFarm} farm */
async function read({ server }) {
  const { counters } = await readInfo(server);
  return {
    cpu: cpuMs(server.workerPids),
    pings: counters.pings_sent,
    ended: counters.closed_heartbeat,
    counters,
  };
}

/**
 * Clients whose kernel does not even acknowledge any more, beside those that live.
 * @param {OpenFarm} farm
 * @returns {Promise<Verdict[]>}
 */
async function cutOff(farm) {
  const { server, heartbeatMs, connections, load } = farm;
  const port = new URL(server.url).port;
  const program = new ChildProgram('deaf clients', [DEAF_CLIENTS, port, '/', String(DEAD)], {
    command: '/usr/bin/python3',
  });
  try {
    await program.nextText();
    program.write('');
    await program.nextText();
    const from = performance.now();
    const bound = heartbeatMs + HEARTBEAT_TIMEOUT_MS + LATE_MS;
    let ended = 0;
    while (ended < DEAD && performance.now() - from < bound + 10_000) {
      await delay(50);
      ({ ended } = await read(farm));
    }
    const seconds = (performance.now() - from) / 1000;
    const { counters } = await read(farm);
    await load?.assertAllOpen(connections);
    return [
      {
        what: `until all of ${DEAD} dead are ended (heartbeatMs + heartbeatTimeoutMs are ${(heartbeatMs + HEARTBEAT_TIMEOUT_MS) / 1000} s)`,
        unit: 's',
        value: seconds,
        digits: 2,
        target: `≤ ${bound / 1000} s`,
        passes: ended === DEAD && seconds * 1000 <= bound,
      },
      {
        what: `of ${connections} living ended meanwhile`,
        unit: '',
        value: counters.closed - DEAD,
        digits: 0,
        target: '≤ 0',
        passes: counters.closed === DEAD,
      },
    ];
  } finally {
    await program.stop();
  }
}
