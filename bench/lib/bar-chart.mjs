import { pathToFileURL } from 'node:url';
import { fetchPackage } from './peers.mjs';

/**
 * @import { Package } from './peers.mjs'
 *
 * @typedef {object} Bar
 * @property {string} name
 * @property {number} median
 * @property {number} min
 * @property {number} max
 * @property {string} label Of the median.
 * @property {string} ratio Empty for none.
 *
 * @typedef {{ title: string, axisTitle: string, bars: readonly Bar[] }} Panel
 *
 * @typedef {object} BarChart
 * @property {string} title
 * @property {string} subtitle
 * @property {readonly string[]} caption Lines.
 * @property {readonly Panel[]} panels Below each other.
 *
 * @typedef {Record<string, unknown>} Mark As all that is described here, of Vega: its specification says what it may have.
 */

/**
 * Vega without Vega-Lite, which asks for Node 22 and leaves less say in where things stand. The file is the bundle for
 * browsers: all of one version, so that no dependency of Vega changes a chart, and none of it measures text with a canvas.
 * @type {Package}
 */
const VEGA = { package: 'vega', version: '6.4.0', file: 'build/vega.js' };

const FONT = 'system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif';
const COLOURS = {
  // A card of its own colour, so that it can be read on the light and the dark background of GitHub.
  card: '#ffffff',
  cardBorder: '#d8dee4',
  text: '#1f2328',
  muted: '#656d76',
  grid: '#e8ebef',
  roost: '#e4572e',
  peer: '#afb8c1',
  /** No product, for orientation. */
  floor: '#dfe3e8',
  whisker: '#424a53',
};

/** In pixels of the picture, as wide as a README on GitHub. */
const WIDTH = 800;
const MARGIN = 28;
const HEADER_HEIGHT = 76;
const FOOTER_LINE_HEIGHT = 17;
const NAMES_WIDTH = 92;
const PLOT_WIDTH = 510;
const BAR_STEP = 23;
const WHISKER_CAP = 3.5;
const PANEL_TITLE_HEIGHT = 26;
const PANEL_AXIS_HEIGHT = 58;

/**
 * An SVG of panels below each other, each with a horizontal bar for each server: the median, and from the least to the
 * most. The same input gives the same bytes.
 * @param {BarChart} chart
 */
export async function drawBarChart(chart) {
  const vega = await loadVega();
  const view = new vega.View(vega.parse(describeChart(chart)), {
    renderer: 'none',
  });
  try {
    // A line for each element: a diff shows the figures that have changed.
    return `${(await view.toSVG()).replaceAll('><', '>\n<')}\n`;
  } finally {
    view.finalize();
  }
}

/**
 * The bundle exports nothing to a module; it leaves a global.
 * @returns {Promise<{
 *   parse: (spec: object) => unknown,
 *   View: new (runtime: unknown, options: object) => { toSVG: () => Promise<string>, finalize: () => void },
 * }>}
 */
async function loadVega() {
  await import(pathToFileURL(fetchPackage('Vega', VEGA)).href);
  return Reflect.get(globalThis, 'vega');
}

/** @param {BarChart} chart */
function describeChart({ title, subtitle, caption, panels }) {
  /** @type {Mark[]} */
  const marks = [];
  let y = HEADER_HEIGHT;
  for (const panel of panels) {
    marks.push(...describePanel(panel, y));
    y += PANEL_TITLE_HEIGHT + panel.bars.length * BAR_STEP + PANEL_AXIS_HEIGHT;
  }
  const footer = caption.map((line, i) => text(line, MARGIN, y + i * FOOTER_LINE_HEIGHT, { size: 11.5 }));
  const height = y + caption.length * FOOTER_LINE_HEIGHT + 8;
  return {
    width: WIDTH,
    height,
    padding: 0,
    autosize: 'none',
    marks: [
      describeCard(height),
      text(title, MARGIN, 36, { size: 18, weight: 600, colour: COLOURS.text }),
      text(subtitle, MARGIN, 57, { size: 13 }),
      ...marks,
      ...footer,
    ],
  };
}

/** @param {number} height */
function describeCard(height) {
  return {
    type: 'rect',
    encode: {
      enter: {
        // Half a pixel in, so that the border is sharp and whole.
        x: { value: 0.5 },
        y: { value: 0.5 },
        width: { value: WIDTH - 1 },
        height: { value: height - 1 },
        cornerRadius: { value: 8 },
        fill: { value: COLOURS.card },
        stroke: { value: COLOURS.cardBorder },
      },
    },
  };
}

/**
 * The title of a panel, and a group with its scales, axes and bars.
 * @param {Panel} panel
 * @param {number} top
 * @returns {Mark[]}
 */
function describePanel({ title, axisTitle, bars }, top) {
  const height = bars.length * BAR_STEP;
  const hasRatios = bars.some(({ ratio }) => ratio !== '');
  return [
    text(title, MARGIN, top + 12, { size: 13.5, weight: 600, colour: COLOURS.text }),
    ...(hasRatios ? [text('times Roost', WIDTH - MARGIN, top + 12, { size: 11.5, align: 'right' })] : []),
    {
      type: 'group',
      encode: {
        enter: {
          x: { value: MARGIN + NAMES_WIDTH },
          y: { value: top + PANEL_TITLE_HEIGHT },
          width: { value: PLOT_WIDTH },
          height: { value: height },
        },
      },
      // Grid lines are as long as the height of the picture but for this.
      signals: [{ name: 'height', value: height }],
      data: [{ name: 'bars', values: bars }],
      scales: [
        { name: 'x', type: 'linear', domain: domainOf(bars), range: [0, PLOT_WIDTH] },
        {
          name: 'y',
          type: 'band',
          domain: bars.map(({ name }) => name),
          range: [0, height],
          paddingInner: 0.34,
          paddingOuter: 0.17,
        },
      ],
      axes: [describeValueAxis(axisTitle), describeNameAxis()],
      marks: describeBars(WIDTH - MARGIN - MARGIN - NAMES_WIDTH),
    },
  ];
}

/**
 * From zero, or from the least when that is less: a difference of two readings of memory may be.
 * @param {readonly Bar[]} bars
 */
function domainOf(bars) {
  return [Math.min(0, ...bars.map(({ min }) => min)), Math.max(...bars.map(({ max }) => max))];
}

/** @param {string} title */
function describeValueAxis(title) {
  return {
    orient: 'bottom',
    scale: 'x',
    title,
    tickCount: 6,
    grid: true,
    gridColor: COLOURS.grid,
    domain: false,
    ticks: false,
    labelPadding: 6,
    labelFont: FONT,
    labelFontSize: 11,
    labelColor: COLOURS.muted,
    // Without a canvas Vega guesses how wide they are, and would leave out what it thinks is too close.
    labelOverlap: false,
    labelFlush: false,
    titleFont: FONT,
    titleFontSize: 11,
    titleFontWeight: 'normal',
    titleColor: COLOURS.muted,
    titleAnchor: 'start',
    titleAlign: 'left',
    titlePadding: 5,
  };
}

function describeNameAxis() {
  return {
    orient: 'left',
    scale: 'y',
    domain: false,
    ticks: false,
    labelPadding: 10,
    labelLimit: 0,
    labelFont: FONT,
    labelFontSize: 12.5,
    labelColor: COLOURS.text,
    labelFontWeight: { signal: "datum.value === 'Roost' ? 600 : 400" },
  };
}

/** @param {number} ratioX Where the right-aligned ratios end. */
function describeBars(ratioX) {
  return [
    {
      type: 'rect',
      from: { data: 'bars' },
      encode: {
        enter: {
          x: { scale: 'x', value: 0 },
          x2: at('median'),
          y: { scale: 'y', field: 'name' },
          height: { scale: 'y', band: 1 },
          cornerRadius: { value: 2 },
          fill: [
            { test: "datum.name === 'Roost'", value: COLOURS.roost },
            { test: "datum.name === 'bare poller'", value: COLOURS.floor },
            { value: COLOURS.peer },
          ],
        },
      },
    },
    whisker({ x: at('min'), x2: at('max'), y: middle() }),
    whisker({ x: at('min'), y: middle(-WHISKER_CAP), y2: middle(WHISKER_CAP) }),
    whisker({ x: at('max'), y: middle(-WHISKER_CAP), y2: middle(WHISKER_CAP) }),
    label({
      x: { signal: "scale('x', max(0, datum.max)) + 8" },
      text: { field: 'label' },
      fill: { value: COLOURS.text },
      fontWeight: { signal: "datum.name === 'Roost' ? 600 : 400" },
    }),
    label({
      x: { value: ratioX },
      align: { value: 'right' },
      text: { field: 'ratio' },
      fill: { value: COLOURS.muted },
    }),
  ];
}

/**
 * A text of each bar, at the height of its middle.
 * @param {Mark} encode
 */
function label(encode) {
  const font = { font: { value: FONT }, fontSize: { value: 12.5 } };
  const enter = { y: middle(), baseline: { value: 'middle' }, ...font, ...encode };
  return { type: 'text', from: { data: 'bars' }, encode: { enter } };
}

/** @param {Mark} encode */
function whisker(encode) {
  const enter = {
    stroke: { value: COLOURS.whisker },
    strokeWidth: { value: 1.25 },
    // One run has no least and most.
    opacity: { signal: 'datum.min < datum.max ? 1 : 0' },
    ...encode,
  };
  return { type: 'rule', from: { data: 'bars' }, encode: { enter } };
}

/** @param {string} field */
function at(field) {
  return { scale: 'x', field };
}

function middle(offset = 0) {
  return { scale: 'y', field: 'name', band: 0.5, offset };
}

/**
 * @param {string} content
 * @param {number} x
 * @param {number} y
 * @param {{ size: number, weight?: number, colour?: string, align?: string }} look
 * @returns {Mark}
 */
function text(content, x, y, { size, weight = 400, colour = COLOURS.muted, align = 'left' }) {
  return {
    type: 'text',
    encode: {
      enter: {
        x: { value: x },
        y: { value: y },
        text: { value: content },
        align: { value: align },
        baseline: { value: 'alphabetic' },
        font: { value: FONT },
        fontSize: { value: size },
        fontWeight: { value: weight },
        fill: { value: colour },
      },
    },
  };
}
