import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@roost/testing';
import { endAfterTest } from './system.ts';

const ROOT = '/sys/fs/cgroup';

/**
 * Gives a process a memory control group of its own, in which it gets so many bytes more, and then the kernel's OOM killer.
 * Returns a function that tells how often that has killed; undefined where this machine lets nobody make a group (not root, a
 * container without it). Source: cgroups(7).
 */
export function limitMemory(pid: number, bytes: number): (() => number) | undefined {
  const isSecondVersion = existsSync(join(ROOT, 'cgroup.controllers'));
  const parent = isSecondVersion ? ROOT : join(ROOT, 'memory');
  const group = join(parent, `roost-drill-${pid}`);
  try {
    mkdirSync(group);
    endAfterTest(() => remove(group, parent));
    writeFileSync(join(group, isSecondVersion ? 'memory.max' : 'memory.limit_in_bytes'), String(bytes));
    writeFileSync(join(group, 'cgroup.procs'), String(pid));
  } catch {
    return undefined;
  }
  const events = join(group, isSecondVersion ? 'memory.events' : 'memory.oom_control');
  return () => Number(/^oom_kill (\d+)/m.exec(readFileSync(events, 'latin1'))?.[1]);
}

/** Whoever lives on does so outside. */
async function remove(group: string, parent: string): Promise<void> {
  await eventually(
    () => {
      const pids = readFileSync(join(group, 'cgroup.procs'), 'latin1').split('\n').filter(Boolean);
      for (const pid of pids) writeFileSync(join(parent, 'cgroup.procs'), pid);
      rmdirSync(group);
    },
    { what: `${group} is empty` },
  );
}
