import type { WorkerLife } from '../workers/worker-life.ts';
import type { ChangeParts } from './change-parts.ts';

/** A worker keeps to `retireMs` itself, and needs some time to stop. */
const STOP_FACTOR = 4;

/** Has a life end what it could not move, and go. Killed when it does not. Resolves when it has gone. */
export function retireLife(life: WorkerLife, { config, events, guard }: ChangeParts): Promise<void> {
  const { drainMs, retireMs, stopTimeoutMs } = config;
  const end = events.end(life);
  // It has died, which nobody waited for.
  if (!life.hasProcess) return end;
  life.retire(drainMs, retireMs);
  const timer = guard.after(retireMs + STOP_FACTOR * stopTimeoutMs, 'the end of a retirement', () =>
    life.kill('it did not end after its connections had moved'),
  );
  guard.wait(end, 'the end of a worker', () => clearTimeout(timer));
  return end;
}
