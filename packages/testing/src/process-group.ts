import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Readable, Writable } from 'node:stream';

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export type CapturedProcess = ChildProcessByStdio<null, Readable, Readable>;

/** Every process group started here that may still have living members. */
const groups = new Set<number>();

/**
 * Reads which groups there are ("+4711", "-4711"), and kills those that are left when its input ends, which is with
 * this process, however that ends: the runner kills a process that does not end in time, and then no listener runs.
 */
const REAPER = `groups=' '
while read -r line; do
  case $line in
    +*) groups="$groups\${line#+} " ;;
    -*) groups=\${groups%% \${line#-} *}' '\${groups#* \${line#-} } ;;
  esac
done
for group in $groups; do kill -s KILL -- "-$group"; done`;
let reaper: ChildProcessByStdio<Writable, null, null> | undefined;

export interface SpawnGroupOptions {
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/**
 * Starts a program as the leader of a process group of its own, so that the whole tree can be ended with
 * one signal, even when its leader is dead. The group is killed when this process ends, however it does.
 */
export function spawnGroup(
  command: string,
  args: readonly string[],
  options: SpawnGroupOptions = {},
): CapturedProcess {
  startReaper();
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (child.pid !== undefined) {
    groups.add(child.pid);
    reaper?.stdin.write(`+${child.pid}\n`);
  }
  return child;
}

function startReaper(): void {
  if (reaper !== undefined) return;
  // A group of its own: what a terminal sends to the runner must not end it first.
  reaper = spawn('/bin/sh', ['-c', REAPER], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  reaper.unref();
  reaper.stdin.on('error', () => {});
  if (reaper.stdin instanceof Socket) reaper.stdin.unref();
  process.on('exit', () => {
    for (const group of groups) signalGroup(group, 'SIGKILL');
  });
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
    if (members.length === 0) {
      groups.delete(group);
      // Its number may be another's soon.
      reaper?.stdin.write(`-${group}\n`);
    }
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
