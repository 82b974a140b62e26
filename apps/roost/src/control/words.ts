import type { ChangeOutcome, ChangeReport, ChangeStatus, LifeInfo } from '@roost/farm';

type OutcomeInFact = Pick<ChangeOutcome, 'report'> & Partial<ChangeOutcome>;

const DONE: Readonly<Record<ChangeReport['kind'], string>> = {
  reload: 'All workers are new',
  canary: 'The canary runs',
  continue: 'All workers are new',
  rollback: 'The canary has gone',
  workers: 'The number of workers has changed',
  rebalance: 'The workers are even',
};

/** One line for people: where a change is. */
export function progressInWords(report: ChangeReport): string {
  const { kind, worker, of, moved, left, rate, pauseP99Ms } = report;
  // A canary, and an evening out, go through no list of workers.
  const where = of === 0 ? '' : `worker ${worker} of ${of}, `;
  return `${kind}: ${where}${moved} moved, ${left} left, ${costInWords(report)}, ${rate}/s, pause p99 ${pauseP99Ms} ms`;
}

function costInWords({ closed, lost }: ChangeReport): string {
  return lost === 0 ? `${closed} closed` : `${closed} closed, ${lost} lost`;
}

/** How it ended. */
export function outcomeInWords({ report, stoppedBy, lostBy }: OutcomeInFact): string {
  const { moved, seconds, pauseP99Ms, pauseMaxMs } = report;
  const figures = `${moved === 1 ? '1 connection' : `${moved} connections`} moved, ${costInWords(report)}, in ${seconds} s; pause p99 ${pauseP99Ms} ms, at most ${pauseMaxMs} ms`;
  if (stoppedBy !== undefined) return `Stopped: ${stoppedBy} (${figures}.)`;
  const done = DONE[report.kind];
  return lostBy === undefined
    ? `${done}: ${figures}.`
    : `${done}, but not without a loss: ${lostBy} (${figures}.)`;
}

/** Who lives, and what is under way, in lines. */
export function statusInWords({ current, last, lives }: ChangeStatus): string {
  const lines = lives.map(lifeInWords);
  if (current !== undefined) lines.push(progressInWords(current));
  else if (last !== undefined) {
    lines.push(`last change (${last.report.kind}): ${outcomeInWords(last)}`);
  }
  return `${lines.join('\n')}\n`;
}

function lifeInWords({ worker, pid, state, role, connections, apps, counters }: LifeInfo): string {
  const counts = ['closed', 'closed_abnormally', 'app_errors'].map(
    (name) => `${name} ${counters[name] ?? 0}`,
  );
  const names = apps.length === 0 ? '' : `, apps: ${apps.join(', ')}`;
  return `worker ${worker}: ${role}, ${state}, pid ${pid}, ${connections} connections, ${counts.join(', ')}${names}`;
}
