import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseCount } from './lib/arguments.mjs';
import { BigFarm, ECHO_CONNECTIONS, HEARTBEAT_MS } from './lib/big-farm.mjs';
import { difference, eachSecond, gigabytes, LongRun, mb, toSeconds } from './lib/long-run.mjs';
import { describeMachine, findWarnings, printFacts, readMemory, watchMachine } from './lib/machine.mjs';
import { messageOf } from './lib/message-of.mjs';
import { findObstacles, findShortages, workersNeeded } from './lib/million-host.mjs';
import { memoryOf, SETTLE_MS, waitUntilSettled } from './lib/processes.mjs';
import { writeResults } from './lib/results.mjs';
import { formatVerdicts } from './lib/verdicts.mjs';

/**
 * @import { LatencyMs } from './lib/load.mjs'
 * @import { Memory } from './lib/processes.mjs'
 * @import { Verdict } from './lib/verdicts.mjs'
 *
 * @typedef {{ farm: number, master: number, redis: number }} CpuMs
 *
 * @typedef {ReturnType<typeof growth>} Growth In bytes.
 *
 * @typedef {object} Findings What there is when it ends, also by an error.
 * @property {number} connections
 * @property {number} workers
 * @property {number} idleSeconds
 * @property {string} [error]
 * @property {Memory} [emptyFarmBytes]
 * @property {boolean} [echoHasPriority]
 * @property {number} [connectSeconds]
 * @property {number} [connected]
 * @property {Readonly<Record<string, number>>} [failed] By reason.
 * @property {number} [failedCount]
 * @property {string | undefined} [stoppedBy] Undefined when all have opened or failed.
 * @property {CpuMs} [connectCpuMs]
 * @property {Growth} [growthWhenConnected]
 * @property {CpuMs} [idleCpuMsPerSecond]
 * @property {Memory} [idleFarmBytes]
 * @property {Growth} [growthWhenIdle]
 * @property {Memory} [clientBytes]
 * @property {{ latencyMs: LatencyMs }} [echoAlone]
 * @property {number} [openAfterIdle]
 * @property {number} [broadcastMs]
 * @property {CpuMs} [broadcastCpuMs]
 * @property {{ latencyMs: LatencyMs, spreads: number[] }} [echoMeanwhile]
 * @property {Growth} [growthAfterBroadcasts]
 * @property {boolean} [exactlyOnce]
 * @property {ReturnType<ReturnType<typeof watchMachine>>} [worstWhileBroadcasting]
 * @property {Readonly<Record<string, number>> | string} [losses] By reason, or why they are not known.
 * @property {Readonly<Record<string, { count: number, first: string }>>} [complaints]
 */

const MILLION = 1_000_000;
const PROGRESS_MS = 5000;

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: String(MILLION) },
    /** Default: as many as the descriptor limit asks for, at least one for each CPU. */
    workers: { type: 'string' },
    /** One heartbeat of each connection takes 60 s. */
    'idle-seconds': { type: 'string', default: String(HEARTBEAT_MS / 1000) },
    /** Of the whole run; then everything is killed. */
    'timeout-minutes': { type: 'string' },
  },
});
const connections = parseCount('connections', values.connections);
const workers =
  values.workers === undefined
    ? Math.max(cpus().length, workersNeeded(connections))
    : parseCount('workers', values.workers);
const idleSeconds = parseCount('idle-seconds', values['idle-seconds']);
const timeoutMinutes = parseCount(
  'timeout-minutes',
  values['timeout-minutes'] ?? String(8 + Math.ceil((connections / MILLION) * 8)),
);

const machine = await describeMachine();
printFacts(machine);
await checkHost();

const run = new LongRun(timeoutMinutes);

/** @type {Findings} */
const findings = { connections, workers, idleSeconds };
try {
  await measure();
} catch (error) {
  findings.error = `while ${run.phase}: ${messageOf(error)}`;
  console.log(`FAILED ${findings.error}`);
}
report();
process.exit(process.exitCode);

async function measure() {
  run.enter(`starting Redis, a farm of ${workers} workers, and the clients`);
  const farm = await BigFarm.start({ connections, workers });
  /** @type {ReturnType<typeof watchMachine> | undefined} */
  let stopWatching;
  try {
    await waitUntilSettled(farm.pids).catch((error) => run.log(`warning: ${messageOf(error)}`));
    const empty = farm.memory();
    const clientsAtFirst = memoryOf(farm.clientPids);
    findings.emptyFarmBytes = empty.farm;
    findings.echoHasPriority = farm.hasPriority;
    run.log(`the empty farm: ${mb(empty.farm.own)} MB of its own; clients ${mb(clientsAtFirst.own)} MB`);

    run.enter('connecting');
    const cpuBefore = farm.cpu();
    const ticker = setInterval(() => run.log(describeProgress(farm)), PROGRESS_MS);
    const { seconds, stoppedBy } = await farm.open().finally(() => clearInterval(ticker));
    const cpuConnected = farm.cpu();
    Object.assign(findings, {
      connectSeconds: seconds,
      connected: farm.connected,
      failed: farm.failed,
      failedCount: farm.failedCount,
      stoppedBy,
      connectCpuMs: difference(cpuConnected, cpuBefore),
    });
    run.log(`${farm.connected} connected in ${seconds.toFixed(1)} s, ${farm.failedCount} failed`);
    if (stoppedBy !== undefined) run.log(`stopped early by ${stoppedBy}`);
    await delay(SETTLE_MS);
    const connected = farm.memory();
    findings.growthWhenConnected = growth(connected, empty);

    run.enter(`idle for ${idleSeconds} s, heartbeats every ${HEARTBEAT_MS / 1000} s`);
    const idleBefore = farm.cpu();
    const idleStart = performance.now();
    await delay(idleSeconds * 1000);
    const idleCpu = difference(farm.cpu(), idleBefore);
    const idleFor = (performance.now() - idleStart) / 1000;
    findings.idleCpuMsPerSecond = eachSecond(idleCpu, idleFor);
    const idle = farm.memory();
    findings.idleFarmBytes = idle.farm;
    findings.growthWhenIdle = growth(idle, empty);
    findings.clientBytes = memoryOf(farm.clientPids);
    run.log(`CPU a second: farm ${findings.idleCpuMsPerSecond.farm.toFixed(0)} ms`);

    run.enter(`echo of ${ECHO_CONNECTIONS} connections, nothing else`);
    findings.echoAlone = await farm.echo();
    findings.openAfterIdle = await farm.countOpen();
    run.log(`${findings.openAfterIdle} are open`);
    if (stoppedBy !== undefined) {
      run.log('no broadcasts: what clients have not read yet would take more of it than is left');
      return;
    }

    farm.putClientsLast();
    run.enter('one broadcast to all');
    const cpuQuiet = farm.cpu();
    stopWatching = watchMachine();
    findings.broadcastMs = await farm.broadcast();
    findings.broadcastCpuMs = difference(farm.cpu(), cpuQuiet);
    run.log(`the last one had it after ${(findings.broadcastMs / 1000).toFixed(2)} s`);

    run.enter(`echo of ${ECHO_CONNECTIONS} connections during a second broadcast`);
    findings.echoMeanwhile = await farm.echoDuringBroadcasts(findings.broadcastMs);
    await farm.assertExactlyOnce();
    findings.growthAfterBroadcasts = growth(farm.memory(), empty);
    findings.exactlyOnce = true;
  } finally {
    if (stopWatching !== undefined) findings.worstWhileBroadcasting = stopWatching();
    findings.losses = await farm.lossesByReason().catch(messageOf);
    run.log(`the farm's counters of losses: ${JSON.stringify(findings.losses)}`);
    findings.complaints = Object.fromEntries(farm.complaints);
    run.log('ending everything');
    await farm.stop();
  }
}

/** Prints the table and writes the file; a missed target or a missing figure makes the exit code 1. */
function report() {
  const isMillion = connections <= MILLION;
  /** @type {(what: string, unit: string, digits: number, value: number | undefined, max?: number) => Verdict} */
  const verdict = (what, unit, digits, value, max) => ({
    what,
    unit,
    digits,
    value,
    ...(max === undefined || !isMillion
      ? {}
      : { target: `≤ ${max}`, passes: value !== undefined && value <= max }),
  });
  const { growthWhenIdle, idleCpuMsPerSecond, echoAlone, echoMeanwhile, connectCpuMs, broadcastCpuMs } =
    findings;
  /** @param {number | undefined} value */
  const each = (value) =>
    value === undefined || findings.connected === undefined ? undefined : value / findings.connected;
  /** @param {number | undefined} ms */
  const microsecondsEach = (ms) => each(ms === undefined ? undefined : ms * 1000);
  /** @type {Verdict[]} */
  const verdicts = [
    { what: 'connected', unit: '', digits: 0, value: findings.connected, ...reached() },
    verdict('failed connections', '', 0, findings.failedCount, 0),
    { what: 'open after the idle time', unit: '', digits: 0, value: findings.openAfterIdle, ...stillOpen() },
    verdict('time to connect', 's', 1, findings.connectSeconds, 150),
    verdict('CPU of the farm per connection', 'µs', 1, microsecondsEach(connectCpuMs?.farm)),
    verdict('CPU of Redis per connection', 'µs', 1, microsecondsEach(connectCpuMs?.redis)),
    verdict('user memory of the empty farm', 'MB', 0, megabytes(findings.emptyFarmBytes?.own)),
    verdict('user memory of the farm, connected', 'MB', 0, megabytes(findings.idleFarmBytes?.own)),
    verdict('user memory more than empty', 'MB', 0, megabytes(growthWhenIdle?.own), 250),
    verdict('of these, PSS with files and all', 'MB', 0, megabytes(growthWhenIdle?.pss)),
    verdict('user memory per connection', 'B', 0, each(growthWhenIdle?.own)),
    verdict('Redis: memory more than empty', 'MB', 0, megabytes(growthWhenIdle?.redisOwn)),
    verdict('kernel objects (slab), both ends', 'MB', 0, megabytes(growthWhenIdle?.slab)),
    verdict('the same per connection', 'B', 0, each(growthWhenIdle?.slab)),
    verdict('less available on the machine', 'MB', 0, megabytes(growthWhenIdle?.available)),
    verdict('idle CPU of the farm a second', 'ms', 0, idleCpuMsPerSecond?.farm),
    verdict('idle CPU of Redis a second', 'ms', 1, idleCpuMsPerSecond?.redis),
    verdict('broadcast until the last one', 's', 2, toSeconds(findings.broadcastMs), 25),
    verdict('CPU of the farm per delivery', 'µs', 1, microsecondsEach(broadcastCpuMs?.farm)),
    verdict('echo p99 before it', 'ms', 1, echoAlone?.latencyMs.p99),
    verdict('echo p99 during the next', 'ms', 1, echoMeanwhile?.latencyMs.p99, 300),
    verdict('that broadcast until the last', 's', 2, toSeconds(echoMeanwhile?.spreads[0])),
  ];
  console.log(`\n${connections} connections, ${workers} workers, ${run.seconds.toFixed(0)} s in all.\n`);
  console.log(formatVerdicts(verdicts));
  if (connections < MILLION)
    console.log('\nThe targets are those of a million: this was a smaller run, to try it out.');
  if (findings.echoHasPriority === false)
    console.log(
      '\nThe echoes were measured by a process without priority (that takes root): it waited for a CPU, too.',
    );
  if (findings.stoppedBy !== undefined) console.log(`\nStopped early by ${findings.stoppedBy}.`);
  console.log(`\nEverything: ${writeResults('million-', { machine, findings, verdicts })}`);
  const hasMissed = verdicts.some(({ passes }) => passes === false);
  process.exitCode = findings.error !== undefined || hasMissed ? 1 : 0;
}

function reached() {
  return { target: `= ${connections}`, passes: findings.connected === connections };
}

function stillOpen() {
  const { openAfterIdle, connected } = findings;
  return { target: '= connected', passes: openAfterIdle !== undefined && openAfterIdle === connected };
}

/** Ends with exit code 2, before anything is begun, when this host cannot do it; says what to change. */
async function checkHost() {
  const obstacles = await findObstacles({ connections, workers });
  for (const obstacle of obstacles) console.error(`cannot begin: ${obstacle}`);
  if (obstacles.length > 0) process.exit(2);
  // About connection tracking the probe of the obstacles knows better.
  const warnings = [...findWarnings(machine, 0), ...findShortages({ connections, workers })];
  for (const warning of warnings) console.log(`warning: ${warning}`);
}

/** @param {BigFarm} farm */
function describeProgress(farm) {
  const { availableBytes } = readMemory();
  return `${farm.connected} of ${connections} connected, ${farm.failedCount} failed, ${gigabytes(availableBytes)} GB available`;
}

/**
 * @param {ReturnType<BigFarm['memory']>} now
 * @param {ReturnType<BigFarm['memory']>} empty
 */
function growth(now, empty) {
  return {
    own: now.farm.own - empty.farm.own,
    pss: now.farm.pss - empty.farm.pss,
    redisOwn: now.redis.own - empty.redis.own,
    slab: now.slabBytes - empty.slabBytes,
    available: empty.availableBytes - now.availableBytes,
  };
}

/** @param {number | undefined} bytes */
function megabytes(bytes) {
  return bytes === undefined ? undefined : bytes / 1e6;
}
