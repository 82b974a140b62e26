import { fileURLToPath } from 'node:url';
import { ChildProgram } from './child-program.mjs';

const CLIENTS = fileURLToPath(new URL('../clients/deflating.mjs', import.meta.url));

/**
 * @typedef {Awaited<ReturnType<typeof startDeflatingClients>>} DeflatingClients
 *
 * @typedef {object} DeflatingAnswers By what they are asked to do.
 * @property {{}} open
 * @property {{}} close
 * @property {{}} expect
 * @property {{ echoes: number }} echo
 * @property {{ messages: number, fewest: number }} await
 */

/**
 * Clients that have agreed on compression, in a process of their own; see there for the commands.
 * @param {string} url
 */
export async function startDeflatingClients(url) {
  const program = new ChildProgram('deflating clients', [CLIENTS, url]);
  await program.nextLine();
  return {
    /**
     * @template {keyof DeflatingAnswers} Verb
     * @param {{ do: Verb, [option: string]: unknown }} command
     * @returns {Promise<DeflatingAnswers[Verb]>}
     */
    async ask(command) {
      program.write(JSON.stringify(command));
      const answer = await program.nextLine();
      if (answer.wrong > 0) throw new Error(`${answer.wrong} messages were not what was sent, compressed`);
      return answer;
    },
    stop: () => program.stop(),
  };
}

/** 2 KB of JSON as an application might send it: an array of objects with the same keys. It shrinks to a quarter. */
export function sampleJson() {
  const words = ['ready', 'open', 'paid', 'new york', 'shipped', 'pending', 'returned'];
  const rows = Array.from({ length: 33 }, (_, index) => ({
    id: 100_000 + ((index * 7919) % 99_991),
    status: words[(index * 3) % words.length],
    price: ((index * 104_729) % 10_000) / 100,
    at: 1_700_000_000 + index * 977,
  }));
  return JSON.stringify(rows);
}
