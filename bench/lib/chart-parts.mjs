import { pathToFileURL } from 'node:url';
import { fetchPackage } from './peers.mjs';

/**
 * @import { Package } from './peers.mjs'
 *
 * @typedef {Record<string, unknown>} Mark As all that is described here, of Vega: its specification says what it may have.
 */

/**
 * Vega without Vega-Lite, which asks for Node 22 and leaves less say in where things stand. The file is the bundle for
 * browsers: all of one version, so that no dependency of Vega changes a chart, and none of it measures text with a canvas.
 * @type {Package}
 */
const VEGA = { package: 'vega', version: '6.4.0', file: 'build/vega.js' };

/** In pixels of the picture, as wide as a README on GitHub. */
export const WIDTH = 800;
export const MARGIN = 28;
export const HEADER_HEIGHT = 76;
const FOOTER_LINE_HEIGHT = 17;
export const FONT = 'system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif';
export const COLOURS = {
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

/**
 * The SVG of a specification of Vega. The same input gives the same bytes.
 * @param {object} specification
 */
async function drawVega(specification) {
  const vega = await loadVega();
  const view = new vega.View(vega.parse(specification), {
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

/**
 * A card with a title, what it shows, and a caption below: panels go from HEADER_HEIGHT to `bottom`. Answers an SVG.
 * @param {{ title: string, subtitle: string, caption: readonly string[], bottom: number, panels: readonly Mark[] }} card
 */
export function drawCard({ title, subtitle, caption, bottom, panels }) {
  const height = bottom + caption.length * FOOTER_LINE_HEIGHT + 8;
  return drawVega({
    width: WIDTH,
    height,
    padding: 0,
    autosize: 'none',
    marks: [
      describeCard(height),
      text(title, MARGIN, 36, { size: 18, weight: 600, colour: COLOURS.text }),
      text(subtitle, MARGIN, 57, { size: 13 }),
      ...panels,
      ...caption.map((line, index) =>
        text(line, MARGIN, bottom + index * FOOTER_LINE_HEIGHT, { size: 11.5 }),
      ),
    ],
  });
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
 * @param {string} content
 * @param {number} x
 * @param {number} y
 * @param {{ size: number, weight?: number, colour?: string, align?: string }} look
 * @returns {Mark}
 */
export function text(content, x, y, { size, weight = 400, colour = COLOURS.muted, align = 'left' }) {
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
