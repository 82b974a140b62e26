/** The lines of `judge` as a markdown table. */
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

/** A markdown table of strings. */
export function alignRows(header, rows) {
  const widths = header.map((title, column) =>
    Math.max(...[header, ...rows].map((row) => row[column].length)),
  );
  const format = (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [format(header), format(widths.map((width) => '-'.repeat(width))), ...rows.map(format)].join('\n');
}

/** Median, with the least and the most. */
export function formatSummary(summary, digits) {
  if (summary === undefined) return 'not measured';
  const text = (value) => value.toFixed(digits);
  return `${text(summary.median)} (${text(summary.min)}–${text(summary.max)})`;
}
