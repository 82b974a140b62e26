import type { ChangeReport, ChangeStatus, LifeInfo } from '@roost/farm';

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
  const { kind, worker, of, moved, left, closed, rate, pauseP99Ms } = report;
  return `${kind}: worker ${worker} of ${of}, ${moved} moved, ${left} left, ${closed} closed, ${rate}/s, pause p99 ${pauseP99Ms} ms`;
}

/** How it ended. `reason`: why it stopped. */
export function outcomeInWords(report: ChangeReport, reason?: string): string {
  const { moved, closed, seconds, pauseP99Ms, pauseMaxMs } = report;
  const figures = `${moved} connections moved, ${closed} closed, in ${seconds} s; pause p99 ${pauseP99Ms} ms, at most ${pauseMaxMs} ms`;
  return reason === undefined ? `${DONE[report.kind]}: ${figures}.` : `Stopped: ${reason} (${figures}.)`;
}

/** Who lives, and what is under way, in lines. */
export function statusInWords({ current, last, lives }: ChangeStatus): string {
  const lines = lives.map(lifeInWords);
  if (current !== undefined) lines.push(progressInWords(current));
  else if (last !== undefined) {
    lines.push(`last change (${last.report.kind}): ${outcomeInWords(last.report, last.stoppedBy)}`);
  }
  return `${lines.join('\n')}\n`;
}

function lifeInWords({ worker, pid, state, role, connections, apps, counters }: LifeInfo): string {
  const counts = ['closed', 'closed_abnormally', 'app_errors'].map(
    (name) => `${name} ${counters[name] ?? 0}`,
  );
  const names = apps.length === 0 ? '' : `, ${apps.join(', ')}`;
  return `worker ${worker}: ${role}, ${state}, pid ${pid}, ${connections} connections, ${counts.join(', ')}${names}`;
}
