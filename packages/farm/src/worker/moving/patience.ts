import type { FarmConfig } from '../../options/options.ts';
import type { SourceStage } from './source-protocol.ts';

/** Between two tries, in ms: at first, and at most. */
export const FIRST_PAUSE_MS = 50;
export const LAST_PAUSE_MS = 5000;
/** How many times as long as the watchdog a source waits for an answer. */
const WATCHDOGS = 3;
/** As long as the watchdog, where that is off. */
const NO_WATCHDOG_MS = 10_000;

/** How long a source waits in a stage, in ms. */
export function patienceOf(
  stage: SourceStage,
  {
    moveTimeoutMs,
    subscribeTimeoutMs,
    workerTimeoutMs,
  }: Pick<FarmConfig, 'moveTimeoutMs' | 'subscribeTimeoutMs' | 'workerTimeoutMs'>,
): number {
  if (stage === 'frozen') return moveTimeoutMs;
  if (stage !== 'captured') return Math.max(moveTimeoutMs, subscribeTimeoutMs);
  // A target that lives answers, as soon as it has a CPU, and one that is stuck the master's watchdog ends, which can tell the
  // two apart. To have one killed costs all that has moved to it.
  return Math.max(moveTimeoutMs, WATCHDOGS * (workerTimeoutMs === 0 ? NO_WATCHDOG_MS : workerTimeoutMs));
}
