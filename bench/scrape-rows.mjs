// node bench/scrape-rows.mjs: what a worker does for one scrape, by the rows of its table. Build first.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { listenLocally } from '@roost/testing';
import { Counters } from '../packages/farm/dist/api/counters.js';
import { Histogram } from '../packages/farm/dist/api/histograms.js';
import { ConnectionTable, RowFlag, RowState } from '../packages/farm/dist/worker/rows/connection-table.js';
import { WorkerMeasures } from '../packages/farm/dist/worker/upkeep/worker-measures.js';
import { introduceMachine } from './lib/machine.mjs';
import { summarise } from './lib/statistics.mjs';
import { alignRows, formatSummary } from './lib/table.mjs';

// A process here opens 20,000 descriptors at most, so that a worker of 100,000 connections cannot be had. But what a scrape
// does with connections is to go through the rows of the table, and to ask the kernel of 256 of them: this is a real table of
// so many open rows, whose descriptors are those of a few real sockets. The other parts answer with a length or a sum; they
// are given as such.

const ROWS = [2000, 4000, 8000, 16_000, 50_000, 100_000, 250_000];
const SOCKETS = 256;
const WARM_UPS = 20;
const RUNS = 41;
const MAX_MS = 20;
const ADDRESS = new Uint8Array(16);

await introduceMachine(SOCKETS);
const server = createServer();
/** @type {import('node:net').Socket[]} */
const accepted = [];
server.on('connection', (socket) => accepted.push(socket));
const port = await listenLocally(server);
const clients = [];
for (let index = 0; index < SOCKETS; index++) {
  const client = connect(port, '127.0.0.1');
  await once(client, 'connect');
  clients.push(client);
}
const fds = clients.map((client) => Number(Reflect.get(client, '_handle').fd));

const lines = ROWS.map((rows) => {
  const measures = new WorkerMeasures(partsOf(rows));
  for (let run = 0; run < WARM_UPS; run++) measures.read();
  const times = Array.from({ length: RUNS }, () => {
    const before = process.cpuUsage();
    const { sockets } = measures.read();
    const { user, system } = process.cpuUsage(before);
    if (sockets.open !== rows) throw new Error(`counted ${sockets.open} of ${rows} rows`);
    return (user + system) / 1000;
  });
  measures.stop();
  const summary = summarise(times);
  if (rows <= 100_000 && (summary?.median ?? Infinity) > MAX_MS) process.exitCode = 1;
  return [rows.toLocaleString('en'), formatSummary(summary, 2)];
});
console.log(alignRows(['rows', 'CPU of one scrape in ms, median of 41 (least–most)'], lines, 1));

for (const client of clients) client.destroy();
for (const socket of accepted) socket.destroy();
server.close();

/**
 * @param {number} rows
 * @returns {any} WorkerMeasuresParts, as far as they are used.
 */
function partsOf(rows) {
  const table = new ConnectionTable(rows);
  for (let row = 0; row < rows; row++) {
    const slot = table.allocate(fds[row % fds.length], row + 1, ADDRESS, 0);
    table.states[slot] = RowState.open;
    table.setFlag(slot, RowFlag.open | RowFlag.sendable);
  }
  return {
    table,
    counters: new Counters(),
    inboundBuffer: { usedBytes: 0 },
    events: { poller: { movedBytes: new Float64Array(2) } },
    apps: { names: ['plain'] },
    broker: { state: 'ready' },
    outbound: { queueCount: 0, heldBytes: 0 },
    subscriptions: { count: rows, channelCount: 1 },
    memberships: { count: 0, channelCount: 0 },
    broadcaster: { queuedBytes: 0, duration: new Histogram('broadcast_duration_seconds') },
  };
}
