import { cpus } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  addressesNeeded,
  BigFarm,
  ECHO_CONNECTIONS,
  HEARTBEAT_MS,
  MIN_AVAILABLE_BYTES,
} from './lib/big-farm.mjs';
import { parseCount } from './lib/arguments.mjs';
import { killRunningPrograms } from './lib/child-program.mjs';
import {
  describeMachine,
  findWarnings,
  printFacts,
  readConntrackLeft,
  readDescriptorLimit,
  readFilesLeft,
  readMemory,
  readSocketsUnread,
  watchMachine,
} from './lib/machine.mjs';
import { memoryOf, SETTLE_MS, waitUntilSettled } from './lib/processes.mjs';
import { writeResults } from './lib/results.mjs';
import { formatVerdicts } from './lib/verdicts.mjs';

const MILLION = 1_000_000;
const PROGRESS_MS = 5000;
/** Descriptors that a worker needs for other things than connections, and room for an uneven share. */
const DESCRIPTORS_SPARED = 0.1;
const MAX_PER_WORKER = 250_000;
/**
 * For the host check, measured on Linux 6.18: both ends of a connection in the kernel with what the farm, Redis and the client
 * keep of it; an empty worker; a process of clients; what the machine must keep.
 */
const BYTES_PER_PAIR = 9200;
const WORKER_BYTES = 16e6;
const CLIENT_PROCESS_BYTES = 14e6;

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
const perWorker = Math.min(MAX_PER_WORKER, Math.floor(readDescriptorLimit() * (1 - DESCRIPTORS_SPARED)));
const workers =
  values.workers === undefined
    ? Math.max(cpus().length, Math.ceil((connections + ECHO_CONNECTIONS) / perWorker))
    : parseCount('workers', values.workers);
const idleSeconds = parseCount('idle-seconds', values['idle-seconds']);
const timeoutMinutes = parseCount(
  'timeout-minutes',
  values['timeout-minutes'] ?? String(8 + Math.ceil((connections / MILLION) * 8)),
);

const machine = await describeMachine();
printFacts(machine);
await checkHost();

const startedAt = performance.now();
let phase = 'starting';
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => giveUp(signal));
// Also after an exception that nobody caught: nothing of a million connections may be left behind.
process.once('exit', killRunningPrograms);
setTimeout(
  () => giveUp(`not over after --timeout-minutes ${timeoutMinutes}`),
  timeoutMinutes * 60_000,
).unref();

const findings = { connections, workers, idleSeconds };
try {
  await measure();
} catch (error) {
  findings.error = `while ${phase}: ${error.message}`;
  console.log(`FAILED ${findings.error}`);
}
report();
process.exit(process.exitCode);

async function measure() {
  enter(`starting Redis, a farm of ${workers} workers, and the clients`);
  const farm = await BigFarm.start({ connections, workers });
  /** @type {ReturnType<typeof watchMachine> | undefined} */
  let stopWatching;
  try {
    await waitUntilSettled(farm.pids).catch((error) => log(`warning: ${error.message}`));
    const empty = farm.memory();
    const clientsAtFirst = memoryOf(farm.clientPids);
    findings.emptyFarmBytes = empty.farm;
    findings.echoHasPriority = farm.hasPriority;
    log(`the empty farm: ${mb(empty.farm.own)} MB of its own; clients ${mb(clientsAtFirst.own)} MB`);

    enter('connecting');
    const cpuBefore = farm.cpu();
    const ticker = setInterval(() => log(describeProgress(farm)), PROGRESS_MS);
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
    log(`${farm.connected} connected in ${seconds.toFixed(1)} s, ${farm.failedCount} failed`);
    if (stoppedBy !== undefined) log(`stopped early by ${stoppedBy}`);
    await delay(SETTLE_MS);
    const connected = farm.memory();
    findings.growthWhenConnected = growth(connected, empty);

    enter(`idle for ${idleSeconds} s, heartbeats every ${HEARTBEAT_MS / 1000} s`);
    const idleBefore = farm.cpu();
    const idleStart = performance.now();
    await delay(idleSeconds * 1000);
    const idleCpu = difference(farm.cpu(), idleBefore);
    const idleFor = (performance.now() - idleStart) / 1000;
    findings.idleCpuMsPerSecond = Object.fromEntries(
      Object.entries(idleCpu).map(([who, ms]) => [who, ms / idleFor]),
    );
    const idle = farm.memory();
    findings.idleFarmBytes = idle.farm;
    findings.growthWhenIdle = growth(idle, empty);
    findings.clientBytes = memoryOf(farm.clientPids);
    log(`CPU a second: farm ${findings.idleCpuMsPerSecond.farm.toFixed(0)} ms`);

    enter(`echo of ${ECHO_CONNECTIONS} connections, nothing else`);
    findings.echoAlone = await farm.echo();
    findings.openAfterIdle = await farm.countOpen();
    log(`${findings.openAfterIdle} are open`);
    if (stoppedBy !== undefined) {
      log('no broadcasts: what clients have not read yet would take more of it than is left');
      return;
    }

    farm.putClientsLast();
    enter('one broadcast to all');
    const cpuQuiet = farm.cpu();
    stopWatching = watchMachine();
    findings.broadcastMs = await farm.broadcast();
    findings.broadcastCpuMs = difference(farm.cpu(), cpuQuiet);
    log(`the last one had it after ${(findings.broadcastMs / 1000).toFixed(2)} s`);

    enter(`echo of ${ECHO_CONNECTIONS} connections during a second broadcast`);
    findings.echoMeanwhile = await farm.echoDuringBroadcasts(findings.broadcastMs);
    await farm.assertExactlyOnce();
    findings.growthAfterBroadcasts = growth(farm.memory(), empty);
    findings.exactlyOnce = true;
  } finally {
    findings.worstWhileBroadcasting = stopWatching?.();
    findings.losses = await farm.lossesByReason().catch((error) => error.message);
    log(`the farm's counters of losses: ${JSON.stringify(findings.losses)}`);
    findings.complaints = Object.fromEntries(farm.complaints);
    log('ending everything');
    await farm.stop();
  }
}

/** Prints the table and writes the file; a missed target or a missing figure makes the exit code 1. */
function report() {
  const isMillion = connections <= MILLION;
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
  const each = (value) => (Number.isFinite(value) ? value / findings.connected : undefined);
  const verdicts = [
    { what: 'connected', unit: '', digits: 0, value: findings.connected, ...reached() },
    verdict('failed connections', '', 0, findings.failedCount, 0),
    { what: 'open after the idle time', unit: '', digits: 0, value: findings.openAfterIdle, ...stillOpen() },
    verdict('time to connect', 's', 1, findings.connectSeconds, 150),
    verdict('CPU of the farm per connection', 'µs', 1, each(connectCpuMs?.farm * 1000)),
    verdict('CPU of Redis per connection', 'µs', 1, each(connectCpuMs?.redis * 1000)),
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
    verdict('CPU of the farm per delivery', 'µs', 1, each(broadcastCpuMs?.farm * 1000)),
    verdict('echo p99 before it', 'ms', 1, echoAlone?.latencyMs.p99),
    verdict('echo p99 during the next', 'ms', 1, echoMeanwhile?.latencyMs.p99, 300),
    verdict('that broadcast until the last', 's', 2, toSeconds(echoMeanwhile?.spreads[0])),
  ];
  console.log(
    `\n${connections} connections, ${workers} workers, ${((performance.now() - startedAt) / 1000).toFixed(0)} s in all.\n`,
  );
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
  const obstacles = [];
  const needed = connections + ECHO_CONNECTIONS;
  if (needed > workers * perWorker) {
    obstacles.push(
      `${needed} connections do not fit into ${workers} workers of ${perWorker} each: ` +
        `use --workers ${Math.ceil(needed / perWorker)} or more, or raise the descriptor limit ("ulimit -Hn" is ${readDescriptorLimit()}).`,
    );
  }
  const largestLoad = Math.min(connections, 200_000);
  if (addressesNeeded(largestLoad) > 250)
    obstacles.push('net.ipv4.ip_local_port_range is too small: set it to "32768 60999" or wider.');
  const tracking = await readConntrackLeft();
  if (needed > tracking) {
    obstacles.push(
      `connection tracking sees loopback and has room for ${tracking} more: raise net.netfilter.nf_conntrack_max above ${needed * 1.2}, ` +
        'or exempt the interface lo (NOTRACK).',
    );
  }
  if (needed * 2.1 > readFilesLeft()) {
    obstacles.push(
      `the system takes ${readFilesLeft()} more open files: raise fs.file-max by ${Math.ceil(needed * 2.1)}.`,
    );
  }
  if (obstacles.length > 0) {
    for (const obstacle of obstacles) console.error(`cannot begin: ${obstacle}`);
    process.exit(2);
  }
  // About connection tracking the probe above knows better.
  const warnings = findWarnings(machine, 0);
  if (connections / 2 > readSocketsUnread()) {
    warnings.push(
      `the third value of net.ipv4.tcp_mem is ${readSocketsUnread()} pages: when so many clients have a broadcast unread, the kernel ` +
        `drops packets and sends them again. Raise it to ${connections}.`,
    );
  }
  const clientProcesses = Math.ceil(connections / perWorker);
  const bytes =
    connections * BYTES_PER_PAIR +
    workers * WORKER_BYTES +
    clientProcesses * CLIENT_PROCESS_BYTES +
    MIN_AVAILABLE_BYTES;
  const { availableBytes } = readMemory();
  if (bytes > availableBytes) {
    warnings.push(
      `about ${(bytes / 1e9).toFixed(1)} GB of memory are needed and ${(availableBytes / 1e9).toFixed(1)} GB are available: ` +
        'connecting will stop when they are used up, and the number reached is reported.',
    );
  }
  for (const warning of warnings) console.log(`warning: ${warning}`);
}

function describeProgress(farm) {
  const { availableBytes } = readMemory();
  return `${farm.connected} of ${connections} connected, ${farm.failedCount} failed, ${(availableBytes / 1e9).toFixed(1)} GB available`;
}

function growth(now, empty) {
  return {
    own: now.farm.own - empty.farm.own,
    pss: now.farm.pss - empty.farm.pss,
    redisOwn: now.redis.own - empty.redis.own,
    slab: now.slabBytes - empty.slabBytes,
    available: empty.availableBytes - now.availableBytes,
  };
}

function difference(after, before) {
  return Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - before[name]]));
}

function enter(name) {
  phase = name;
  log(name);
}

function log(text) {
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(4)} s  ${text}`);
}

function mb(bytes) {
  return (bytes / 1e6).toFixed(0);
}

function megabytes(bytes) {
  return bytes === undefined ? undefined : bytes / 1e6;
}

function toSeconds(ms) {
  return ms === undefined ? undefined : ms / 1000;
}

function giveUp(why) {
  console.error(`\ngiving up while ${phase}: ${why}`);
  killRunningPrograms();
  process.exit(1);
}
