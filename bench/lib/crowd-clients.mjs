import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';
import { putLast } from './processes.mjs';

/**
 * @typedef {ReturnType<typeof startCrowd>} CrowdProcess
 *
 * @typedef {{ do: string, [option: string]: unknown }} CrowdCommand
 *
 * @typedef {object} CrowdOptions
 * @property {number} port
 * @property {string} path
 * @property {number} count
 * @property {readonly unknown[]} [args]
 */

/**
 * One of the programs of `clients/` that are crowds, in a process of its own; see there for its commands and further
 * arguments.
 * @param {string} name
 * @param {CrowdOptions} options
 */
export function startCrowd(name, { port, path, count, args = [] }) {
  const file = fileURLToPath(new URL(`../clients/${name}.mjs`, import.meta.url));
  const program = new ChildProgram(name, [file, String(port), path, String(count), ...args.map(String)]);
  return {
    /**
     * @param {CrowdCommand} command
     * @returns {Promise<Record<string, number>>}
     */
    ask(command) {
      program.write(JSON.stringify(command));
      return program.nextLine();
    },
    comeLast: () => putLast(program.pid),
    stop: () => program.stop(),
  };
}

/**
 * Gives all of them the same command at the same time.
 * @param {readonly CrowdProcess[]} crowds
 * @param {CrowdCommand} command
 */
export function askAll(crowds, command) {
  return Promise.all(crowds.map((crowd) => crowd.ask(command)));
}
