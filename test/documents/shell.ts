import { once } from 'node:events';
import { eventually, livingMembers, spawnGroup } from '@roost/testing';
import type { CapturedProcess } from '@roost/testing';
import { ROOT } from './snippets.ts';

export interface ShellOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command as a reader would type it, in the checkout, until it ends. */
export async function runInShell(command: string, options: ShellOptions = {}): Promise<Outcome> {
  const running = startInShell(command, options);
  const [code] = await once(running.child, 'close');
  return { code, ...running.output() };
}

/** Starts a server as a reader would, waits until it is ready, ends it, and answers how it ended. */
export async function runServerInShell(command: string, options: ShellOptions = {}): Promise<Outcome> {
  const running = startInShell(command, options);
  const ended = once(running.child, 'close');
  const group = running.child.pid ?? 0;
  await eventually(
    () => /"msg":"farm ready"/.test(running.output().stdout) || running.child.exitCode !== null,
    { what: `"${command}" is ready or ends`, deadlineMs: 30_000 },
  );
  for (const pid of livingMembers(group)) endOne(pid);
  const [code] = await ended;
  await eventually(() => livingMembers(group).length === 0, { what: 'the whole farm has ended' });
  return { code, ...running.output() };
}

/** The shell may have become the server, or have it as a child; workers obey the master, not signals. */
function endOne(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It has ended by itself.
  }
}

function startInShell(
  command: string,
  { env = {}, cwd = ROOT }: ShellOptions,
): { child: CapturedProcess; output: () => Omit<Outcome, 'code'> } {
  const { PATH = '', HOME = '/tmp' } = process.env;
  const child = spawnGroup('/bin/sh', ['-c', command], { cwd, env: { PATH, HOME, ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return { child, output: () => ({ stdout, stderr }) };
}
