import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export type CapturedProcess = ChildProcessByStdio<null, Readable, Readable>;

/** Every process group started here that may still have living members. */
const groups = new Set<number>();
let isExitHandled = false;

export interface SpawnGroupOptions {
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/**
 * Starts a program as the leader of a process group of its own, so that the whole tree can be ended with
 * one signal, even when its leader is dead. The group is killed when this process exits.
 */
export function spawnGroup(
  command: string,
  args: readonly string[],
  options: SpawnGroupOptions = {},
): CapturedProcess {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (child.pid !== undefined) groups.add(child.pid);
  if (!isExitHandled) {
    isExitHandled = true;
    process.on('exit', () => {
      for (const group of groups) signalGroup(group, 'SIGKILL');
    });
  }
  return child;
}

/** Sends a signal to every member of a group. False when there is none. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

/** Kills the whole group. The group counts as gone for the leak check once no member is alive. */
export function killGroup(group: number): void {
  signalGroup(group, 'SIGKILL');
}

/** The living members of all groups started here, and forgets the groups that have none. */
export function livingChildren(): number[] {
  const living: number[] = [];
  for (const group of groups) {
    const members = livingMembers(group);
    if (members.length === 0) groups.delete(group);
    living.push(...members);
  }
  return living;
}

/**
 * The processes of a group that are alive. Zombies are not: in a container nobody may reap them.
 * Source: proc_pid_stat(5), fields 3 (state) and 5 (pgrp).
 */
export function livingMembers(group: number): number[] {
  const members: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    let stat: string;
    try {
      stat = readFileSync(`/proc/${name}/stat`, 'latin1');
    } catch {
      continue;
    }
    // The command name stands in parentheses and may contain anything, parentheses too.
    const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(processGroup) === group && state !== 'Z' && state !== 'X') members.push(Number(name));
  }
  return members;
}
