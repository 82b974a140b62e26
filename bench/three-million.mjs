import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseCount } from './lib/arguments.mjs';
import { ECHO_CONNECTIONS, HEARTBEAT_MS } from './lib/big-farm.mjs';
import { difference, eachSecond, gigabytes, LongRun, mb, toSeconds } from './lib/long-run.mjs';
import { describeMachine, findWarnings, printFacts, readMemory, watchMachine } from './lib/machine.mjs';
import { messageOf } from './lib/message-of.mjs';
import { workersNeeded } from './lib/million-host.mjs';
import { MIN_FREE_BYTES, PhantomFarm } from './lib/phantom-farm.mjs';
import { SETTLE_MS } from './lib/processes.mjs';
import { writeResults } from './lib/results.mjs';
import { formatVerdicts } from './lib/verdicts.mjs';

/**
 * @import { Verdict } from './lib/verdicts.mjs'
 *
 * @typedef {ReturnType<PhantomFarm['memory']>} Memory
 * @typedef {ReturnType<PhantomFarm['cpu']>} CpuMs
 */

const THREE_MILLION = 3_000_000;
const PROGRESS_MS = 5000;
/** Measured on Linux 6.18: the kernel's and the farm's part of a connection, the phantom's, and an empty worker. */
const BYTES_EACH = 4600;
const WORKER_BYTES = 16e6;

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: String(THREE_MILLION) },
    /** Default: as many as the descriptor limit asks for, at least one for each CPU. */
    workers: { type: 'string' },
    /** Five heartbeats of each connection. */
    'idle-seconds': { type: 'string', default: '300' },
    'heartbeat-ms': { type: 'string', default: String(HEARTBEAT_MS) },
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
const heartbeatMs = parseCount('heartbeat-ms', values['heartbeat-ms']);
const timeoutMinutes = parseCount(
  'timeout-minutes',
  values['timeout-minutes'] ?? String(10 + Math.ceil(idleSeconds / 60) + Math.ceil((connections / 1e6) * 8)),
);

const machine = await describeMachine();
printFacts(machine);
for (const warning of findWarnings(machine, 0)) console.log(`warning: ${warning}`);
const neededBytes = connections * BYTES_EACH + workers * WORKER_BYTES + MIN_FREE_BYTES;
const { availableBytes } = readMemory();
if (neededBytes > availableBytes) {
  console.log(
    `warning: about ${gigabytes(neededBytes)} GB of memory are needed and ${gigabytes(availableBytes)} GB are available: connecting will stop when they are used up.`,
  );
}

const run = new LongRun(timeoutMinutes);

/** What there is when it ends, also by an error. */
const findings = {
  connections,
  workers,
  idleSeconds,
  heartbeatMs,
  /** @type {string | undefined} */
  error: undefined,
  /** @type {number | undefined} */
  startSeconds: undefined,
  /** @type {{ seconds: number, stoppedBy: string | undefined } | undefined} */
  opening: undefined,
  /** @type {number | undefined} */
  connected: undefined,
  /** @type {Readonly<Record<string, number>> | undefined} */
  failed: undefined,
  /** @type {CpuMs | undefined} */
  connectCpuMs: undefined,
  /** @type {CpuMs | undefined} A second. */
  idleCpuMs: undefined,
  /** @type {{ empty: Memory, connected: Memory, idle: Memory } | undefined} */
  memory: undefined,
  /** @type {Awaited<ReturnType<PhantomFarm['look']>> | undefined} */
  afterIdle: undefined,
  /** @type {Awaited<ReturnType<PhantomFarm['look']>> | undefined} */
  atEnd: undefined,
  /** @type {Awaited<ReturnType<PhantomFarm['echo']>> | undefined} */
  echoAloneMs: undefined,
  /** @type {number | undefined} */
  broadcastMs: undefined,
  /** @type {CpuMs | undefined} */
  broadcastCpuMs: undefined,
  /** @type {Awaited<ReturnType<PhantomFarm['echoDuringBroadcast']>> | undefined} */
  meanwhile: undefined,
  /** @type {ReturnType<ReturnType<typeof watchMachine>> | undefined} */
  worst: undefined,
  /** @type {{ empty: Info, idle: Info } | undefined} */
  info: undefined,
  /** @type {Readonly<Record<string, number>> | undefined} The farm's own counters of what cost somebody something. */
  losses: undefined,
  /** @type {Readonly<Record<string, { count: number, first: string }>> | undefined} */
  complaints: undefined,
};
/** @typedef {Awaited<ReturnType<PhantomFarm['info']>>} Info */

/**
 * A figure, with the most that it may be.
 * @type {(what: string, unit: string, digits: number, value: number | undefined, max?: number) => Verdict}
 */
const verdict = (what, unit, digits, value, max) => ({
  what,
  unit,
  digits,
  value,
  ...(max === undefined ? {} : { target: `≤ ${max}`, passes: value !== undefined && value <= max }),
});

/**
 * A figure that must be exactly so.
 * @type {(what: string, value: number | undefined, wanted: number | undefined) => Verdict}
 */
const all = (what, value, wanted) => ({
  what,
  unit: '',
  digits: 0,
  value,
  target: `= ${wanted ?? 'connected'}`,
  passes: value !== undefined && value === wanted,
});

try {
  await measure();
} catch (error) {
  findings.error = `while ${run.phase}: ${messageOf(error)}`;
  console.log(`FAILED ${findings.error}`);
}
report();
process.exit(process.exitCode);

async function measure() {
  run.enter(`starting a farm of ${workers} workers, in a network namespace with its phantom clients`);
  const farm = await PhantomFarm.start({ connections, workers, heartbeatMs });
  const stopWatching = watchMachine();
  try {
    findings.startSeconds = farm.startSeconds;
    await delay(SETTLE_MS);
    const empty = farm.memory();
    const infoEmpty = await farm.info();
    run.log(
      `ready after ${farm.startSeconds.toFixed(1)} s; the empty farm: ${mb(empty.farm.own)} MB of its own`,
    );

    run.enter('connecting');
    const cpuBefore = farm.cpu();
    const ticker = setInterval(
      () =>
        run.log(
          `${farm.connected} connected, ${farm.failedCount} failed, ${gigabytes(readMemory().availableBytes)} GB available`,
        ),
      PROGRESS_MS,
    );
    findings.opening = await farm.open(connections).finally(() => clearInterval(ticker));
    findings.connected = farm.connected;
    findings.failed = farm.failed;
    findings.connectCpuMs = difference(farm.cpu(), cpuBefore);
    const { seconds: openSeconds, stoppedBy } = findings.opening;
    run.log(`${farm.connected} connected in ${openSeconds.toFixed(1)} s, ${farm.failedCount} failed`);
    if (stoppedBy !== undefined) run.log(`stopped early by ${stoppedBy}`);
    await delay(SETTLE_MS);
    const connected = farm.memory();

    run.enter(`idle for ${idleSeconds} s, heartbeats every ${heartbeatMs / 1000} s`);
    const idleBefore = farm.cpu();
    const idleStart = performance.now();
    await delay(idleSeconds * 1000);
    const idleFor = (performance.now() - idleStart) / 1000;
    const idleCpu = difference(farm.cpu(), idleBefore);
    findings.idleCpuMs = eachSecond(idleCpu, idleFor);
    findings.memory = { empty, connected, idle: farm.memory() };
    findings.info = { empty: infoEmpty, idle: await farm.info() };
    findings.afterIdle = await farm.look();
    run.log(
      `${findings.afterIdle.open} are open; CPU a second: farm ${findings.idleCpuMs.farm.toFixed(0)} ms, phantoms ${findings.idleCpuMs.phantoms.toFixed(0)} ms`,
    );

    run.enter(`echo of ${ECHO_CONNECTIONS} connections, nothing else`);
    findings.echoAloneMs = await farm.echo();
    run.enter('one broadcast to all');
    const cpuQuiet = farm.cpu();
    findings.broadcastMs = await farm.broadcast();
    findings.broadcastCpuMs = difference(farm.cpu(), cpuQuiet);
    run.log(`the last one had it after ${(findings.broadcastMs / 1000).toFixed(2)} s`);
    run.enter(`echo of ${ECHO_CONNECTIONS} connections during a second broadcast`);
    findings.meanwhile = await farm.echoDuringBroadcast(findings.broadcastMs);
    // A second copy would come right behind the first.
    await delay(1000);
    findings.atEnd = await farm.look();
  } finally {
    findings.worst = stopWatching();
    findings.losses = await farm.info().then(
      ({ losses }) => losses,
      () => undefined,
    );
    run.log(`the farm's counters of losses: ${JSON.stringify(findings.losses)}`);
    findings.complaints = Object.fromEntries(farm.complaints);
    run.log('ending everything');
    await farm.stop();
  }
}

/** Prints the table and writes the file; a missed target or a missing figure makes the exit code 1. */
function report() {
  const { connected, failed, memory, idleCpuMs, connectCpuMs, broadcastCpuMs, afterIdle, atEnd, info } =
    findings;
  /** @param {number | undefined} value */
  const each = (value) => (value === undefined || !connected ? undefined : value / connected);
  const failedCount = failed && Object.values(failed).reduce((sum, count) => sum + count, 0);
  const farmBytes = memory && memory.idle.farm.own - memory.empty.farm.own;
  /** @param {number | undefined} ms */
  const micros = (ms) => each(ms === undefined ? undefined : ms * 1000);
  const verdicts = [
    all('connected', connected, connections),
    verdict('failed connections', '', 0, failedCount, 0),
    all('open after the idle time', afterIdle?.open, connected),
    all('open, and each publication once', atEnd?.isExactlyOnce ? atEnd.open : undefined, connected),
    verdict('workers ready after', 's', 1, findings.startSeconds),
    verdict('time to connect', 's', 1, findings.opening?.seconds),
    verdict('CPU of the farm per connection', 'µs', 1, micros(connectCpuMs?.farm)),
    verdict('user memory of the farm per connection', 'B', 0, each(farmBytes), 300),
    verdict('the same with workers and master', 'B', 0, each(memory?.idle.farm.own), 1200),
    verdict(
      'kernel memory (slab) per connection',
      'B',
      0,
      each(memory && memory.idle.slabBytes - memory.empty.slabBytes),
      4500,
    ),
    verdict(
      'less available on the machine per connection',
      'B',
      0,
      each(memory && memory.empty.availableBytes - memory.idle.availableBytes),
    ),
    verdict(
      'of these, of the phantoms',
      'B',
      0,
      each(memory && memory.idle.phantoms.own - memory.empty.phantoms.own),
    ),
    verdict('memory of the master', 'MB', 0, memory && memory.idle.master.own / 1e6),
    verdict('the same without connections', 'MB', 0, memory && memory.empty.master.own / 1e6),
    verdict('/api/info takes', 'ms', 0, info?.idle.ms),
    verdict('the same without connections', 'ms', 0, info?.empty.ms),
    verdict('idle CPU of the farm a second', 'ms', 0, idleCpuMs?.farm, 1200),
    verdict('of these, of the master', 'ms', 1, idleCpuMs?.master),
    verdict('idle CPU of the phantoms a second', 'ms', 0, idleCpuMs?.phantoms),
    verdict('broadcast until the last one', 's', 2, toSeconds(findings.broadcastMs)),
    verdict('CPU of the farm per delivery', 'µs', 1, micros(broadcastCpuMs?.farm)),
    verdict('echo p99 before it', 'ms', 1, findings.echoAloneMs?.p99),
    verdict('echo p99 during the next', 'ms', 1, findings.meanwhile?.latencyMs.p99),
    verdict('that broadcast until the last one', 's', 2, toSeconds(findings.meanwhile?.broadcastMs)),
  ];
  console.log(`\n${connections} connections, ${workers} workers, ${run.seconds.toFixed(0)} s in all.\n`);
  console.log(formatVerdicts(verdicts));
  if (findings.opening?.stoppedBy !== undefined)
    console.log(`\nStopped early by ${findings.opening.stoppedBy}.`);
  console.log(`\nEverything: ${writeResults('three-million-', { machine, findings, verdicts })}`);
  const hasMissed = verdicts.some(({ passes }) => passes === false);
  process.exitCode = findings.error !== undefined || hasMissed ? 1 : 0;
}
