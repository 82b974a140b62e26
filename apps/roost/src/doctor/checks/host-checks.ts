import { acceptQueue } from './accept-queue.ts';
import { capacity } from './capacity.ts';
import { connectionTracking } from './connection-tracking.ts';
import { cpuQuota } from './cpu-quota.ts';
import { cpus } from './cpus.ts';
import { epollWatches } from './epoll-watches.ts';
import type { HostCheck } from './host-check.ts';
import { localPorts } from './local-ports.ts';
import { memory } from './memory.ts';
import { openFilesCeiling } from './open-files-ceiling.ts';
import { openFilesOfHost } from './open-files-of-host.ts';
import { openFiles } from './open-files.ts';
import { overcommit } from './overcommit.ts';
import { swap } from './swap.ts';
import { synQueue } from './syn-queue.ts';
import { tasks } from './tasks.ts';
import { receiveBuffers, sendBuffers } from './tcp-buffers.ts';
import { tcpMemory } from './tcp-memory.ts';

/** What the kernel's files tell, in the order in which a host runs out of it. */
export const HOST_CHECKS: readonly HostCheck[] = [
  capacity,
  openFiles,
  openFilesCeiling,
  openFilesOfHost,
  epollWatches,
  memory,
  swap,
  overcommit,
  cpus,
  cpuQuota,
  tasks,
  acceptQueue,
  synQueue,
  tcpMemory,
  receiveBuffers,
  sendBuffers,
  connectionTracking,
  localPorts,
];
