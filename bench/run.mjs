import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { introduceMachine, printFacts, waitForConntrack } from './lib/machine.mjs';
import { fetchPeer, isFetched, peerVersions } from './lib/peers.mjs';
import { SERVER_NAMES } from './lib/servers.mjs';
import { judge, summarise } from './lib/statistics.mjs';
import { formatTable } from './lib/table.mjs';
import { broadcast } from './rows/broadcast.mjs';
import { compressedBroadcast } from './rows/compressed-broadcast.mjs';
import { compressedIdle } from './rows/compressed-idle.mjs';
import { compressedEcho } from './rows/compressed-echo.mjs';
import { echo } from './rows/echo.mjs';
import { emptyWorker } from './rows/empty-worker.mjs';
import { handshake } from './rows/handshake.mjs';
import { hundredThousand } from './rows/hundred-thousand.mjs';
import { idle, idleTwoChannels } from './rows/idle.mjs';

const ROWS = [
  idle,
  idleTwoChannels,
  emptyWorker,
  handshake,
  echo,
  broadcast,
  compressedEcho,
  compressedBroadcast,
  compressedIdle,
  hundredThousand,
];

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: ROWS.map((row) => row.name).join(',') },
    servers: { type: 'string' },
    runs: { type: 'string', default: '5' },
    connections: { type: 'string', default: '30000' },
  },
});
const settings = { runs: parseCount('runs'), connections: parseCount('connections') };
const rows = parseNames(
  'only',
  ROWS.map((row) => row.name),
).map((name) => ROWS.find((row) => row.name === name));
const servers = chooseServers();

const { machine } = await introduceMachine(settings.connections);
const versions = peerVersions();
printFacts(versions);

killProgramsAtExit();

const results = [];
let lines = [];
let file;
for (const next of rows) {
  results.push(await runRow(next));
  lines = results.flatMap(({ row, summaries }) =>
    row.figures.flatMap((figure) => judge(figure, summaries[figure.key])),
  );
  // After each row: who interrupts an hour of measuring has what was measured.
  file = writeResults();
}
console.log(`\nMedians of ${settings.runs} (least–most); load average now ${loadavg()[0].toFixed(2)}.\n`);
console.log(formatTable(lines));
console.log(`\nEvery run: ${file}`);
const hasErrors = results.some(({ errors }) => errors.length > 0);
if (hasErrors || lines.some((line) => line.passes === false)) process.exitCode = 1;

/** Interleaves the servers, so that what else happens on the machine meets all of them. */
async function runRow(row) {
  const names = row.servers.filter((name) => servers.includes(name));
  const runs = [];
  const errors = [];
  for (let run = 1; run <= settings.runs; run++) {
    for (const server of names) {
      await waitForConntrack(settings.connections);
      try {
        const measured = await row.measure(server, settings);
        runs.push({ server, run, loadAverage: loadavg()[0], ...measured });
        console.log(`${row.name} ${run}/${settings.runs} ${server}: ${describeRun(row, measured)}`);
      } catch (error) {
        errors.push({ server, run, error: String(error) });
        console.log(`${row.name} ${run}/${settings.runs} ${server}: FAILED, ${String(error)}`);
      }
    }
  }
  const summaries = {};
  for (const { key } of row.figures) {
    summaries[key] = {};
    for (const server of names) {
      const summary = summarise(runs.filter((one) => one.server === server).map((one) => one[key]));
      if (summary !== undefined) summaries[key][server] = summary;
    }
  }
  return { row, runs, errors, summaries };
}

function describeRun(row, measured) {
  const figures = row.figures.map(
    ({ key, unit, digits }) => `${key} ${measured[key].toFixed(digits)} ${unit}`,
  );
  return [...figures, measured.details === undefined ? '' : JSON.stringify(measured.details)].join(', ');
}

function writeResults() {
  const folder = new URL('./results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const url = new URL(`${machine.date.replaceAll(':', '-').slice(0, 19)}.json`, folder);
  const measured = results.map(({ row, runs, errors, summaries }) => ({
    row: row.name,
    runs,
    errors,
    summaries,
  }));
  const verdicts = lines.map(({ figure, ...line }) => ({ figure: figure.title, unit: figure.unit, ...line }));
  writeFileSync(url, `${JSON.stringify({ machine, versions, settings, verdicts, measured }, null, 2)}\n`);
  return url.pathname;
}

function parseCount(name) {
  const count = Number(values[name]);
  if (!Number.isInteger(count) || count < 1) throw new RangeError(`--${name} must be a positive integer`);
  return count;
}

/** Without `--servers` all that can be had: the rest of the bench means something without a peer that must be fetched. */
function chooseServers() {
  const isAsked = values.servers !== undefined;
  const names = isAsked ? parseNames('servers', SERVER_NAMES) : SERVER_NAMES;
  return names.filter((name) => {
    if (!isFetched(name) || !rows.some((row) => row.servers.includes(name))) return true;
    try {
      fetchPeer(name);
      return true;
    } catch (error) {
      if (isAsked) throw error;
      console.log(`warning: measured without it: ${error.message}`);
      return false;
    }
  });
}

function parseNames(option, allowed) {
  const names = values[option].split(',').map((name) => name.trim());
  const unknown = names.find((name) => !allowed.includes(name));
  if (unknown !== undefined)
    throw new RangeError(`--${option} knows ${allowed.join(', ')}; got "${unknown}"`);
  return names;
}
