import { once } from 'node:events';
import { spawnGroup } from '@roost/testing';

/** How a program ended, and all that it said, without colours. */
export interface Run {
  readonly exitCode: number | null;
  readonly output: string;
}

/** Runs a program of Node.js to its end. `env` is added to that of this process. */
export async function run(
  args: readonly string[],
  { cwd, env = {} }: { readonly cwd: string; readonly env?: Readonly<Record<string, string>> },
): Promise<Run> {
  const child = spawnGroup(process.execPath, args, { cwd, env: { ...process.env, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  await once(child, 'close');
  // oxlint-disable-next-line no-control-regex -- that is how a colour begins
  return { exitCode: child.exitCode, output: output.replaceAll(/\u001b\[\d+m/g, '') };
}
