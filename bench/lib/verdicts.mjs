import { alignRows, formatSummary } from './table.mjs';

/**
 * A markdown table of `{what, unit, digits, target?, passes?}` with a `value` or a `summary` of several runs each.
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

/** A verdict with a target: at most `max` of its unit, by the median of a summary. */
export function atMost(verdict, max) {
  const value = verdict.summary?.median ?? verdict.value;
  return {
    ...verdict,
    target: `≤ ${Number(max.toFixed(1))} ${verdict.unit}`.trim(),
    passes: value !== undefined && value <= max,
  };
}
