import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';

/** One of the programs of `clients/` that are crowds, in a process of its own; see there for its commands and further arguments. */
export function startCrowd(name, { port, path, count, args = [] }) {
  const file = fileURLToPath(new URL(`../clients/${name}.mjs`, import.meta.url));
  const program = new ChildProgram(name, [file, String(port), path, String(count), ...args.map(String)]);
  return {
    ask(command) {
      program.write(JSON.stringify(command));
      return program.nextLine();
    },
    stop: () => program.stop(),
  };
}

/** Gives all of them the same command at the same time. */
export function askAll(crowds, command) {
  return Promise.all(crowds.map((crowd) => crowd.ask(command)));
}
