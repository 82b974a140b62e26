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
const BELOW_ZERO = 'Below zero: the heap had grown in the warm-up, and shrank during the measurement.';

/**
 * What is drawn.
 * @type {readonly Chart[]}
 */
export const CHARTS = [
  {
    file: 'cpu.svg',
    title: 'Server CPU per operation',
    subtitle: 'User and system time of all its processes. Less is better.',
    panels: [
      ['cold', 'first2000'],
      ['handshake', 'cpu'],
      ['echo', 'cpu'],
      ['broadcast', 'cpu'],
    ],
    hasRatios: true,
    notes: [
      WHO,
      'The bare poller is not a product: it is the addon’s epoll loop without WebSocket validation, as a lower bound.',
    ],
  },
  {
    file: 'memory.svg',
    title: 'Server memory per idle connection',
    subtitle: 'User memory of all its processes, without the kernel’s own 4 to 5 KB. Less is better.',
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
 * What the chart shows, as alt text. The table of the README has its figures.
 * @param {Chart} chart
 * @param {readonly ShownRow[]} rows
 */
export function describeInWords({ panels }, rows) {
  const titles = panels.map((place) => getFigure(rows, place).title);
  const list = titles.join('; ');
  return `${list.charAt(0).toUpperCase()}${list.slice(1)}. Figures: table below.`;
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
    axisTitle: `${figure.unit}, ${runs === 1 ? 'one run' : `median of ${runs} runs; the line is the range`}`,
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
