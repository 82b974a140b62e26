import { fileURLToPath } from 'node:url';
import { ChildProgram } from '../lib/child-program.mjs';
import { PUSHER_APP } from './pusher-app.mjs';

/**
 * @import { Server } from '../lib/servers.mjs'
 *
 * @typedef {object} TallyReport See clients/soak/tally.mjs.
 * @property {number} opened
 * @property {number} open
 * @property {number} received
 * @property {number} lost
 * @property {number} repeated
 * @property {Record<string, number>} closes
 * @property {number} surpriseCount
 * @property {string[]} surprises
 *
 * @typedef {Record<string, TallyReport>} Report By kind of client.
 *
 * @typedef {{ behind: number, echoesMissing: number, wrongLists: number }} End
 */

const PROGRAM = fileURLToPath(new URL('../clients/soak-crowd.mjs', import.meta.url));
/** Which part of all clients is of each kind. */
const PARTS = {
  readers: 0.38,
  passers: 0.15,
  echoes: 0.08,
  echoPassers: 0.07,
  members: 0.14,
  memberPassers: 0.08,
  lateReaders: 0.05,
  stuckReaders: 0.05,
};
const PER_TOPIC = 20;
const PER_ROOM = 10;

/**
 * Who is there, of so many clients.
 * @param {number} connections
 */
export function populationOf(connections) {
  const counts = Object.fromEntries(
    Object.entries(PARTS).map(([kind, part]) => [kind, Math.max(1, Math.round(connections * part))]),
  );
  return {
    ...counts,
    topics: Math.ceil(counts.readers / PER_TOPIC),
    rooms: Math.ceil(counts.members / PER_ROOM),
  };
}

/**
 * All clients, in a process of their own; see clients/soak-crowd.mjs.
 * @param {Server} server
 * @param {ReturnType<typeof populationOf> & { stayMs: number, stuckMs: number, echoMs: number }} options
 */
export function startSoakClients(server, options) {
  const { port } = new URL(server.url);
  const program = new ChildProgram('soak-crowd', [
    PROGRAM,
    `ws://127.0.0.1:${port}`,
    JSON.stringify({ ...options, app: PUSHER_APP }),
  ]);
  /**
   * One at a time: answers come in the order of commands.
   * @param {object} command
   */
  const ask = (command) => {
    program.write(JSON.stringify(command));
    return program.nextLine();
  };
  return {
    /** @returns {Promise<Report>} */
    open: () => ask({ do: 'open' }),
    /** @returns {Promise<Report>} */
    report: () => ask({ do: 'report' }),
    /** @returns {Promise<Report>} */
    calm: () => ask({ do: 'calm' }),
    /** @type {(last: Record<string, number>) => Promise<End>} */
    await: (last) => ask({ do: 'await', last }),
    /** @returns {Promise<Report>} */
    end: () => ask({ do: 'end' }),
    stop: () => program.stop(),
  };
}

/**
 * Of all kinds together.
 * @param {Report} report
 */
export function sumOf(report) {
  const sum = { opened: 0, open: 0, received: 0, lost: 0, repeated: 0, surpriseCount: 0 };
  /** @type {string[]} */
  const surprises = [];
  for (const [kind, tally] of Object.entries(report)) {
    sum.opened += tally.opened;
    sum.open += tally.open;
    sum.received += tally.received;
    sum.lost += tally.lost;
    sum.repeated += tally.repeated;
    sum.surpriseCount += tally.surpriseCount;
    surprises.push(...tally.surprises.map((what) => `${kind}: ${what}`));
  }
  return { ...sum, surprises };
}
