import type { WorkerInfo } from '../../api/info.ts';
import type { FarmConfig } from '../../options/options.ts';

/** A worker that exits is seen by the end of its link first, and reaped a moment later. */
const EXIT_MS = 1000;

/** What a worker that has a process did last, and when, by performance.now(). */
export interface WorkerTimes {
  startedAt: number;
  heardAt: number;
  /** When its control link ended, and why. */
  linkEnd: { readonly at: number; readonly reason: string } | undefined;
}

/**
 * Why a worker is to be killed now; undefined for one that keeps its times. `oldestSentAt` is that of the oldest hand-off
 * that it has not acknowledged.
 */
export function overdue(
  { startedAt, heardAt, linkEnd }: WorkerTimes,
  state: WorkerInfo['state'],
  oldestSentAt: number | undefined,
  config: FarmConfig,
  now: number,
): string | undefined {
  const { handOffTimeoutMs, appStartTimeoutMs, workerTimeoutMs } = config;
  if (oldestSentAt !== undefined && now - oldestSentAt > handOffTimeoutMs) {
    return 'it left a hand-off unacknowledged';
  }
  if (linkEnd !== undefined && now - linkEnd.at > EXIT_MS) {
    return `its control link ended: ${linkEnd.reason}`;
  }
  if (state === 'starting' && now - startedAt > appStartTimeoutMs) {
    return `its app was not loaded within ${appStartTimeoutMs} ms (appStartTimeoutMs)`;
  }
  return state === 'ready' && now - heardAt > workerTimeoutMs ? 'it was silent' : undefined;
}
