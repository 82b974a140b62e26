import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { parseCount, parseNames } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { introduceMachine, printFacts, waitForConntrack } from './lib/machine.mjs';
import { fetchPeer, isFetched, peerVersions } from './lib/peers.mjs';
import { writeResults } from './lib/results.mjs';
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

const ROW_NAMES = ROWS.map((row) => row.name);

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: ROW_NAMES.join(',') },
    servers: { type: 'string' },
    runs: { type: 'string', default: '5' },
    connections: { type: 'string', default: '30000' },
  },
});
const settings = {
  runs: parseCount('runs', values.runs),
  connections: parseCount('connections', values.connections),
};
const only = parseNames('only', values.only, ROW_NAMES);
const rows = only.flatMap((name) => ROWS.find((row) => row.name === name) ?? []);
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
  file = writeAll();
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

function writeAll() {
  const measured = results.map(({ row, runs, errors, summaries }) => ({
    row: row.name,
    runs,
    errors,
    summaries,
  }));
  const verdicts = lines.map(({ figure, ...line }) => ({ figure: figure.title, unit: figure.unit, ...line }));
  return writeResults('', { machine, versions, settings, verdicts, measured });
}

/** Without `--servers` all that can be had: the rest of the bench means something without a peer that must be fetched. */
function chooseServers() {
  const asked = values.servers;
  const names = asked === undefined ? SERVER_NAMES : parseNames('servers', asked, SERVER_NAMES);
  return names.filter((name) => {
    if (!isFetched(name) || !rows.some((row) => row.servers.includes(name))) return true;
    try {
      fetchPeer(name);
      return true;
    } catch (error) {
      if (asked !== undefined) throw error;
      console.log(`warning: measured without it: ${error.message}`);
      return false;
    }
  });
}
