// npm run bench:pusher -- [--only memory,ping,delivery,storm] [--runs 3]: what the Pusher protocol costs, see README.md.
import { loadavg, tmpdir } from 'node:os';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parseCount, parseNames } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { askAll, startCrowd } from './lib/crowd-clients.mjs';
import { describeDelay, LoopWatch } from './lib/loop-watch.mjs';
import { introduceMachine, waitForConntrack } from './lib/machine.mjs';
import { cpuMs, settle, waitUntilQuiet, waitUntilSettled } from './lib/processes.mjs';
import { startRedis } from './lib/redis.mjs';
import { startServer } from './lib/servers.mjs';
import { summarise } from './lib/statistics.mjs';
import { formatSummary } from './lib/table.mjs';

/**
 * @import { CrowdProcess } from './lib/crowd-clients.mjs'
 * @import { Server, ServerOptions } from './lib/servers.mjs'
 *
 * @typedef {object} Clients What a crowd is, see clients/pusher-crowd.mjs.
 * @property {'pusher' | 'plain' | 'echo'} dialect
 * @property {string} [path]
 * @property {string} [channel]
 * @property {number} [perRoom]
 * @property {string} [event]
 * @property {number} [inFlight]
 */

const KEY = 'bench-key';
const SECRET = 'bench-secret';
const APP = [
  '--pusher-app-id=bench',
  `--pusher-app-key=${KEY}`,
  `--pusher-app-secret=${SECRET}`,
  // Its channels have their own names in Redis, too.
  '--pusher-default-app=bench',
];
const APP_PATH = `/app/${KEY}?protocol=7&client=bench&version=1.0`;
const PER_PROCESS = 15_000;

const MEMORY_CONNECTIONS = 24_000;
const FEW = 2000;
const WEIGH_MS = 60_000;
const WEIGHS = fileURLToPath(new URL('servers/weigh-on-signal.mjs', import.meta.url));
const ROOM = 20;

const PING = '{"event":"pusher:ping","data":{}}';
const PONG = '{"event":"pusher:pong","data":{}}';
const PING_CLIENTS = 1000;
const WARM_UP_SECONDS = 3;
const PING_SECONDS = 5;

const SUBSCRIBERS = 20_000;
const PUBLICATIONS = 20;
const TEXT = 'broadcast '.repeat(13).slice(0, 128);
/** What a Pusher client is sent for {@link TEXT}; /plain is sent as many bytes. */
const FRAME_TEXT = JSON.stringify({ event: 'message', channel: 'news', data: TEXT });

const STORM = 20_000;
const STORM_PROCESSES = 4;
const MAX_STALL_MS = 100;

const MEASURES = { memory, ping, delivery, storm };
const NAMES = Object.keys(MEASURES);

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: NAMES.join(',') },
    runs: { type: 'string', default: '3' },
  },
});
const runs = parseCount('runs', values.runs);
const only = parseNames('only', values.only, NAMES);

/**
 * How many clients each crowd is.
 * @type {WeakMap<CrowdProcess, number>}
 */
const sizes = new WeakMap();

killProgramsAtExit();
const { warnings } = await introduceMachine(SUBSCRIBERS);
let isMissed = false;
for (const [name, measure] of Object.entries(MEASURES)) if (only.includes(name)) await measure();
console.log(`\nMedians of ${runs} (least–most); load average now ${loadavg()[0].toFixed(2)}.`);
if (isMissed) process.exitCode = 1;

/**
 * Live bytes of a sleeping connection, all processes of the farm together, from 2,000 to 24,000 of them. Pages that the processes have
 * would count garbage, too, of which a wave leaves more than the connections themselves take.
 */
async function memory() {
  const plain = [];
  const inPublic = [];
  const inPresence = [];
  for (let run = 0; run < runs; run++) {
    plain.push(await slope({ dialect: 'plain', path: '/plain?channel=news' }));
    inPublic.push(await slope({ dialect: 'pusher', channel: 'news' }));
    inPresence.push(await slope({ dialect: 'pusher', channel: 'presence-{r}', perRoom: ROOM }));
  }
  const base = show('live bytes per sleeping connection of /plain, one channel', 'B', plain);
  limit('the same of a Pusher client in a public channel', 'B', inPublic, base + 60);
  limit(`the same in a presence channel of ${ROOM}`, 'B', inPresence, base + 200);
}

/** @param {Clients} clients */
async function slope(clients) {
  await waitForConntrack(2 * MEMORY_CONNECTIONS);
  const weights = mkdtempSync(join(tmpdir(), 'roost-weights-'));
  const env = { NODE_OPTIONS: `--import=${WEIGHS}`, WEIGHTS: weights };
  const server = await startServer('Roost', { connections: MEMORY_CONNECTIONS, args: APP, env });
  try {
    const first = await openClients(server, clients, 0, MEMORY_CONNECTIONS);
    await waitUntilSettled(server.pids);
    await stopAll(first);
    await waitUntilQuiet(server.pids);
    const few = await openClients(server, clients, 0, FEW);
    const before = await weigh(server, weights);
    const many = await openClients(server, clients, FEW, MEMORY_CONNECTIONS - FEW);
    const after = await weigh(server, weights);
    await insist([...few, ...many], MEMORY_CONNECTIONS);
    await stopAll([...few, ...many]);
    return (after - before) / (MEMORY_CONNECTIONS - FEW);
  } finally {
    await server.stop();
    rmSync(weights, { recursive: true });
  }
}

/**
 * @param {Server} server
 * @param {string} weights
 */
async function weigh({ pids }, weights) {
  await waitUntilQuiet(pids);
  let sum = 0;
  // One after the other, for each takes all of a CPU.
  for (const pid of pids) {
    const file = join(weights, String(pid));
    rmSync(file, { force: true });
    process.kill(pid, 'SIGUSR2');
    const deadline = performance.now() + WEIGH_MS;
    while (!existsSync(file) || readFileSync(file, 'utf8') === '') {
      if (performance.now() > deadline) throw new Error(`process ${pid} did not weigh itself`);
      await delay(100);
    }
    sum += Number(readFileSync(file, 'utf8'));
  }
  return sum;
}

/** Server CPU of a `pusher:ping` and its pong, beside an echo of as many bytes, 1,000 clients in a closed loop. */
async function ping() {
  const echoes = [];
  const pings = [];
  for (let run = 0; run < runs; run++) {
    echoes.push(await loopCpu({ dialect: 'echo', path: '/' }, { app: 'echo' }, PING));
    pings.push(await loopCpu({ dialect: 'pusher', channel: 'news' }, {}, PONG));
  }
  const base = show(`server CPU per echo of ${PING.length} bytes`, 'µs', echoes);
  limit('server CPU per pusher:ping', 'µs', pings, base * 1.15);
}

/**
 * @param {Clients} clients
 * @param {ServerOptions} options
 * @param {string} answer
 */
async function loopCpu(clients, options, answer) {
  const server = await startServer('Roost', { ...options, connections: PING_CLIENTS, args: APP });
  try {
    const [crowd] = await openClients(server, clients, 0, PING_CLIENTS);
    const command = { do: 'ping', message: PING, answer, clients: PING_CLIENTS };
    await crowd.ask({ ...command, seconds: WARM_UP_SECONDS });
    await waitUntilQuiet(server.pids);
    const before = cpuMs(server.pids);
    const { answers } = await crowd.ask({ ...command, seconds: PING_SECONDS });
    const cpu = cpuMs(server.pids) - before;
    await insist([crowd], PING_CLIENTS);
    await crowd.stop();
    return (cpu * 1000) / answers;
  } finally {
    await server.stop();
  }
}

/** Server CPU of a delivery to 20,000 Pusher clients, beside as many of /plain that are sent as many bytes. */
async function delivery() {
  const plain = [];
  const pusher = [];
  for (let run = 0; run < runs; run++) {
    plain.push(await deliveryCpu({ dialect: 'plain', path: '/plain?channel=news' }, FRAME_TEXT));
    pusher.push(await deliveryCpu({ dialect: 'pusher', channel: 'news', event: 'message' }, TEXT));
  }
  const base = show(`server CPU per delivery of ${FRAME_TEXT.length} bytes to /plain`, 'µs', plain);
  limit('the same to a Pusher client', 'µs', pusher, base * 1.05);
}

/**
 * @param {Clients} clients
 * @param {string} payload
 */
async function deliveryCpu(clients, payload) {
  await waitForConntrack(SUBSCRIBERS);
  const redis = await startRedis();
  const server = await startServer('Roost', { connections: SUBSCRIBERS, redisUrl: redis.url, args: APP });
  try {
    const crowds = await openClients(server, clients, 0, SUBSCRIBERS);
    const publish = async (/** @type {number} */ times) => {
      for (let time = 1; time <= times; time++) {
        await redis.publish('roost:channel:news', payload);
        await Promise.all(crowds.map((crowd) => crowd.ask({ do: 'await', messages: time * sizeOf(crowd) })));
      }
    };
    await publish(3);
    await askAll(crowds, { do: 'reset' });
    await waitUntilQuiet(server.pids);
    const before = cpuMs(server.pids);
    await publish(PUBLICATIONS);
    await waitUntilQuiet(server.pids);
    const cpu = cpuMs(server.pids) - before;
    for (const report of await insist(crowds, SUBSCRIBERS)) {
      if (report.fewest !== PUBLICATIONS || report.most !== PUBLICATIONS) {
        throw new Error(
          `a client had from ${report.fewest} to ${report.most} of ${PUBLICATIONS} publications`,
        );
      }
    }
    await stopAll(crowds);
    return (cpu * 1000) / (PUBLICATIONS * SUBSCRIBERS);
  } finally {
    await server.stop();
    await redis.stop();
  }
}

/** 20,000 clients connect at once, and each subscribes to a private channel of its own. */
async function storm() {
  await waitForConntrack(STORM);
  const loops = new LoopWatch();
  const redis = await startRedis();
  const server = await startServer('Roost', {
    connections: STORM,
    redisUrl: redis.url,
    args: APP,
    nodeArgs: loops.nodeArgs,
    env: loops.env,
  });
  try {
    await settle(server.pids);
    const each = STORM / STORM_PROCESSES;
    const crowds = Array.from({ length: STORM_PROCESSES }, (_, index) =>
      crowdOf(server, { dialect: 'pusher', channel: 'private-{i}', inFlight: each }, index * each, each),
    );
    for (const crowd of crowds) crowd.comeLast();
    await loops.read(server);
    const before = cpuMs(server.pids);
    const startedAt = performance.now();
    await askAll(crowds, { do: 'open' });
    const seconds = (performance.now() - startedAt) / 1000;
    const cpu = cpuMs(server.pids) - before;
    await insist(crowds, STORM);
    console.log(
      `\n${STORM} clients in private channels of their own at once: ${seconds.toFixed(2)} s, no error`,
    );
    console.log(`  server CPU per client ${((cpu * 1000) / STORM).toFixed(1)} µs`);
    for (const [who, found] of await loops.read(server)) {
      console.log(`  ${describeDelay(who, found)}`);
      // On a machine that others use, a loop is late because it has no CPU.
      const stallMs = warnings.length === 0 ? found.lateMs : found.busyMs;
      if (who === 'master' || stallMs <= MAX_STALL_MS) continue;
      console.log(
        `FAIL: the loop of ${who} stalled for ${stallMs.toFixed(1)} ms, ${MAX_STALL_MS} ms are allowed`,
      );
      isMissed = true;
    }
    await stopAll(crowds);
  } finally {
    await server.stop();
    await redis.stop();
    loops.remove();
  }
}

/** @param {CrowdProcess} crowd */
function sizeOf(crowd) {
  return sizes.get(crowd) ?? 0;
}

/**
 * @param {Server} server
 * @param {Clients} clients
 * @param {number} first
 * @param {number} count
 */
function crowdOf(server, { path = APP_PATH, ...options }, first, count) {
  const { port } = new URL(server.url);
  const crowd = startCrowd('pusher-crowd', {
    port: Number(port),
    path,
    count,
    args: [JSON.stringify({ ...options, first, key: KEY, secret: SECRET })],
  });
  sizes.set(crowd, count);
  return crowd;
}

/**
 * In as many processes as their descriptors ask for, and at least two where there are many.
 * @param {Server} server
 * @param {Clients} clients
 * @param {number} first
 * @param {number} count
 */
async function openClients(server, clients, first, count) {
  const processes = count > PER_PROCESS ? 2 : 1;
  const each = Math.ceil(count / processes);
  const crowds = [];
  for (let index = 0; index < processes; index++) {
    crowds.push(crowdOf(server, clients, first + index * each, Math.min(each, count - index * each)));
  }
  await askAll(crowds, { do: 'open' });
  await insist(crowds, count);
  return crowds;
}

/**
 * That all are there, and have heard nothing that they should not.
 * @param {readonly CrowdProcess[]} crowds
 * @param {number} count
 */
async function insist(crowds, count) {
  const reports = await askAll(crowds, { do: 'report' });
  const open = reports.reduce((sum, report) => sum + report.open, 0);
  const unexpected = reports.flatMap((report) => Object.values(report.unexpected));
  if (open !== count || unexpected.length > 0) {
    throw new Error(`${open} of ${count} clients are open; they heard ${JSON.stringify(unexpected)}`);
  }
  return reports;
}

/** @param {readonly CrowdProcess[]} crowds */
async function stopAll(crowds) {
  await Promise.all(crowds.map((crowd) => crowd.stop()));
}

/**
 * @param {string} what
 * @param {'B' | 'µs'} unit
 * @param {readonly number[]} figures
 */
function show(what, unit, figures) {
  const summary = summarise(figures);
  console.log(`${what}: ${formatSummary(summary, unit === 'B' ? 0 : 2)} ${unit}`);
  return summary?.median ?? Number.NaN;
}

/**
 * @param {string} what
 * @param {'B' | 'µs'} unit
 * @param {readonly number[]} figures
 * @param {number} most
 */
function limit(what, unit, figures, most) {
  const median = show(what, unit, figures);
  const isMet = median <= most;
  if (!isMet) isMissed = true;
  console.log(`  ${isMet ? 'pass' : 'FAIL'}: at most ${most.toFixed(unit === 'B' ? 0 : 2)} ${unit}`);
}
