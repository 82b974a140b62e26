import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';

const PROGRAM = fileURLToPath(new URL('../clients/raw-clients.mjs', import.meta.url));

/**
 * @typedef {object} RawAnswer
 * @property {number} open
 * @property {Readonly<Record<string, number>>} closes By close code.
 * @property {Readonly<Record<string, number>>} errors By code.
 * @property {number} [missing]
 * @property {string} [error]
 *
 * @typedef {{ do: string, count?: number, [option: string]: unknown }} RawCommand
 */

/**
 * Clients that send the very bytes they are told, spread over processes; see clients/raw-clients.mjs for the commands.
 * @param {string} url
 * @param {number} processes
 */
export async function startRawClients(url, processes) {
  const { hostname, port } = new URL(url);
  const programs = Array.from(
    { length: processes },
    (_, index) => new ChildProgram('raw-clients', [PROGRAM, hostname, port, String(index + 1)]),
  );
  return {
    /**
     * Gives a command to all processes, `count` in equal parts, and adds their answers up.
     * @param {RawCommand} command
     */
    async ask(command) {
      const { count } = command;
      const answers = await Promise.all(
        programs.map((program, index) => {
          if (count === undefined) return askOne(program, command);
          const share =
            Math.floor((count * (index + 1)) / processes) - Math.floor((count * index) / processes);
          return askOne(program, { ...command, count: share });
        }),
      );
      return answers.reduce(addAnswers);
    },
    stop: () => Promise.all(programs.map((program) => program.stop())),
  };
}

/**
 * @param {ChildProgram} program
 * @param {RawCommand} command
 */
async function askOne(program, command) {
  program.write(JSON.stringify(command));
  /** @type {RawAnswer} */
  const answer = await program.nextLine();
  if (answer.error !== undefined) throw new Error(`raw-clients: ${answer.error}`);
  return answer;
}

/**
 * @param {RawAnswer} one
 * @param {RawAnswer} other
 * @returns {RawAnswer}
 */
function addAnswers(one, other) {
  return {
    open: one.open + other.open,
    missing: (one.missing ?? 0) + (other.missing ?? 0),
    closes: addCounts(one.closes, other.closes),
    errors: addCounts(one.errors, other.errors),
  };
}

/**
 * @param {Readonly<Record<string, number>>} one
 * @param {Readonly<Record<string, number>>} other
 */
function addCounts(one, other) {
  const sum = { ...one };
  for (const [name, count] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + count;
  return sum;
}
