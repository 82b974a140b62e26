/**
 * Whether anybody suffers for what others do: subscribers beside slow readers, echoes beside busy senders. Prints a table
 * and ends with 1 if a promise was not kept. See README.md.
 */
import { execFileSync } from 'node:child_process';
import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { eventually } from '@roost/testing';
import { nowMicros } from './clients/latencies.mjs';
import { API_KEY, askApi, readInfo } from './lib/api.mjs';
import { parseCount, parseNames } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { askAll, startCrowd } from './lib/crowd-clients.mjs';
import { introduceMachine, waitForConntrack } from './lib/machine.mjs';
import { memoryOf } from './lib/processes.mjs';
import { startServer } from './lib/servers.mjs';
import { summarise } from './lib/statistics.mjs';
import { atMost, formatVerdicts } from './lib/verdicts.mjs';

/**
 * @import { CrowdProcess } from './lib/crowd-clients.mjs'
 * @import { Verdict } from './lib/verdicts.mjs'
 *
 * @typedef {Awaited<ReturnType<typeof startFarm>>} FairFarm
 */

const WORKERS = 2;
const SUBSCRIBER_PROCESSES = 2;
const SLOW_SHARE = 0.01;
const PAYLOAD_BYTES = 512;
const PUBLICATIONS = 15;
/** Between two publications, after everybody has the first: what is measured is fan-out, not a backlog. */
const PAUSE_MS = 50;
/** Of 16 KB: fills what the kernel takes for a client that does not read, and begins its queue. */
const BUFFERS_TO_BE_SLOW = 24;
/** Less than maxOutboundBytes (1 MiB) for each, and more than the workers have room for. */
const BUFFERS_TO_HOARD = 64;
/** Of maxOutboundBytesPerWorker, for each of all slow readers. */
const ROOM_FOR_EACH = 320 * 1024;
const SEND_BUFFER_BYTES = 256 * 1024;
/** The largest that the kernel makes for loopback. */
const SEGMENT_BYTES = 64 * 1024;
const BUSY_CLIENTS = 200;
const PROBES = 4;
const BUSY_SECONDS = 5;
const PARTS = ['close', 'drop', 'busy'];
const QUEUES_TIMEOUT_MS = 30_000;

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: PARTS.join(',') },
    runs: { type: 'string', default: '9' },
    connections: { type: 'string', default: '10000' },
  },
});
const runs = parseCount('runs', values.runs);
const connections = parseCount('connections', values.connections);
const only = new Set(parseNames('only', values.only, PARTS));

killProgramsAtExit();

await introduceMachine(connections);

/** @type {Verdict[]} */
const verdicts = [];
for (const policy of ['close', 'drop']) {
  if (!only.has(policy)) continue;
  await waitForConntrack(connections);
  verdicts.push(...(await slowReaders(policy)));
}
if (only.has('busy')) verdicts.push(...(await busySenders()));
console.log(`\nMedians of ${runs} (least–most); load average now ${loadavg()[0].toFixed(2)}.\n`);
console.log(formatVerdicts(verdicts));
if (verdicts.some(({ passes }) => passes === false)) process.exitCode = 1;

/**
 * By turns without and with slow readers, in one farm: what else happens on the machine meets both.
 * @param {string} policy
 * @returns {Promise<Verdict[]>}
 */
async function slowReaders(policy) {
  const slowCount = Math.max(1, Math.round(connections * SLOW_SHARE));
  const maxPerWorker = Math.max(2 * 1024 * 1024, slowCount * ROOM_FOR_EACH);
  const server = await startFarm([
    `--slow-consumer-policy=${policy}`,
    `--max-outbound-bytes-per-worker=${maxPerWorker}`,
    `--tcp-send-buffer-bytes=${SEND_BUFFER_BYTES}`,
  ]);
  const clients = [];
  try {
    const path = '/fair?channel=news';
    const perProcess = Math.ceil((connections - slowCount) / SUBSCRIBER_PROCESSES);
    for (let index = 0; index < SUBSCRIBER_PROCESSES; index++) {
      clients.push(
        startCrowd('subscribers', { port: server.port, path, count: perProcess, args: [PAYLOAD_BYTES] }),
      );
    }
    const subscribers = clients.slice();
    const slow = startCrowd('slow-readers', { port: server.port, path, count: slowCount });
    clients.push(slow);
    await askAll(subscribers, { do: 'open' });
    // The tables and the heap grow once.
    await publishSome(server, subscribers, perProcess);

    /** @type {number[]} */
    const baselines = [];
    const withSlow = [];
    const kernel = [];
    let missed = 0;
    for (let run = 1; run <= runs; run++) {
      const without = await publishSome(server, subscribers, perProcess);
      await slow.ask({ do: 'open' });
      await slow.ask({ do: 'hoard', buffers: BUFFERS_TO_BE_SLOW });
      await untilQueued(server, 'the slow readers have queues', (bytes) => bytes > slowCount * 16 * 1024);
      const beside = await publishSome(server, subscribers, perProcess);
      kernel.push(kernelBytes(server.port));
      await slow.ask({ do: 'end' });
      await untilQueued(server, 'all queues are empty', (bytes) => bytes === 0);
      baselines.push(without.p99);
      withSlow.push(beside.p99);
      missed += without.missed + beside.missed;
      console.log(
        `${policy} ${run}/${runs}: p99 ${without.p99.toFixed(1)} ms alone, ${beside.p99.toFixed(1)} ms beside ${slowCount} slow readers`,
      );
    }
    const memory = await hoard(server, slow);
    const name = `slow readers, ${policy}: `;
    const ratio = summarise(withSlow.map((p99, run) => p99 / baselines[run]));
    const kernelMax = kernel.some((bytes) => bytes === undefined)
      ? undefined
      : Math.max(...kernel.map((bytes) => bytes ?? 0));
    const kernelBound = 2 * SEND_BUFFER_BYTES + SEGMENT_BYTES;
    const { counters } = memory;
    const paid = counters[policy === 'close' ? 'closed_outbound_bytes' : 'messages_dropped_outbound_bytes'];
    return [
      { what: `${name}p99 of the others, alone`, unit: 'ms', summary: summarise(baselines), digits: 1 },
      { what: `${name}p99 of the others, beside them`, unit: 'ms', summary: summarise(withSlow), digits: 1 },
      atMost({ what: `${name}the same as a ratio`, unit: '×', summary: ratio, digits: 2 }, 1.3),
      atMost({ what: `${name}deliveries missed by the others`, unit: '', value: missed, digits: 0 }, 0),
      atMost(
        {
          what: `${name}most that all queues held (info)`,
          unit: 'MB',
          value: memory.held / 1e6,
          digits: 1,
        },
        (WORKERS * maxPerWorker) / 1e6,
      ),
      atMost(
        { what: `${name}growth of the workers' memory`, unit: 'MB', value: memory.growth / 1e6, digits: 1 },
        (WORKERS * maxPerWorker * 1.25) / 1e6,
      ),
      ...(kernelMax === undefined
        ? []
        : [
            atMost(
              {
                what: `${name}most of one socket's send buffer`,
                unit: 'KB',
                value: kernelMax / 1e3,
                digits: 0,
              },
              kernelBound / 1e3,
            ),
          ]),
      {
        what: `${name}the bound on all queues was applied`,
        unit: 'times',
        value: paid,
        digits: 0,
        passes: paid > 0,
      },
    ];
  } finally {
    for (const client of clients) await client.stop();
    await server.stop();
  }
}

/**
 * Everybody who is slow wants more than there is room for, in buffers that nobody shares.
 * @param {FairFarm} server
 * @param {CrowdProcess} slow
 */
async function hoard(server, slow) {
  const before = memoryOf(server.workerPids).own;
  await slow.ask({ do: 'open' });
  const hoarding = slow.ask({ do: 'hoard', buffers: BUFFERS_TO_HOARD });
  let held = 0;
  let most = before;
  const until = performance.now() + 4000;
  while (performance.now() < until) {
    held = Math.max(held, (await gauges(server)).outboundBytes);
    most = Math.max(most, memoryOf(server.workerPids).own);
    await delay(20);
  }
  await hoarding;
  const { counters } = await gauges(server);
  await slow.ask({ do: 'end' });
  await untilQueued(server, 'all queues are empty', (bytes) => bytes === 0);
  return { held, growth: most - before, counters };
}

/**
 * Publishes, each time when everybody has the one before. Answers the p99 of all deliveries.
 * @param {FairFarm} server
 * @param {readonly CrowdProcess[]} subscribers
 * @param {number} perProcess
 */
async function publishSome(server, subscribers, perProcess) {
  await askAll(subscribers, { do: 'reset' });
  /** @type {Record<string, number>[]} */
  let reports = [];
  for (let sent = 1; sent <= PUBLICATIONS; sent++) {
    const arrived = askAll(subscribers, { do: 'await', messages: sent * perProcess });
    const data = String(nowMicros()).padStart(16, '0').padEnd(PAYLOAD_BYTES, '.');
    await askApi(server, 'publish', { channel: 'news', data });
    reports = await arrived;
    await delay(PAUSE_MS);
  }
  const missed = reports.reduce((sum, { messages }) => sum + PUBLICATIONS * perProcess - messages, 0);
  // The worse half of the subscribers stands for all of them.
  return { p99: Math.max(...reports.map(({ p99 }) => p99)), missed };
}

/** @returns {Promise<Verdict[]>} */
async function busySenders() {
  const server = await startFarm([]);
  const clients = [];
  try {
    const target = { port: server.port, path: '/fair/echo' };
    const busy = startCrowd('busy-senders', { ...target, count: BUSY_CLIENTS });
    const probes = startCrowd('probes', { ...target, count: PROBES });
    clients.push(busy, probes);
    await askAll(clients, { do: 'open' });
    const alone = [];
    const beside = [];
    const frames = [];
    for (let run = 1; run <= runs; run++) {
      await probes.ask({ do: 'start' });
      await delay(2000);
      const quiet = await probes.ask({ do: 'stop' });
      await busy.ask({ do: 'start' });
      await probes.ask({ do: 'start' });
      await delay(BUSY_SECONDS * 1000);
      const loud = await probes.ask({ do: 'stop' });
      const sent = await busy.ask({ do: 'stop' });
      if (sent.unanswered > 0 || sent.ended > 0 || loud.ended > 0) {
        throw new Error(`busy senders: ${JSON.stringify({ sent, loud })}`);
      }
      alone.push(quiet.p99);
      beside.push(loud.p99);
      frames.push(sent.frames / BUSY_SECONDS / 1000);
      console.log(
        `busy ${run}/${runs}: p99 ${quiet.p99.toFixed(1)} ms alone, ${loud.p99.toFixed(1)} ms (most ${loud.max.toFixed(0)}) beside ${BUSY_CLIENTS} busy senders, ${loud.count} echoes`,
      );
    }
    return [
      {
        what: "busy senders: p99 of another's echo, alone",
        unit: 'ms',
        summary: summarise(alone),
        digits: 1,
      },
      atMost(
        {
          what: "busy senders: p99 of another's echo, beside them",
          unit: 'ms',
          summary: summarise(beside),
          digits: 1,
        },
        100,
      ),
      { what: 'busy senders: their own messages', unit: '1,000/s', summary: summarise(frames), digits: 0 },
    ];
  } finally {
    for (const client of clients) await client.stop();
    await server.stop();
  }
}

/** @param {readonly string[]} args */
async function startFarm(args) {
  const server = await startServer('Roost', {
    app: 'fair',
    workers: WORKERS,
    connections: connections * 1.1,
    // Who does not read cannot answer pings; that is for bench/heartbeat.mjs.
    args: [`--api-key=${API_KEY}`, '--heartbeat-ms=3600000', '--tcp-user-timeout-ms=0', ...args],
  });
  return { ...server, port: Number(new URL(server.url).port) };
}

/** @param {FairFarm} server */
async function gauges(server) {
  const { workers, counters } = await readInfo(server);
  return { outboundBytes: workers.reduce((sum, worker) => sum + worker.outboundBytes, 0), counters };
}

/**
 * The largest send buffer of a connection of this port, as `ss` of iproute2 shows it; undefined without that.
 * @param {number} port
 */
function kernelBytes(port) {
  try {
    const text = execFileSync('ss', ['-Htmn', `sport = :${port}`], { encoding: 'utf8', maxBuffer: 1 << 28 });
    return Math.max(0, ...Array.from(text.matchAll(/skmem:\(.*?,w(\d+)/g), ([, bytes]) => Number(bytes)));
  } catch {
    return undefined;
  }
}

/**
 * Waits until it is so of the bytes in all queues of the farm.
 * @param {FairFarm} server
 * @param {string} what
 * @param {(bytes: number) => boolean} isSo
 */
function untilQueued(server, what, isSo) {
  return eventually(async () => isSo((await gauges(server)).outboundBytes), {
    deadlineMs: QUEUES_TIMEOUT_MS,
    what,
  });
}
