import type { Log } from '@roost/farm';
import type { ResolvedConfig } from '../config/resolve.ts';
import { acceptQueue } from './checks/accept-queue.ts';
import { connectionTracking } from './checks/connection-tracking.ts';
import { cpuQuota } from './checks/cpu-quota.ts';
import { cpus } from './checks/cpus.ts';
import { epollWatches } from './checks/epoll-watches.ts';
import type { HostCheck } from './checks/host-check.ts';
import { memory } from './checks/memory.ts';
import { openFilesOfHost } from './checks/open-files-of-host.ts';
import { tasks } from './checks/tasks.ts';
import { tcpMemory } from './checks/tcp-memory.ts';
import { readHostFacts } from './facts/host-facts.ts';
import { judgeAll } from './finding.ts';
import { wantedOf } from './wanted.ts';

/** Those that matter to every farm, and are not said otherwise: the farm itself warns of too few descriptors. */
const CHECKS: readonly HostCheck[] = [
  memory,
  cpuQuota,
  tasks,
  connectionTracking,
  epollWatches,
  openFilesOfHost,
  tcpMemory,
  acceptQueue,
  cpus,
];

/** What a farm is judged for whose maxConnections nobody has set: its default is a bound, and no plan. */
const UNSAID_CONNECTIONS = 10_000;

const MAX_LINES = 3;

/**
 * Warns of what this host lacks, in at most three lines of the log, those that will fail first. It reads files of the
 * kernel for about a millisecond, asks nobody, and fails at nothing.
 */
export function warnOfHost({ settings, origins }: ResolvedConfig, log: Log): void {
  const isSaid = origins.get('maxConnections') !== 'default';
  const connections = isSaid ? settings.maxConnections : UNSAID_CONNECTIONS;
  const subject = { wanted: wantedOf(settings, connections), host: readHostFacts() };
  const findings = judgeAll(CHECKS, subject).filter(({ status }) => status === 'fail' || status === 'warn');
  const worst = findings.toSorted((a, b) => Number(b.status === 'fail') - Number(a.status === 'fail'));
  const more = worst.length - MAX_LINES;
  for (const [index, { check, found, needed, fix }] of worst.slice(0, MAX_LINES).entries()) {
    const isLast = index === MAX_LINES - 1;
    log.warn(
      { connections, check, found, needed, fix: fix[0]?.line, ...(isLast && more > 0 && { more }) },
      'the host lacks something: "roost doctor" tells more',
    );
  }
}
