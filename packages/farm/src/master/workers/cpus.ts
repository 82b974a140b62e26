import { readFileSync } from 'node:fs';

/** The CPUs this process may use, ascending. Must be asked before anything is pinned. (proc(5), Cpus_allowed_list.) */
export function allowedCpus(): number[] {
  // Elsewhere the poller refuses to run, and says so better than a missing file would.
  if (process.platform !== 'linux') return [0];
  const status = readFileSync('/proc/self/status', 'latin1');
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1];
  return list === undefined ? [0] : parseCpuList(list);
}

/** `0-2,5` is 0, 1, 2, 5. */
export function parseCpuList(list: string): number[] {
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}
