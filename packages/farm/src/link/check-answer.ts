import { FarmError } from '../api/errors.ts';
import type { WorkerReport } from './worker-report.ts';
import type { AskAnswer, WorkerMeasured } from './questions.ts';

/** The parts of what a worker has measured. */
const MEASURED: readonly (keyof WorkerMeasured)[] = [
  'totals',
  'gauges',
  'histograms',
  'connections',
  'sockets',
  'closes',
];

/**
 * What the master adds up. The other side is our own code of the same version; but an invalid report would spoil the sums
 * of the whole farm. Throws a FarmError with FARM_ERR_LINK.
 */
export function checkReport(report: WorkerReport): WorkerReport {
  const given: unknown = report;
  if (isObject(given) && isObject(given['counters']) && isObject(given['broker'])) return report;
  throw malformed('report', given);
}

/** The same for the answer to a question. */
export function checkAnswer(answer: AskAnswer): AskAnswer {
  const given: unknown = answer;
  if (isObject(given) && isAnswer(answer)) return answer;
  throw malformed('answer', given);
}

function isAnswer(answer: AskAnswer): boolean {
  const given: unknown = answer;
  switch (answer.kind) {
    case 'report':
      return checkReport(answer.report) !== undefined;
    case 'metrics':
      return checkReport(answer.report) !== undefined && isMeasured(answer.measured);
    case 'channels':
      return isObject(given) && Array.isArray(given['channels']);
    case 'connection':
      return isObject(given) && typeof given['details'] === 'object';
    case 'counts':
      return isObject(given) && Array.isArray(given['counts']);
    case 'members':
      return isObject(given) && isObject(given['members']) && Array.isArray(given['members']['members']);
    case 'done':
    case 'refused':
      return true;
    default:
      return false;
  }
}

function isMeasured(given: unknown): boolean {
  return isObject(given) && MEASURED.every((part) => isObject(given[part]));
}

function malformed(what: string, given: unknown): FarmError {
  return new FarmError('FARM_ERR_LINK', `A worker sent an invalid ${what}: ${JSON.stringify(given)}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
