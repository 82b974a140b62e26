import { createInterface } from 'node:readline';

/**
 * Obeys JSON lines from stdin, one at a time, with one line each; ends with stdin.
 * @param {Record<string, (options: any) => unknown>} commands By what a line says under `do`; each gets the rest of it.
 */
export async function obey(commands) {
  process.on('SIGTERM', () => process.exit());
  for await (const line of createInterface({ input: process.stdin })) {
    const { do: name, ...options } = JSON.parse(line);
    const answer = (await commands[name](options)) ?? {};
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  process.exit();
}
