import { readFileSync } from 'node:fs';

/** What Linux gives a process that nobody configured. */
const USUAL_LIMIT = 1024;

/** How many descriptors this process may open: the soft limit of RLIMIT_NOFILE (proc(5)), Infinity when there is none. */
export function descriptorLimit(): number {
  // Elsewhere the poller refuses to run, and says so better than a missing file would.
  if (process.platform !== 'linux') return USUAL_LIMIT;
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}
