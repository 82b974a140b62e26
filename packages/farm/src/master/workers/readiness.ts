import type { Readiness } from '../../api/info.ts';
import type { WorkerLife } from './worker-life.ts';

/**
 * Whether the farm can serve: at least one worker takes connections and every such worker has its broker. A farm at its
 * connection limit is ready: it serves its connected clients.
 */
export function readinessOf(
  state: 'starting' | 'running' | 'draining' | 'stopped',
  workers: readonly Pick<WorkerLife, 'state' | 'report'>[],
): Readiness {
  const reasons: string[] = [];
  if (state !== 'running') reasons.push(`The farm is ${state}.`);
  const ready = workers.filter((worker) => worker.state === 'ready');
  if (state === 'running' && ready.length === 0) reasons.push('No worker is ready.');
  for (const { report } of ready) {
    if (report === undefined || report.broker.state === 'ready') continue;
    // The broker's own reason names hosts.
    const reason = `The broker is ${report.broker.state}.`;
    if (!reasons.includes(reason)) reasons.push(reason);
  }
  return { ready: reasons.length === 0, reasons };
}
