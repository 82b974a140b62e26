import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';

const PROGRAM = fileURLToPath(new URL('../clients/raw-clients.mjs', import.meta.url));

/** Clients that send the very bytes they are told, spread over processes; see clients/raw-clients.mjs for the commands. */
export async function startRawClients(url, processes) {
  const { hostname, port } = new URL(url);
  const programs = Array.from(
    { length: processes },
    (_, index) => new ChildProgram('raw-clients', [PROGRAM, hostname, port, String(index + 1)]),
  );
  return {
    /** Gives a command to all processes, `count` in equal parts, and adds their answers up. */
    async ask(command) {
      const share = (index) =>
        Math.floor((command.count * (index + 1)) / processes) -
        Math.floor((command.count * index) / processes);
      const answers = await Promise.all(
        programs.map((program, index) =>
          askOne(program, command.count === undefined ? command : { ...command, count: share(index) }),
        ),
      );
      return answers.reduce(add);
    },
    stop: () => Promise.all(programs.map((program) => program.stop())),
  };
}

async function askOne(program, command) {
  program.write(JSON.stringify(command));
  const answer = await program.nextLine();
  if (answer.error !== undefined) throw new Error(`raw-clients: ${answer.error}`);
  return answer;
}

/** Adds numbers, and objects of numbers, name by name. */
function add(one, other) {
  if (typeof one !== 'object') return (one ?? 0) + (other ?? 0);
  const sum = { ...one };
  for (const [name, value] of Object.entries(other)) {
    sum[name] = name in sum ? add(sum[name], value) : value;
  }
  return sum;
}
