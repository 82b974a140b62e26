import { setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';
import { processTree } from './processes.mjs';

const LOAD = fileURLToPath(new URL('../../apps/load/bin/roost-load.js', import.meta.url));

/** roost-load under our control; see apps/load/src/processes/control.ts for the commands. */
export async function startLoad(
  url,
  {
    connections,
    channels = [],
    inFlight = 256,
    // Two keep both CPUs busy in the same way for every server; null: as many as the descriptors need.
    processes = 2,
    sourceAddresses = '127.0.0.2-127.0.0.9',
    // nice(2): above 0 the server comes first, as if its clients were on other machines.
    niceness = 0,
    // The protocol that the server speaks inside WebSocket, as the guide on load testing has it.
    says = [],
    awaits,
    messageTemplate,
  },
) {
  const program = new ChildProgram('roost-load', [
    LOAD,
    url,
    '--control',
    `--connections=${connections}`,
    `--in-flight=${inFlight}`,
    ...(processes === null ? [] : [`--processes=${processes}`]),
    `--source-addresses=${sourceAddresses}`,
    ...channels.flatMap((channel) => ['--channel', channel]),
    ...says.map((text) => `--say=${text}`),
    ...(awaits === undefined ? [] : [`--await=${awaits}`]),
    ...(messageTemplate === undefined ? [] : [`--message-template=${messageTemplate}`]),
  ]);
  const ask = async (command) => {
    program.write(JSON.stringify(command));
    return checked(await program.nextLine());
  };
  let processCount;
  try {
    ({ processes: processCount } = checked(await program.nextLine()));
  } catch (error) {
    await program.stop();
    throw error;
  }
  if (niceness > 0) for (const pid of processTree(program.pid)) setPriority(pid, niceness);
  return {
    pid: program.pid,
    processCount,
    ask,
    /** Opens `count` more, and insists on all of them. */
    async open(count) {
      const report = await ask({ do: 'open', count });
      const failed = Object.entries(report.failed);
      if (failed.length > 0) throw new Error(`connections failed to open: ${JSON.stringify(report.failed)}`);
      return report;
    },
    /** Insists that nobody was disconnected. */
    async assertAllOpen(count) {
      const report = await ask({ do: 'report' });
      if (report.open !== count) {
        throw new Error(
          `${report.open} of ${count} connections are open; closes: ${JSON.stringify(report.closes)}`,
        );
      }
    },
    stop: () => program.stop(),
    /** All clients are gone at once, without a word. */
    kill: () => program.kill(),
  };
}

function checked(answer) {
  if (answer.error !== undefined) throw new Error(`roost-load: ${answer.error}`);
  return answer;
}
