import { parseArgs } from 'node:util';
import { parseCount } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { startLoad } from './lib/load.mjs';
import { describeDelay, LoopWatch } from './lib/loop-watch.mjs';
import { introduceMachine, waitForConntrack } from './lib/machine.mjs';
import { cpuMs, settle } from './lib/processes.mjs';
import { startServer } from './lib/servers.mjs';

/**
 * @import { Load } from './lib/load.mjs'
 */

/** No worker's loop may stall for longer, or those who are connected would notice. */
const MAX_STALL_MS = 100;
const CLIENT_PROCESSES = 4;

const { values } = parseArgs({
  options: {
    connections: { type: 'string', default: '20000' },
    'accept-rate': { type: 'string', default: '5000' },
    /** Writes a profile of each process of the server there. */
    'cpu-prof-dir': { type: 'string' },
  },
});
// Two workers hold them.
const connections = parseCount('connections', values.connections, { min: 100, max: 32_000 });

const { warnings } = await introduceMachine(connections);
const isQuiet = warnings.length === 0;
killProgramsAtExit();

const loops = new LoopWatch();
/** @type {string[]} */
const failures = [];
try {
  await storms([], [`${connections} at once`, 'all killed, and as many at once again']);
  await storms(
    ['--accept-rate', values['accept-rate']],
    [`${connections} at once, --accept-rate ${values['accept-rate']}`],
  );
  await flood();
} finally {
  loops.remove();
}
for (const failure of failures) console.log(`FAILED: ${failure}`);
if (failures.length > 0) process.exitCode = 1;

/**
 * One farm, and a storm for each name: before each but the first all clients are killed.
 * @param {readonly string[]} args
 * @param {readonly string[]} names
 */
async function storms(args, names) {
  await waitForConntrack(connections * names.length);
  const server = await start(args);
  /** @type {Load[]} */
  const loads = [];
  try {
    for (const name of names) {
      // Ready before the others die, so that nothing comes between.
      const load = await startLoad(server.url, {
        connections,
        inFlight: connections,
        processes: CLIENT_PROCESSES,
        comesLast: true,
      });
      loads.push(load);
      await settle(server.pids);
      await loops.read(server);
      const before = cpuMs(server.pids);
      await loads.at(-2)?.kill();
      const { seconds, failed } = await load.ask({ do: 'open', count: connections });
      const cpu = cpuMs(server.pids) - before;
      const delays = await loops.read(server);
      const errors = Object.values(failed).reduce((sum, count) => sum + count, 0);
      console.log(`\n${name}: ${seconds.toFixed(2)} s, ${errors} errors ${JSON.stringify(failed)}`);
      console.log(`  server CPU per connection ${((cpu * 1000) / connections).toFixed(1)} µs`);
      for (const [who, found] of delays) {
        console.log(`  ${describeDelay(who, found)}`);
        // On a machine that others use, a loop is late because it has no CPU; and so it is while the kernel ends
        // the sockets of 20,000 clients, which are on this machine by our choice only.
        const stallMs = isQuiet && loads.length === 1 ? found.lateMs : found.busyMs;
        if (who !== 'master' && stallMs > MAX_STALL_MS)
          failures.push(`${name}: the loop of ${who} stalled for ${stallMs.toFixed(1)} ms`);
      }
      if (errors > 0) failures.push(`${name}: ${errors} errors`);
      await load.assertAllOpen(connections - errors);
    }
  } finally {
    for (const load of loads) await load.stop();
    await server.stop();
  }
}

/** One address far beyond its limit: what a refused socket costs. */
async function flood() {
  const limit = 100;
  await waitForConntrack(connections);
  const server = await start(['--max-connections-per-address', String(limit)]);
  let load;
  try {
    load = await startLoad(server.url, {
      connections,
      inFlight: 1000,
      processes: 2,
      sourceAddresses: '127.0.0.2',
    });
    await settle(server.pids);
    await loops.read(server);
    const before = [server.pids, [server.masterPid]].map(cpuMs);
    const { seconds, connected, failed } = await load.ask({ do: 'open', count: connections });
    const [cpu, ofMaster] = [server.pids, [server.masterPid]].map(
      (pids, index) => cpuMs(pids) - before[index],
    );
    const delays = await loops.read(server);
    const refused = connections - connected;
    console.log(
      `\n${connections} of one address, --max-connections-per-address ${limit}: ${seconds.toFixed(2)} s`,
    );
    console.log(`  connected ${connected}, refused ${JSON.stringify(failed)}`);
    console.log(
      `  CPU per refused socket: master ${((ofMaster * 1000) / refused).toFixed(1)} µs, ` +
        `all of the server ${((cpu * 1000) / refused).toFixed(1)} µs`,
    );
    for (const [who, found] of delays) console.log(`  ${describeDelay(who, found)}`);
    if (connected !== limit) failures.push(`${connected} of one address were let in, not ${limit}`);
  } finally {
    await load?.stop();
    await server.stop();
  }
}

/** @param {readonly string[]} args */
function start(args) {
  const profiles = values['cpu-prof-dir'];
  return startServer('Roost', {
    app: 'echo',
    connections,
    args,
    nodeArgs: [
      ...loops.nodeArgs,
      ...(profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]),
    ],
    env: loops.env,
  });
}
