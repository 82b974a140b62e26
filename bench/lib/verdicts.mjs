import { alignRows, formatSummary } from './table.mjs';

/**
 * @import { Summary } from './statistics.mjs'
 *
 * @typedef {object} Verdict A figure, with a `value` or a `summary` of several runs; undefined when it was not measured.
 * @property {string} what
 * @property {string} unit
 * @property {number} digits Behind the point.
 * @property {number | undefined} [value]
 * @property {Summary | undefined} [summary]
 * @property {string} [target]
 * @property {boolean} [passes]
 */

/**
 * A markdown table.
 * @param {readonly Verdict[]} verdicts
 */
export function formatVerdicts(verdicts) {
  const rows = verdicts.map(({ what, unit, value, summary, digits, target, passes }) => [
    what,
    unit,
    summary === undefined ? (value?.toFixed(digits) ?? 'not measured') : formatSummary(summary, digits),
    target ?? '',
    passes === undefined ? '' : passes ? 'pass' : '**FAIL**',
  ]);
  return alignRows(['figure', 'unit', 'Roost', 'target', 'result'], rows);
}

/**
 * A verdict with a target: at most `max` of its unit, by the median of a summary.
 * @param {Verdict} verdict
 * @param {number} max
 * @returns {Verdict}
 */
export function atMost(verdict, max) {
  const value = verdict.summary?.median ?? verdict.value;
  return {
    ...verdict,
    target: `≤ ${Number(max.toFixed(1))} ${verdict.unit}`.trim(),
    passes: value !== undefined && value <= max,
  };
}
