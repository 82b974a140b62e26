import { COLOURS, drawCard, FONT, HEADER_HEIGHT, MARGIN, text, WIDTH } from './chart-parts.mjs';

/**
 * @import { Mark } from './chart-parts.mjs'
 *
 * @typedef {object} Line
 * @property {string} name
 * @property {readonly number[]} values One for each point of the chart's `xs`.
 *
 * @typedef {{ title: string, unit: string, lines: readonly Line[] }} Panel
 *
 * @typedef {object} LineChart
 * @property {string} title
 * @property {string} subtitle
 * @property {readonly string[]} caption Lines.
 * @property {string} xTitle
 * @property {readonly number[]} xs
 * @property {readonly Panel[]} panels Below each other, over the same xs.
 */

/** Okabe and Ito's, which people with any sight can tell apart. */
const LINE_COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];
const AXIS_WIDTH = 48;
const NAMES_WIDTH = 130;
const PLOT_WIDTH = WIDTH - 2 * MARGIN - AXIS_WIDTH - NAMES_WIDTH;
const PLOT_HEIGHT = 110;
const PANEL_TITLE_HEIGHT = 24;
const PANEL_AXIS_HEIGHT = 34;
const NAME_HEIGHT = 16;

/**
 * An SVG of panels below each other, with lines over time, each from zero. The same input gives the same bytes.
 * @param {LineChart} chart
 */
export function drawLineChart({ title, subtitle, caption, xTitle, xs, panels }) {
  /** @type {Mark[]} */
  const marks = [];
  let bottom = HEADER_HEIGHT;
  for (const [index, panel] of panels.entries()) {
    marks.push(
      ...describePanel(panel, { top: bottom, xs, xTitle: index === panels.length - 1 ? xTitle : '' }),
    );
    bottom += PANEL_TITLE_HEIGHT + PLOT_HEIGHT + PANEL_AXIS_HEIGHT;
  }
  return drawCard({ title, subtitle, caption, bottom: bottom + 22, panels: marks });
}

/**
 * @param {Panel} panel
 * @param {{ top: number, xs: readonly number[], xTitle: string }} place
 * @returns {Mark[]}
 */
function describePanel({ title, unit, lines }, { top, xs, xTitle }) {
  const left = MARGIN + AXIS_WIDTH;
  const most = Math.max(...lines.flatMap(({ values }) => values));
  const heading = unit === '' ? title : `${title} (${unit})`;
  const names = lines.map(({ name }, index) =>
    text(name, left + PLOT_WIDTH + 10, top + PANEL_TITLE_HEIGHT + 12 + index * NAME_HEIGHT, {
      size: 12,
      weight: 600,
      colour: colourOf(index),
    }),
  );
  return [
    text(heading, MARGIN, top + 12, { size: 13.5, weight: 600, colour: COLOURS.text }),
    ...names,
    {
      type: 'group',
      encode: {
        enter: {
          x: { value: left },
          y: { value: top + PANEL_TITLE_HEIGHT },
          width: { value: PLOT_WIDTH },
          height: { value: PLOT_HEIGHT },
        },
      },
      // Grid lines are as long as the picture is wide and high, but for these.
      signals: [
        { name: 'width', value: PLOT_WIDTH },
        { name: 'height', value: PLOT_HEIGHT },
      ],
      data: lines.map(({ values }, index) => ({
        name: `line${index}`,
        values: values.map((value, at) => ({ x: xs[at], y: value })),
      })),
      scales: [
        { name: 'x', type: 'linear', domain: [0, xs[xs.length - 1]], range: [0, PLOT_WIDTH] },
        { name: 'y', type: 'linear', domain: [0, most], nice: true, range: [PLOT_HEIGHT, 0] },
      ],
      axes: [
        { ...axis('bottom', 'x'), title: xTitle, grid: false, ticks: true, tickColor: COLOURS.grid },
        axis('left', 'y'),
      ],
      marks: lines.map((_, index) => ({
        type: 'line',
        from: { data: `line${index}` },
        encode: {
          enter: {
            x: { scale: 'x', field: 'x' },
            y: { scale: 'y', field: 'y' },
            stroke: { value: colourOf(index) },
            strokeWidth: { value: 1.5 },
          },
        },
      })),
    },
  ];
}

/** @param {number} index */
function colourOf(index) {
  return LINE_COLOURS[index % LINE_COLOURS.length];
}

/**
 * @param {'bottom' | 'left'} orient
 * @param {'x' | 'y'} scale
 */
function axis(orient, scale) {
  return {
    orient,
    scale,
    tickCount: scale === 'x' ? 10 : 4,
    grid: true,
    gridColor: COLOURS.grid,
    domain: false,
    ticks: false,
    labelPadding: 6,
    labelFont: FONT,
    labelFontSize: 11,
    labelColor: COLOURS.muted,
    labelOverlap: false,
    titleFont: FONT,
    titleFontSize: 11,
    titleFontWeight: 'normal',
    titleColor: COLOURS.muted,
  };
}
