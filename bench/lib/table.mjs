/** @import { Line, Summary } from './statistics.mjs' */

/** Characters of a rule; fewer are none in some readers of markdown. */
const MIN_RULE = 3;

/**
 * The lines of `judge` as a markdown table.
 * @param {readonly Line[]} lines
 */
export function formatTable(lines) {
  const rows = lines.map(({ figure, roost, peerName, peer, ratio, target, passes }) => [
    figure.title,
    figure.unit,
    formatSummary(roost, figure.digits),
    peerName === undefined ? '' : `${peerName}: ${formatSummary(peer, figure.digits)}`,
    ratio === undefined ? '' : ratio.toFixed(2),
    target ?? '',
    passes === undefined ? '' : passes ? 'pass' : '**FAIL**',
  ]);
  return alignRows(['figure', 'unit', 'Roost', 'peer', 'Roost / peer', 'target', 'result'], rows);
}

/**
 * A markdown table of strings, as oxfmt wants it. Columns from `firstNumber` on are numbers and stand to the right.
 * @param {readonly string[]} header
 * @param {readonly (readonly string[])[]} rows
 */
export function alignRows(header, rows, firstNumber = header.length) {
  const widths = header.map((_, column) =>
    Math.max(MIN_RULE, ...[header, ...rows].map((row) => row[column].length)),
  );
  /** @type {(cell: string, column: number) => string} */
  const align = (cell, column) =>
    column < firstNumber ? cell.padEnd(widths[column]) : cell.padStart(widths[column]);
  /** @type {(cells: readonly string[]) => string} */
  const format = (cells) => `| ${cells.map(align).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column < firstNumber ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [format(header), format(rule), ...rows.map(format)].join('\n');
}

/**
 * Median, with the least and the most.
 * @param {Summary | undefined} summary
 * @param {number} digits
 */
export function formatSummary(summary, digits) {
  if (summary === undefined) return 'not measured';
  /** @type {(value: number) => string} */
  const text = (value) => value.toFixed(digits);
  return `${text(summary.median)} (${text(summary.min)}–${text(summary.max)})`;
}
