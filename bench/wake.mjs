import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { maskedFrame } from './clients/frames.mjs';
import { parseCount } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { introduceMachine } from './lib/machine.mjs';
import { memoryOf } from './lib/processes.mjs';
import { startRawClients } from './lib/raw-clients.mjs';
import { startServer } from './lib/servers.mjs';

// What a wake leaves behind: connections that have each sent a message in two fragments, with a pause between them in
// which all are awake at once, against the same connections when they had only been opened.

/** @import { Memory } from './lib/processes.mjs' */

const REST_MS = 10_000;
/** As for an idle connection: see the row `idle` of run.mjs. */
const MAX_BYTES_LEFT = 150;
const FIRST_FRAGMENT = maskedFrame(0x01, 'one').toString('hex');
const LAST_FRAGMENT = maskedFrame(0x80, 'two').toString('hex');
const ECHO_BYTES = 8;

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '20000' },
    waves: { type: 'string', default: '3' },
  },
});
const connections = parseCount('connections', values.connections);
const waves = parseCount('waves', values.waves);

killProgramsAtExit();

await introduceMachine(connections);

const server = await startServer('Roost', {
  app: 'echo',
  connections,
  args: [`--max-awake-connections=${connections}`],
});
let clients;
try {
  clients = await startRawClients(server.url, 2);
  const empty = memoryOf(server.workerPids);
  await clients.ask({ do: 'open', count: connections });
  await delay(REST_MS);
  const idle = memoryOf(server.workerPids);
  report('idle', idle, empty);
  let isLeft = false;
  for (let wave = 1; wave <= waves; wave++) {
    await clients.ask({ do: 'send', hex: FIRST_FRAGMENT });
    await delay(1000);
    report(`wave ${wave}, all awake`, memoryOf(server.workerPids), idle);
    await clients.ask({ do: 'send', hex: LAST_FRAGMENT });
    const { missing = 0, open, closes } = await clients.ask({ do: 'hear', bytes: ECHO_BYTES });
    if (missing > 0 || open !== connections) {
      throw new Error(`${missing} echoes are missing, ${open} are open, closes: ${JSON.stringify(closes)}`);
    }
    await delay(REST_MS);
    const after = memoryOf(server.workerPids);
    report(`wave ${wave}, ten seconds later`, after, idle);
    isLeft = (after.own - idle.own) / connections > MAX_BYTES_LEFT;
  }
  console.log(
    `${isLeft ? 'FAIL' : 'pass'}: at most ${MAX_BYTES_LEFT} B a connection may be left. Load average ${loadavg()[0].toFixed(2)}.`,
  );
  if (isLeft) process.exitCode = 1;
} finally {
  await clients?.stop();
  await server.stop();
}

/**
 * @param {string} what
 * @param {Memory} memory
 * @param {Memory} base
 */
function report(what, memory, base) {
  const growth = (memory.own - base.own) / connections;
  console.log(
    `${what}: ${(memory.own / 1e6).toFixed(1)} MB of the workers' own, PSS ${(memory.pss / 1e6).toFixed(1)} MB; ${growth.toFixed(0)} B a connection more`,
  );
}
