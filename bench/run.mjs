import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { parseCount, parseNames } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { introduceMachine, printFacts } from './lib/machine.mjs';
import { messageOf } from './lib/message-of.mjs';
import { fetchPeer, isFetched, peerVersions } from './lib/peers.mjs';
import { writeResults } from './lib/results.mjs';
import { runRow } from './lib/row.mjs';
import { SERVER_NAMES } from './lib/servers.mjs';
import { judge } from './lib/statistics.mjs';
import { formatTable } from './lib/table.mjs';
import { broadcast } from './rows/broadcast.mjs';
import { compressedBroadcast } from './rows/compressed-broadcast.mjs';
import { compressedIdle } from './rows/compressed-idle.mjs';
import { compressedEcho } from './rows/compressed-echo.mjs';
import { cold } from './rows/cold.mjs';
import { echo } from './rows/echo.mjs';
import { emptyWorker } from './rows/empty-worker.mjs';
import { handshake } from './rows/handshake.mjs';
import { hundredThousand } from './rows/hundred-thousand.mjs';
import { idle, idleTwoChannels } from './rows/idle.mjs';

/**
 * @import { RowResult } from './lib/row.mjs'
 * @import { Line } from './lib/statistics.mjs'
 */

const ROWS = [
  idle,
  idleTwoChannels,
  emptyWorker,
  cold,
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

/** @type {RowResult[]} */
const results = [];
/** @type {Line[]} */
let lines = [];
let file;
for (const next of rows) {
  results.push(await runRow(next, servers, settings));
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
      console.log(`warning: measured without it: ${messageOf(error)}`);
      return false;
    }
  });
}
