import { fileURLToPath } from 'node:url';
import { API_KEY } from './api.mjs';
import { ChildProgram } from './child-program.mjs';

const PER_PROCESS = 15_000;
const TALKERS = 700;
const RING = 100;
const FRAGMENTED = 300;
const HALVED = 200;
const SLOW = 100;
const CHURN_PER_SECOND = 50;
const PUBLISHERS = 20;
const MEMBERS = 200;
const PER_ROOM_OF_MEMBERS = 20;
const PER_ROOM = 20;
const PUBLICATIONS_PER_SECOND = 200;

/**
 * @typedef {object} Tally What all clients have seen since they were told to forget.
 * @property {number} ended
 * @property {number} received
 * @property {number} lost
 * @property {number} missing What was sent and has not arrived at those who live.
 * @property {number} backwards
 * @property {number} failed
 * @property {readonly string[]} failures
 * @property {number} memberChanges
 * @property {Record<string, number>} closes
 */

/**
 * Clients of a farm that is reloaded, each kind in processes of its own, and who publishes to them.
 * @param {number} port
 * @param {string} redisUrl
 * @param {number} connections
 */
export async function startReloadClients(port, redisUrl, connections) {
  const listenerCount = connections - TALKERS - SLOW - MEMBERS;
  const rooms = Math.ceil(listenerCount / PER_ROOM);
  /** @type {Program[]} */
  const listeners = [];
  for (let first = 0; first < listenerCount; first += PER_PROCESS) {
    const count = Math.min(PER_PROCESS, listenerCount - first);
    listeners.push(start('reload-listeners', [port, first, count, rooms]));
  }
  const talkers = start('reload-talkers', [port, TALKERS, RING, FRAGMENTED, HALVED]);
  const others = start('reload-others', [port, SLOW, CHURN_PER_SECOND, PUBLISHERS, API_KEY]);
  const members = start('pusher-crowd', [
    port,
    '/app/bench-key?protocol=7&client=bench&version=1.0',
    MEMBERS,
    JSON.stringify({
      dialect: 'pusher',
      channel: 'presence-{r}',
      perRoom: PER_ROOM_OF_MEMBERS,
      key: 'bench-key',
      secret: 'bench-secret',
    }),
  ]);
  const publisher = start('reload-publisher', [redisUrl, rooms, PUBLICATIONS_PER_SECOND]);
  const all = [...listeners, talkers, others, members];
  /** @type {Record<string, unknown>} What was published last. */
  let last = {};
  /** Of each program, how many had ended when all were told to forget. */
  let endedBefore = all.map(() => 0);

  /** @param {readonly Record<string, any>[]} reports @returns {Tally} */
  function sum(reports) {
    /** @type {Tally & { failures: string[] }} */
    const tally = {
      ended: 0,
      received: 0,
      lost: 0,
      missing: 0,
      backwards: 0,
      failed: 0,
      failures: [],
      memberChanges: 0,
      closes: {},
    };
    reports.forEach((report, index) => {
      const { received = 0, lost = 0, missing = 0, backwards = 0, failed = 0, memberChanges = 0 } = report;
      tally.ended += report.ended - endedBefore[index];
      tally.received += received;
      tally.lost += lost;
      tally.missing += missing;
      tally.backwards += backwards;
      tally.failed += failed;
      tally.memberChanges += memberChanges;
      tally.failures.push(...(report.failures ?? []), ...(report.unexpected ?? []));
      for (const [code, count] of Object.entries(report.closes ?? {})) {
        tally.closes[code] = (tally.closes[code] ?? 0) + Number(count);
      }
    });
    return tally;
  }

  async function startTraffic() {
    await Promise.all([talkers, others].map((program) => program.ask({ do: 'start' })));
    await publisher.ask({ do: 'start' });
  }

  /** Nothing is sent any more, and what was sent has arrived, as far as it does. */
  async function settle() {
    last = await publisher.ask({ do: 'stop' });
    const talked = await talkers.ask({ do: 'stop' });
    await others.ask({ do: 'stop' });
    const listened = await askAll(listeners, { do: 'await', all: last.all, rooms: last.rooms });
    const read = await others.ask({ do: 'await', heavy: last.heavy });
    return sum([...listened, talked, read, await members.ask({ do: 'report' })]);
  }

  return {
    async open() {
      for (const program of all) await program.ask({ do: 'open' });
      await members.ask({ do: 'reset' });
    },
    start: startTraffic,
    async stop() {
      await settle();
    },
    /** What was counted is forgotten. Traffic goes on, or begins again. */
    async reset() {
      await settle();
      const reports = await askAll(all, { do: 'report' });
      endedBefore = reports.map(({ ended }) => ended);
      await askAll(all, { do: 'reset', ...last });
      await startTraffic();
    },
    /** Stops the traffic, and says what was seen. */
    settle,
    async tally() {
      return sum(await askAll(all, { do: 'report' }));
    },
    /** @param {string} channel @param {string} text */
    say: (channel, text) => publisher.ask({ do: 'say', channel, text }),
    /**
     * Of those who live.
     * @param {number} room
     */
    async membersOf(room) {
      const counts = await askAll(listeners, { do: 'members', room });
      return counts.reduce((total, { members: count }) => total + count, 0);
    },
    async close() {
      for (const program of [...all, publisher]) await program.stop();
    },
  };
}

/** @typedef {ReturnType<typeof start>} Program */

/**
 * @param {string} name
 * @param {readonly unknown[]} args
 */
function start(name, args) {
  const file = fileURLToPath(new URL(`../clients/${name}.mjs`, import.meta.url));
  const program = new ChildProgram(name, [file, ...args.map(String)]);
  return {
    /** @param {Record<string, unknown>} command @returns {Promise<Record<string, any>>} */
    ask(command) {
      program.write(JSON.stringify(command));
      return program.nextLine();
    },
    stop: () => program.stop(),
  };
}

/**
 * @param {readonly Program[]} programs
 * @param {Record<string, unknown>} command
 */
function askAll(programs, command) {
  return Promise.all(programs.map((program) => program.ask(command)));
}
