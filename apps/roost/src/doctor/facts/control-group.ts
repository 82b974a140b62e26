import { dirname, join } from 'node:path';
import type { SystemFiles } from './system-files.ts';

/** What the control groups of this process, and those around them, leave it. Undefined: they set no limit. */
export interface ControlGroup {
  /** Memory that may still be used, page cache that can be given up not counted; and the limit that is closest. */
  readonly memory: { readonly limitBytes: number; readonly freeBytes: number } | undefined;
  /** CPUs' worth of time: 1.5 is three CPUs for half of the time. */
  readonly cpuQuota: number | undefined;
  /** Processes and threads. */
  readonly tasks: { readonly max: number; readonly used: number } | undefined;
}

/** Version 1 writes its largest number for no limit. */
const UNLIMITED_BYTES = 2 ** 60;

/**
 * cgroups(7): version 2 has one tree, version 1 one for each controller, and both may be mounted. In a container the path
 * of its group may be that of the host, while only its own part of the tree is there: then the top of what is there is it.
 */
export function readControlGroup(files: SystemFiles): ControlGroup {
  const paths = groupsOf(files);
  return {
    memory: smallest(
      [
        ...folders(paths.get(''), '/sys/fs/cgroup').map((folder) => memoryOfV2(files, folder)),
        ...folders(paths.get('memory'), '/sys/fs/cgroup/memory').map((folder) => memoryOfV1(files, folder)),
      ],
      ({ freeBytes }) => freeBytes,
    ),
    cpuQuota: smallest(
      [
        ...folders(paths.get(''), '/sys/fs/cgroup').map((folder) => quotaOfV2(files, folder)),
        ...['cpu', 'cpu,cpuacct'].flatMap((mount) =>
          folders(paths.get('cpu'), join('/sys/fs/cgroup', mount)).map((folder) => quotaOfV1(files, folder)),
        ),
      ],
      (quota) => quota,
    ),
    tasks: smallest(
      [...folders(paths.get(''), '/sys/fs/cgroup'), ...folders(paths.get('pids'), '/sys/fs/cgroup/pids')].map(
        (folder) => tasksOf(files, folder),
      ),
      ({ max, used }) => max - used,
    ),
  };
}

/** The group of each controller; that of version 2 has an empty name. */
function groupsOf(files: SystemFiles): Map<string, string> {
  const groups = new Map<string, string>();
  for (const line of (files.text('/proc/self/cgroup') ?? '').split('\n')) {
    const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    for (const controller of controllers.split(',')) groups.set(controller, path);
  }
  return groups;
}

/** A group and all around it. */
function folders(path: string | undefined, mount: string): string[] {
  const list = [mount];
  for (let at = path ?? '/'; at !== '/' && at !== '.' && at !== ''; at = dirname(at))
    list.push(join(mount, at));
  return list;
}

function memoryOfV2(files: SystemFiles, folder: string): ControlGroup['memory'] {
  const [limitBytes] = files.numbers(join(folder, 'memory.max')) ?? [];
  const [used = 0] = files.numbers(join(folder, 'memory.current')) ?? [];
  if (limitBytes === undefined) return undefined;
  return left(limitBytes, used, files.text(join(folder, 'memory.stat')), 'inactive_file');
}

function memoryOfV1(files: SystemFiles, folder: string): ControlGroup['memory'] {
  const [limitBytes] = files.numbers(join(folder, 'memory.limit_in_bytes')) ?? [];
  const [used = 0] = files.numbers(join(folder, 'memory.usage_in_bytes')) ?? [];
  if (limitBytes === undefined || limitBytes >= UNLIMITED_BYTES) return undefined;
  return left(limitBytes, used, files.text(join(folder, 'memory.stat')), 'total_inactive_file');
}

function left(
  limitBytes: number,
  used: number,
  stat: string | undefined,
  cache: string,
): ControlGroup['memory'] {
  const spare = Number(new RegExp(`^${cache} (\\d+)`, 'm').exec(stat ?? '')?.[1] ?? 0);
  return { limitBytes, freeBytes: Math.max(0, limitBytes - Math.max(0, used - spare)) };
}

function quotaOfV2(files: SystemFiles, folder: string): number | undefined {
  // "max 100000", or "150000 100000".
  const [quota, period] = files.numbers(join(folder, 'cpu.max')) ?? [];
  return quota === undefined || period === undefined ? undefined : quota / period;
}

function quotaOfV1(files: SystemFiles, folder: string): number | undefined {
  const [quota = -1] = files.numbers(join(folder, 'cpu.cfs_quota_us')) ?? [];
  const [period] = files.numbers(join(folder, 'cpu.cfs_period_us')) ?? [];
  return quota < 0 || period === undefined ? undefined : quota / period;
}

function tasksOf(files: SystemFiles, folder: string): ControlGroup['tasks'] {
  const [max] = files.numbers(join(folder, 'pids.max')) ?? [];
  const [used = 0] = files.numbers(join(folder, 'pids.current')) ?? [];
  return max === undefined ? undefined : { max, used };
}

function smallest<Value>(
  values: readonly (Value | undefined)[],
  by: (value: Value) => number,
): Value | undefined {
  let result: Value | undefined;
  for (const value of values) {
    if (value !== undefined && (result === undefined || by(value) < by(result))) result = value;
  }
  return result;
}
