import { readdirSync, readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { messageOf } from './message-of.mjs';

/** @typedef {{ pss: number, own: number }} Memory In bytes; see memoryOf. */

const QUIET_WINDOW_MS = 500;
/** A farm reports every second; a garbage collection takes longer than this. */
const QUIET_CPU_MS = 20;
const QUIET_CPU_MS_EACH = 2;
/** A worker of Roost has given back what a wave left after 8 s, its master what the start left after 10. */
export const SETTLE_MS = 12_000;

/**
 * Fields of /proc/<pid>/stat from the third on (proc(5)): the second, the name, may contain anything.
 * @param {number | string} pid
 */
function readStat(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return text.slice(text.lastIndexOf(')') + 2).split(' ');
}

/**
 * False for a process that has ended, also before its parent has asked after it.
 * @param {number} pid
 */
export function isRunning(pid) {
  try {
    return !['Z', 'X'].includes(readStat(pid)[0]);
  } catch {
    return false;
  }
}

/** nice(2) of clients that share the server's CPUs. */
const CLIENT_NICENESS = 10;

/**
 * Has a process of clients, and all its descendants, come behind the server for a CPU, as if they were on another machine.
 * @param {number} root
 */
export function putLast(root) {
  for (const pid of processTree(root)) setPriority(pid, CLIENT_NICENESS);
}

/**
 * A process and all its descendants.
 * @param {number} root
 */
export function processTree(root) {
  /** @type {Map<number, number[]>} */
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const parent = Number(readStat(name)[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended while we looked.
    }
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

/**
 * CPU time of all threads of all these processes, in ms, to the nanosecond (Documentation/scheduler/sched-stats.rst in
 * Linux). A thread that has ended counts no more; those of servers live as long as their process.
 * @param {readonly number[]} pids
 */
export function cpuMs(pids) {
  let nanoseconds = 0;
  for (const pid of pids) {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    }
  }
  return nanoseconds / 1e6;
}

/**
 * Memory of these processes together, in bytes. `pss` is their proportional set size: pages shared with other processes
 * count in part. `own` is the part of it that is no file's (anonymous and shared memory): the rest is mostly Node's own
 * code, whose share moves whenever any other Node on the machine starts or ends.
 * @param {readonly number[]} pids
 * @returns {Memory}
 */
export function memoryOf(pids) {
  const memory = { pss: 0, own: 0 };
  for (const pid of pids) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    memory.pss += bytesOf(rollup, 'Pss');
    memory.own += bytesOf(rollup, 'Pss_Anon') + bytesOf(rollup, 'Pss_Shmem');
  }
  return memory;
}

/**
 * A field of what /proc tells of memory, in bytes.
 * @param {string} text
 * @param {string} field
 */
export function bytesOf(text, field) {
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(text)?.[1];
  if (kilobytes === undefined) throw new Error(`/proc has no ${field}`);
  return Number(kilobytes) * 1024;
}

/**
 * Resolves when the processes have used next to no CPU for two windows of half a second. Throws at the deadline.
 * More than a few processes use more than that by their reports alone: 2 ms each are next to nothing for them.
 * @param {readonly number[]} pids
 */
export async function waitUntilQuiet(pids, deadlineMs = 60_000) {
  const deadline = performance.now() + deadlineMs;
  const quietCpuMs = Math.max(QUIET_CPU_MS, pids.length * QUIET_CPU_MS_EACH);
  let quietWindows = 0;
  let before = cpuMs(pids);
  while (quietWindows < 2) {
    if (performance.now() > deadline) throw new Error(`processes ${pids.join(', ')} do not become quiet`);
    await delay(QUIET_WINDOW_MS);
    const now = cpuMs(pids);
    quietWindows = now - before <= quietCpuMs ? quietWindows + 1 : 0;
    before = now;
  }
}

/**
 * Waits for what was before to be over, as far as the machine allows.
 * @param {readonly number[]} pids
 */
export async function settle(pids) {
  try {
    await waitUntilQuiet(pids, 10_000);
  } catch (error) {
    console.log(`warning: ${messageOf(error)}`);
  }
}

/**
 * Resolves when the processes are quiet and have had the time to give back what they do not need, for memory.
 * @param {readonly number[]} pids
 */
export async function waitUntilSettled(pids) {
  await waitUntilQuiet(pids);
  await delay(SETTLE_MS);
  await waitUntilQuiet(pids);
}
