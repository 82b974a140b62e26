import { FarmError } from '../api/errors.ts';
import type { AskAnswer, WorkerReport } from './messages.ts';

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
export function checkAnswer(answer: AskAnswer): void {
  const given: unknown = answer;
  if (isObject(given)) {
    if (answer.kind === 'report') {
      checkReport(answer.report);
      return;
    }
    if (Array.isArray(given['channels'])) return;
  }
  throw malformed('answer', given);
}

function malformed(what: string, given: unknown): FarmError {
  return new FarmError('FARM_ERR_LINK', `A worker sent an invalid ${what}: ${JSON.stringify(given)}`);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
