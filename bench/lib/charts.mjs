import { drawBarChart } from './bar-chart.mjs';
import { findFigure, formatValue } from './figures.mjs';
import { describeOrigin } from './origin.mjs';

/**
 * @import { ShownFigure, ShownRow } from './figures.mjs'
 *
 * @typedef {object} Chart
 * @property {string} file Of docs/charts.
 * @property {string} title
 * @property {string} subtitle
 * @property {readonly (readonly [rowName: string, key: string])[]} panels
 * @property {boolean} hasRatios
 * @property {readonly string[]} notes
 */

const WHO = 'Roost and ws cluster have two workers, the others one process.';

/** No garbage collection is forced, so that what was taken before may have been freed meanwhile. */
const BELOW_ZERO = 'Below zero: a heap that had grown in the warm-up was given back while it was measured.';

/**
 * What is drawn.
 * @type {readonly Chart[]}
 */
export const CHARTS = [
  {
    file: 'cpu.svg',
    title: 'CPU time of the server for one operation',
    subtitle: 'User and system time of all its processes. Less is better.',
    panels: [
      ['handshake', 'cpu'],
      ['echo', 'cpu'],
      ['broadcast', 'cpu'],
    ],
    hasRatios: true,
    notes: [
      WHO,
      'The bare poller is no product but a floor: its epoll loop without the checks of WebSocket.',
    ],
  },
  {
    file: 'memory.svg',
    title: 'Memory of the server for one idle connection',
    subtitle:
      'User memory of all its processes; the kernel’s own 4 to 5 KB come on top, everywhere. Less is better.',
    panels: [
      ['idle', 'slope'],
      ['idle', 'first'],
    ],
    // What a warm connection of Roost takes is so little that the ratio would be one of noise.
    hasRatios: false,
    notes: [WHO],
  },
];

/**
 * The SVG of one chart, from all rows.
 * @param {Chart} chart
 * @param {readonly ShownRow[]} rows
 */
export function drawChart({ title, subtitle, panels, hasRatios, notes }, rows) {
  const origin = describeOrigin(rows.filter(({ row }) => panels.some(([name]) => name === row)));
  const figures = panels.map((place) => getFigure(rows, place));
  return drawBarChart({
    title,
    subtitle,
    panels: figures.map((figure) => describePanel(figure, hasRatios)),
    caption: [
      ...notes,
      ...(figures.some(isBelowZero) ? [BELOW_ZERO] : []),
      [origin.date, origin.place, origin.versions].filter(Boolean).join(' · '),
      ...(origin.warning === undefined ? [] : [origin.warning]),
    ],
  });
}

/**
 * A sentence for each panel, from the least to the most; alt text.
 * @param {Chart} chart
 * @param {readonly ShownRow[]} rows
 */
export function describeInWords({ title, panels }, rows) {
  const sentences = panels.map((place) => {
    const figure = getFigure(rows, place);
    const values = sortServers(figure).map(([name, { median }]) => `${name} ${formatValue(median, figure)}`);
    return `${capitalise(figure.title)}: ${values.join(', ')}.`;
  });
  return [`${title}.`, ...sentences].join(' ');
}

/**
 * Throws when it was not measured.
 * @param {readonly ShownRow[]} rows
 * @param {readonly [rowName: string, key: string]} place
 */
function getFigure(rows, place) {
  const figure = findFigure(rows, place);
  if (figure === undefined) throw new Error(`${place.join('/')} was never measured: npm run bench`);
  return figure;
}

/**
 * @param {ShownFigure} figure
 * @param {boolean} hasRatios
 */
function describePanel(figure, hasRatios) {
  const roost = figure.servers.Roost.median;
  const runs = Math.max(...Object.values(figure.servers).map((server) => server.runs));
  return {
    title: capitalise(figure.title),
    axisTitle: `${figure.unit}, ${runs === 1 ? 'one run' : `median of ${runs} runs; the line goes from the least to the most`}`,
    bars: sortServers(figure).map(([name, { median, min, max }]) => ({
      name,
      median,
      min,
      max,
      label: formatValue(median, figure),
      ratio: hasRatios && name !== 'Roost' ? `${(median / roost).toFixed(2)} ×` : '',
    })),
  };
}

/** @param {ShownFigure} figure */
function isBelowZero({ servers }) {
  return Object.values(servers).some(({ median }) => median < 0);
}

/** @param {ShownFigure} figure */
function sortServers({ servers }) {
  return Object.entries(servers).toSorted(([, a], [, b]) => a.median - b.median);
}

/** @param {string} title */
function capitalise(title) {
  return title[0].toUpperCase() + title.slice(1);
}
