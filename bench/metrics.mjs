import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseCount } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { startLoad } from './lib/load.mjs';
import { introduceMachine } from './lib/machine.mjs';
import { cpuMs, memoryOf, waitUntilSettled } from './lib/processes.mjs';
import { MAX_IN_ONE_PROCESS, startServer } from './lib/servers.mjs';

// What it costs to be watched: CPU of a worker for one scrape of its metrics, by CPU time with scrapes and without, and the
// memory that a farm takes when it is scraped for the first time.

const WINDOW_MS = 20_000;
/** Metrics are asked for once a second at most. */
const SCRAPE_MS = 1100;
const MAX_MS = 20;

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '100000' },
    workers: { type: 'string' },
    'admin-port': { type: 'string', default: '18081' },
  },
});
const connections = parseCount('connections', values.connections);
const adminPort = parseCount('admin-port', values['admin-port'], { max: 65_535 });
const workers =
  values.workers === undefined
    ? Math.max(2, Math.ceil(connections / MAX_IN_ONE_PROCESS))
    : parseCount('workers', values.workers);

killProgramsAtExit();

await introduceMachine(connections);

const server = await startServer('Roost', {
  workers,
  connections,
  // No wave of pings in one window and not in the other.
  args: [`--admin-port=${adminPort}`, '--heartbeat-ms=3600000'],
});
let load;
try {
  await waitUntilSettled(server.pids);
  const unwatched = memory();
  await scrapes(WINDOW_MS);
  await waitUntilSettled(server.pids);
  const watched = memory();
  console.log(
    `memory that the first scrapes take: ${mb(watched.worker - unwatched.worker)} MB of a worker's own (it has ${mb(watched.worker)}), ${mb(watched.master - unwatched.master)} of the master's (${mb(watched.master)})`,
  );
  load = await startLoad(`${server.url}?channel=all`, { connections, processes: null });
  await load.open(connections);
  await waitUntilSettled(server.pids);
  const idleMs = await cpuOver(() => delay(WINDOW_MS));
  let count = 0;
  const scrapedMs = await cpuOver(async () => {
    count = await scrapes(WINDOW_MS);
  });
  const each = (scrapedMs - idleMs) / count / workers;
  const perWorker = Math.round(connections / workers);
  const verdict = each <= MAX_MS ? 'pass' : 'FAIL';
  console.log(
    `${verdict}: a scrape takes ${each.toFixed(2)} ms of CPU of a worker with ${perWorker} of ${connections} connections (at most ${MAX_MS}); ${count} scrapes. Load average ${loadavg()[0].toFixed(2)}.`,
  );
  if (each > MAX_MS) process.exitCode = 1;
} finally {
  await load?.stop();
  await server.stop();
}

/** Scrapes for so long, and answers how often. */
async function scrapes(/** @type {number} */ ms) {
  const endsAt = performance.now() + ms;
  let count = 0;
  let longest = 0;
  while (performance.now() < endsAt) {
    const from = performance.now();
    const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`);
    const text = await response.text();
    if (!response.ok) throw new Error(`/metrics answered ${response.status}: ${text}`);
    if (!text.includes('\nroost_unanswered_workers 0\n')) throw new Error('a worker did not answer');
    longest = Math.max(longest, performance.now() - from);
    count++;
    await delay(SCRAPE_MS);
  }
  console.log(`${count} scrapes, the longest took ${longest.toFixed(0)} ms from request to answer`);
  return count;
}

/** CPU time of all workers, in ms, while `run` runs. */
async function cpuOver(/** @type {() => Promise<unknown>} */ run) {
  const before = cpuMs(server.workerPids);
  await run();
  return cpuMs(server.workerPids) - before;
}

/** What is no file's: of the average worker, and of the master. In bytes. */
function memory() {
  return {
    worker: memoryOf(server.workerPids).own / workers,
    master: memoryOf([server.masterPid]).own,
  };
}

/** @param {number} bytes */
function mb(bytes) {
  return (bytes / 1e6).toFixed(1);
}
