import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';
import { putLast } from './processes.mjs';

const LOAD = fileURLToPath(new URL('../../apps/load/bin/roost-load.js', import.meta.url));

/**
 * @typedef {object} LoadOptions
 * @property {number} connections
 * @property {readonly string[]} channels
 * @property {number} inFlight Default 256.
 * @property {number | null} processes Default 2, which keeps both CPUs busy in the same way for every server; null: as many
 *   as the descriptors need.
 * @property {string} sourceAddresses
 * @property {string} namespace The path of a network namespace to run in.
 * @property {boolean} isPhantom Clients in user space; the answer has the namespace that their server must be in.
 * @property {boolean} comesLast The server comes first, as if its clients were on other machines.
 * @property {readonly string[]} says As `awaits` and `messageTemplate`: the protocol that the server speaks inside WebSocket,
 *   as the guide on load testing has it.
 * @property {string} awaits
 * @property {string} messageTemplate
 *
 * @typedef {object} LoadReport What roost-load tells of its clients.
 * @property {number} open
 * @property {number} connected Handshakes that succeeded so far.
 * @property {Readonly<Record<string, number>>} failed Connections that never opened, by reason.
 * @property {Readonly<Record<string, number>>} closes Connections that the server ended, by close code.
 * @property {number} fewest The least messages that any one connection received since the last reset.
 * @property {number} most
 * @property {number} satisfied Connections that have the messages that are awaited.
 * @property {number} lastMessageAt
 *
 * @typedef {{ count: number, p50: number, p90: number, p99: number, p999: number, max: number }} LatencyMs
 *
 * @typedef {object} LoadEcho
 * @property {number} echoes
 * @property {number} echoesPerSecond
 * @property {number} wrong
 * @property {number} unanswered
 * @property {LatencyMs} latencyMs
 *
 * @typedef {object} LoadAnswers By what it is asked to do.
 * @property {LoadReport & { seconds: number, handshakeMs: LatencyMs }} open `handshakeMs`: of all since the last reset.
 * @property {LoadEcho} echo
 * @property {LoadReport & { complete: boolean }} await
 * @property {LoadReport} reset
 * @property {LoadReport} close
 * @property {LoadReport} report
 *
 * @typedef {Awaited<ReturnType<typeof startLoad>>} Load
 */

/**
 * roost-load under our control; see apps/load/src/processes/control.ts for the commands.
 * @param {string} url
 * @param {Pick<LoadOptions, 'connections'> & Partial<LoadOptions>} options
 */
export async function startLoad(
  url,
  {
    connections,
    channels = [],
    inFlight = 256,
    processes = 2,
    sourceAddresses = '127.0.0.2-127.0.0.9',
    comesLast = false,
    says = [],
    awaits,
    messageTemplate,
    namespace,
    isPhantom = false,
  },
) {
  const args = [
    LOAD,
    url,
    '--control',
    `--connections=${connections}`,
    `--in-flight=${inFlight}`,
    ...(processes === null ? [] : [`--processes=${processes}`]),
    ...(isPhantom ? ['--phantom'] : [`--source-addresses=${sourceAddresses}`]),
    ...channels.flatMap((channel) => ['--channel', channel]),
    ...says.map((text) => `--say=${text}`),
    ...(awaits === undefined ? [] : [`--await=${awaits}`]),
    ...(messageTemplate === undefined ? [] : [`--message-template=${messageTemplate}`]),
  ];
  const program = new ChildProgram('roost-load', args, { namespace });
  /**
   * @template {keyof LoadAnswers} Verb
   * @param {{ do: Verb, [option: string]: unknown }} command
   * @returns {Promise<LoadAnswers[Verb]>}
   */
  const ask = async (command) => {
    program.write(JSON.stringify(command));
    return checked(await program.nextLine());
  };
  /** @type {number} */
  let processCount;
  /** @type {string | undefined} */
  let madeNamespace;
  try {
    ({ processes: processCount, namespace: madeNamespace } = checked(await program.nextLine()));
  } catch (error) {
    await program.stop();
    throw error;
  }
  if (comesLast) putLast(program.pid);
  return {
    pid: program.pid,
    processCount,
    /** That of phantom clients. */
    namespace: madeNamespace,
    ask,
    /**
     * Opens `count` more, and insists on all of them.
     * @param {number} count
     */
    async open(count) {
      const report = await ask({ do: 'open', count });
      const failed = Object.entries(report.failed);
      if (failed.length > 0) throw new Error(`connections failed to open: ${JSON.stringify(report.failed)}`);
      return report;
    },
    /**
     * Insists that nobody was disconnected.
     * @param {number} count
     */
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

/**
 * @template {{ error?: string }} Answer
 * @param {Answer} answer
 */
function checked(answer) {
  if (answer.error !== undefined) throw new Error(`roost-load: ${answer.error}`);
  return answer;
}
