import { COLOURS, drawCard, FONT, HEADER_HEIGHT, MARGIN, text, WIDTH } from './chart-parts.mjs';

/**
 * @import { Mark } from './chart-parts.mjs'
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
 */

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
export function drawBarChart({ title, subtitle, caption, panels }) {
  /** @type {Mark[]} */
  const marks = [];
  let bottom = HEADER_HEIGHT;
  for (const panel of panels) {
    marks.push(...describePanel(panel, bottom));
    bottom += PANEL_TITLE_HEIGHT + panel.bars.length * BAR_STEP + PANEL_AXIS_HEIGHT;
  }
  return drawCard({ title, subtitle, caption, bottom, panels: marks });
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
