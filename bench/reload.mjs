/**
 * Reloads of a farm full of clients that notice everything: who is closed, what is lost, comes twice or out of order, and how long
 * nobody serves them; also when something goes wrong in the middle of a move. See README.md.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { API_KEY, readInfo } from './lib/api.mjs';
import { parseCount, parseNames } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { control, readStatus } from './lib/control.mjs';
import { startReloadClients } from './lib/reload-clients.mjs';
import { introduceMachine, waitForConntrack } from './lib/machine.mjs';
import { isRunning, memoryOf, processTree, waitUntilSettled } from './lib/processes.mjs';
import { startRedis } from './lib/redis.mjs';
import { startServer } from './lib/servers.mjs';
import { summarise } from './lib/statistics.mjs';
import { atMost, formatVerdicts } from './lib/verdicts.mjs';

/**
 * @import { Tally } from './lib/reload-clients.mjs'
 * @import { Verdict } from './lib/verdicts.mjs'
 *
 * @typedef {object} Trouble What happens in the middle of a reload.
 * @property {string} title
 * @property {(moving: Moving) => Promise<number>} cause Answers how many connections it may cost.
 * @property {boolean} [loses] Redis itself does not have what was published meanwhile.
 * @property {boolean} [fails] Who comes or asks just then fails.
 *
 * @typedef {object} Moving
 * @property {number} source Process ids.
 * @property {number} target
 */

/**
 * @template Result
 * @typedef {object} Measured
 * @property {number} cpu CPU time of the farm in seconds, of processes that it ended, too.
 * @property {number} seconds
 * @property {Result} result
 */

const WORKERS = 2;
const TICKS_PER_SECOND = 100;
const BATCH_ROWS = 252;
const STOP_MS = 2000;
const LOOK_MS = 10;
const TRAFFIC_MS = 3000;
const BETWEEN_MS = 1000;
const IDLE_RELOADS = 5;
const ASLEEP_MS = 10_000;
const DOOMED_ROOM = 0;
const DISCONNECTED = 4500;
const SUITES = ['idle', 'reloads', 'target-killed', 'source-stopped', 'redis-killed', 'disconnect'];

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '10000' },
    reloads: { type: 'string', default: '10' },
    only: { type: 'string', default: SUITES.join(',') },
  },
});
const connections = parseCount('connections', values.connections, { min: 2000, max: 32_000 });
const reloads = parseCount('reloads', values.reloads, { max: 100 });
const only = parseNames('only', values.only, SUITES);

killProgramsAtExit();
await introduceMachine(connections);
await waitForConntrack(connections * 2);
const folder = mkdtempSync(join(tmpdir(), 'roost-reload-'));
const socket = join(folder, 'control.sock');
const redis = await startRedis();
const server = await startServer('Roost', {
  app: 'reload',
  workers: WORKERS,
  // Either could hold them all: one may be filled while the other is replaced.
  connections: connections * WORKERS,
  redisUrl: redis.url,
  args: [
    `--api-key=${API_KEY}`,
    `--control-socket=${socket}`,
    '--verify-moves=1',
    '--max-connections-per-address=0',
    '--pusher-app-id=bench',
    '--pusher-app-key=bench-key',
    '--pusher-app-secret=bench-secret',
  ],
});
/** @type {Verdict[]} */
const verdicts = [];
const clients = await startReloadClients(Number(new URL(server.url).port), redis.url, connections);
try {
  const before = descriptors();
  await reload();
  if (only.includes('idle')) await idle();
  else await clients.open();
  await clients.start();
  await delay(TRAFFIC_MS);
  if (only.includes('reloads')) await inTraffic();
  for (const [name, trouble] of Object.entries(troubles())) if (only.includes(name)) await inTrouble(trouble);
  await clients.stop();
  await waitUntilSettled(processTree(server.masterPid));
  const { counters } = await readInfo(server);
  verdicts.push(
    atMost(figure('streams whose position was not as it was', '', counters.move_position_mismatch), 0),
  );
  verdicts.push(figure('descriptors of the farm, before the clients', '', before));
  await clients.close();
  await waitUntilSettled(processTree(server.masterPid));
  verdicts.push(atMost(figure('and after them', '', descriptors()), before + 4));
} finally {
  await clients.close();
  await server.stop();
  await redis.stop();
  rmSync(folder, { recursive: true });
}
for (const [name, { count, first }] of server.complaints) console.log(`${count} × ${name}: ${first}`);
console.log(`\nLoad average now ${loadavg()[0].toFixed(2)}.\n`);
console.log(formatVerdicts(verdicts));
if (verdicts.some(({ passes }) => passes === false)) process.exitCode = 1;

/**
 * @param {string} what
 * @param {string} unit
 * @param {number | undefined} value
 * @returns {Verdict}
 */
function figure(what, unit, value, digits = 0) {
  return { what, unit, value, digits };
}

/**
 * With clients that only sleep: what a row costs, and how long nobody serves it. All of a reload is counted, and told apart by what
 * the farm uses for a reload without a connection, and for clients that sleep as long without a reload: the rest is moving.
 */
async function idle() {
  const empty = [];
  for (let index = 0; index < IDLE_RELOADS; index++) {
    await delay(BETWEEN_MS);
    empty.push((await measured(reload)).cpu);
  }
  await clients.open();
  await waitUntilSettled(processTree(server.masterPid));
  const memoryBefore = memoryOf(processTree(server.masterPid));
  const asleep = await measured(() => delay(ASLEEP_MS));
  /** @type {Measured<Awaited<ReturnType<typeof reload>>>[]} */
  const full = [];
  for (let index = 0; index < IDLE_RELOADS; index++) {
    await delay(BETWEEN_MS);
    full.push(await measured(reload));
  }
  const behind = await measured(() => waitUntilSettled(processTree(server.masterPid)));
  const memoryAfter = memoryOf(processTree(server.masterPid));
  const startAndEnd = summarise(empty)?.median ?? Number.NaN;
  /** @param {number} seconds */
  const sleeping = (seconds) => (asleep.cpu / asleep.seconds) * seconds;
  /** @param {string} what @param {(one: typeof full[number]) => number} cpu In seconds. @returns {Verdict} */
  const perRow = (what, cpu) => ({
    ...figure(`idle: CPU per connection, all processes${what}`, 'µs', undefined, 1),
    summary: summarise(full.map((one) => (cpu(one) * 1e6) / one.result.moved)),
  });
  verdicts.push(
    atMost(figure('idle: connections closed', '', (await clients.tally()).ended), 0),
    figure('idle: connections moved by each reload', '', full[0].result.moved),
    atMost(figure('idle: pause, worst p99', 'ms', Math.max(...full.map((one) => one.result.pauseP99Ms))), 50),
    atMost(figure('idle: pause, longest', 'ms', Math.max(...full.map((one) => one.result.pauseMaxMs))), 1000),
    {
      ...figure('idle: a reload takes', 's', undefined, 1),
      summary: summarise(full.map((one) => one.result.seconds)),
    },
    perRow(', all of a reload', (one) => one.cpu),
    perRow(': workers that start and end, as without connections', () => startAndEnd),
    perRow(': what sleeping clients cost in that time anyway', (one) => sleeping(one.seconds)),
    atMost(
      perRow(': moving, which is the rest', (one) => one.cpu - startAndEnd - sleeping(one.seconds)),
      50,
    ),
    perRow(': behind the last, until all is quiet again', () => behind.cpu - sleeping(behind.seconds)),
    figure('memory of the farm before', 'MB', memoryBefore.own / 1e6, 1),
    atMost(figure('and after', 'MB', memoryAfter.own / 1e6, 1), (memoryBefore.own / 1e6) * 1.1),
  );
}

/** One after the other, with everything that clients do. */
async function inTraffic() {
  await clients.reset();
  const pauses = [];
  for (let index = 0; index < reloads; index++) {
    const { pauseP99Ms, pauseMaxMs, moved, seconds } = await reload();
    pauses.push({ pauseP99Ms, pauseMaxMs, moved, seconds });
    console.log(
      `reload ${index + 1}: ${moved} moved in ${seconds} s, pause p99 ${pauseP99Ms} ms, at most ${pauseMaxMs} ms`,
    );
    await delay(BETWEEN_MS);
  }
  const tally = await clients.settle();
  const title = `${reloads} reloads in traffic`;
  show(title, tally);
  verdicts.push(
    atMost(figure(`${title}: pause, worst p99`, 'ms', Math.max(...pauses.map((one) => one.pauseP99Ms))), 250),
    atMost(figure(`${title}: pause, longest`, 'ms', Math.max(...pauses.map((one) => one.pauseMaxMs))), 1000),
  );
}

/** @returns {Record<string, Trouble>} */
function troubles() {
  return {
    'target-killed': {
      title: 'kill -9 of the target',
      fails: true,
      async cause({ target }) {
        const { lives } = await readStatus(socket);
        process.kill(target, 'SIGKILL');
        // What it had, and a batch that was on its way meanwhile.
        return (lives.find(({ pid }) => pid === target)?.connections ?? 0) + 4 * BATCH_ROWS;
      },
    },
    'source-stopped': {
      title: `SIGSTOP of the source for ${STOP_MS / 1000} s`,
      async cause({ source }) {
        process.kill(source, 'SIGSTOP');
        await delay(STOP_MS);
        process.kill(source, 'SIGCONT');
        return 0;
      },
    },
    'redis-killed': {
      title: 'Redis killed and started again',
      loses: true,
      fails: true,
      async cause() {
        await redis.replace();
        return 0;
      },
    },
    disconnect: {
      title: 'a channel disconnected by a control message',
      async cause() {
        const count = await clients.membersOf(DOOMED_ROOM);
        const message = JSON.stringify({
          type: 'disconnect',
          channel: `room-${DOOMED_ROOM}`,
          code: DISCONNECTED,
        });
        await clients.say('roost:control', message);
        return count;
      },
    },
  };
}

/** @param {Trouble} trouble */
async function inTrouble({ title, cause, loses = false, fails = false }) {
  await clients.reset();
  const known = new Set((await readStatus(socket)).lives.map(({ pid }) => pid));
  const reloading = control(socket, ['reload']);
  const mayClose = await cause(await middle(known));
  const { exitCode, report, reason } = await reloading;
  const outcome = reason === undefined ? 'done' : `stopped: ${reason}`;
  console.log(
    `${title}: exit code ${exitCode}, ${outcome}; ${report?.moved} moved, pause at most ${report?.pauseMaxMs} ms`,
  );
  await untilReady();
  const tally = await clients.settle();
  show(title, tally, { mayClose, loses, fails });
  if (title.startsWith('a channel')) {
    verdicts.push({
      ...figure(
        `${title}: of ${mayClose} members closed with ${DISCONNECTED}`,
        '',
        tally.closes[DISCONNECTED] ?? 0,
      ),
      target: `= ${mayClose}`,
      passes: tally.closes[DISCONNECTED] === mayClose,
    });
  }
}

/**
 * @param {string} title
 * @param {Tally} tally
 * @param {{ mayClose?: number, loses?: boolean, fails?: boolean }} [allowed]
 */
function show(title, tally, { mayClose = 0, loses = false, fails = false } = {}) {
  verdicts.push(
    figure(`${title}: messages received`, '', tally.received),
    atMost(figure(`${title}: closed`, '', tally.ended), mayClose),
    loses
      ? figure(`${title}: lost, with a gap told`, '', tally.lost + tally.missing)
      : atMost(figure(`${title}: lost`, '', tally.lost + tally.missing), 0),
    atMost(figure(`${title}: twice, or out of order`, '', tally.backwards), 0),
    fails
      ? figure(`${title}: visits and HTTP calls that failed`, '', tally.failed)
      : atMost(figure(`${title}: visits and HTTP calls that failed`, '', tally.failed), 0),
    atMost(figure(`${title}: members told to come or go`, '', mayClose > 0 ? 0 : tally.memberChanges), 0),
  );
  const codes = Object.entries(tally.closes).map(([code, count]) => `${count} with ${code}`);
  if (codes.length > 0) console.log(`${title}: close frames: ${codes.join(', ')}`);
  for (const failure of tally.failures) console.log(`${title}: ${failure}`);
}

async function reload() {
  const { exitCode, report, reason } = await control(socket, ['reload']);
  if (exitCode !== 0 || report === undefined) throw new Error(`the reload ended with ${exitCode}: ${reason}`);
  return report;
}

/**
 * The middle of a move: the new worker has some, and the old one has most.
 * @param {ReadonlySet<number>} known Processes from before.
 * @returns {Promise<Moving>}
 */
async function middle(known) {
  for (;;) {
    const { lives } = await readStatus(socket);
    const target = lives.find(({ pid, connections: had }) => !known.has(pid) && had >= BATCH_ROWS);
    const source = lives.find(({ worker, pid }) => worker === target?.worker && known.has(pid));
    if (target !== undefined && source !== undefined) return { source: source.pid, target: target.pid };
    await delay(LOOK_MS);
  }
}

async function untilReady() {
  for (;;) {
    const { lives, current } = await readStatus(socket);
    const isReady = lives.filter(({ state }) => state === 'ready').length === WORKERS;
    if (isReady && lives.length === WORKERS && current === undefined) return;
    await delay(100);
  }
}

/**
 * @template Result
 * @param {() => Promise<Result>} action
 * @returns {Promise<Measured<Result>>}
 */
async function measured(action) {
  const before = farmCpu();
  const startedAt = performance.now();
  const result = await action();
  return { cpu: farmCpu() - before, seconds: (performance.now() - startedAt) / 1000, result };
}

/** Of the master, of all that it has reaped, and of those who live, in seconds (proc(5): utime, stime, cutime, cstime). */
function farmCpu() {
  let ticks = 0;
  for (const pid of processTree(server.masterPid)) {
    if (!isRunning(pid)) continue;
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
    if (pid === server.masterPid) ticks += Number(fields[13]) + Number(fields[14]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** That all processes of the farm have open. */
function descriptors() {
  let count = 0;
  for (const pid of processTree(server.masterPid)) count += readdirSync(`/proc/${pid}/fd`).length;
  return count;
}
