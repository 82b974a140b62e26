import { CHARTS, describeInWords } from './charts.mjs';
import { findFigure, formatNumber, formatValue } from './figures.mjs';
import { describeOrigin, serversOf } from './origin.mjs';
import { alignRows } from './table.mjs';

/** @import { ShownFigure, ShownRow, ShownSummary } from './figures.mjs' */

/** Between these lines of the README stands what is made here. */
const BEGIN = '<!-- figures: made by npm run bench:charts -->';
const END = '<!-- end of figures -->';

/** @type {readonly (readonly [rowName: string, key: string])[]} */
const TABLE = [
  ['idle', 'slope'],
  ['idle', 'first'],
  ['empty-worker', 'embedded'],
  ['empty-worker', 'own'],
  ['cold', 'first2000'],
  ['cold', 'firstAll'],
  ['handshake', 'cpu'],
  ['echo', 'cpu'],
  ['broadcast', 'cpu'],
];

/** Of the median: with less between the least and the most, the median says enough. */
const WIDE_RANGE = 0.5;

/**
 * Answers the text of the README with the figures in it: where they were made, the charts with alt text, and the table.
 * @param {string} readme
 * @param {readonly ShownRow[]} rows
 */
export function putFigures(readme, rows) {
  const begin = readme.indexOf(BEGIN);
  const end = readme.indexOf(END);
  if (begin === -1 || end < begin) throw new Error(`README.md has no lines "${BEGIN}" and "${END}"`);
  const { date, place, versions, runs, warning } = describeOrigin(rows);
  const origin = [place, versions, date, runs].filter(Boolean).join('; ');
  const parts = [
    `${origin}.${warning === undefined ? '' : ` ${warning}`}`,
    ...CHARTS.map((chart) => `![${describeInWords(chart, rows)}](docs/charts/${chart.file})`),
    formatFigures(rows),
  ];
  return `${readme.slice(0, begin)}${[BEGIN, ...parts, END].join('\n\n')}${readme.slice(end + END.length)}`;
}

/**
 * A markdown table with a line for each figure and a column for each server.
 * @param {readonly ShownRow[]} rows
 */
function formatFigures(rows) {
  const servers = serversOf(rows);
  const lines = TABLE.flatMap((place) => {
    const figure = findFigure(rows, place);
    if (figure === undefined) return [];
    return [[figure.title, ...servers.map((name) => formatCell(figure, figure.servers[name]))]];
  });
  return alignRows(['', ...servers], lines, 1);
}

/**
 * @param {ShownFigure} figure
 * @param {ShownSummary | undefined} summary
 */
function formatCell(figure, summary) {
  if (summary === undefined) return '';
  const { median, min, max } = summary;
  const text = formatValue(median, figure);
  if (max - min <= Math.abs(median) * WIDE_RANGE) return text;
  return `${text} (${formatNumber(min, figure)} to ${formatNumber(max, figure)})`;
}
