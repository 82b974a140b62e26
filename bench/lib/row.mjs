import { loadavg } from 'node:os';
import { waitForConntrack } from './machine.mjs';
import { summarise } from './statistics.mjs';

/**
 * @import { Summary } from './statistics.mjs'
 *
 * @typedef {object} Row What `npm run bench` measures, of each server.
 * @property {string} name
 * @property {readonly string[]} servers Those that it makes sense of.
 * @property {readonly Figure[]} figures
 * @property {(serverName: string, settings: Settings) => Promise<Measured>} measure One run, with a server of its own.
 *
 * @typedef {object} Figure
 * @property {string} key
 * @property {string} title
 * @property {string} unit
 * @property {number} digits Behind the point.
 * @property {readonly Target[]} targets
 *
 * @typedef {{ max: number, peer?: undefined } | { peer: string, maxRatio: number, max?: undefined }} Target An absolute
 *   bound, or one of Roost's median by the peer's, of the same runs.
 *
 * @typedef {{ runs: number, connections: number }} Settings
 *
 * @typedef {object} Measured
 * @property {Readonly<Record<string, number>>} values By key of the figure.
 * @property {object} [details] For the file of results.
 *
 * @typedef {object} RowResult
 * @property {Row} row
 * @property {object[]} runs
 * @property {{ server: string, run: number, error: string }[]} errors
 * @property {Record<string, Record<string, Summary>>} summaries By key of the figure, then by name of the server.
 */

/**
 * Measures a row as often as the settings say. Interleaves the servers, so that what else happens on the machine meets all of
 * them.
 * @param {Row} row
 * @param {readonly string[]} servers Those of its servers that are wanted.
 * @param {Settings} settings
 * @returns {Promise<RowResult>}
 */
export async function runRow(row, servers, settings) {
  const names = row.servers.filter((name) => servers.includes(name));
  const runs = [];
  const errors = [];
  for (let run = 1; run <= settings.runs; run++) {
    for (const server of names) {
      await waitForConntrack(settings.connections);
      const title = `${row.name} ${run}/${settings.runs} ${server}`;
      try {
        const { values, details } = await row.measure(server, settings);
        runs.push({ server, run, loadAverage: loadavg()[0], values, details });
        console.log(`${title}: ${describeRun(row, values, details)}`);
      } catch (error) {
        errors.push({ server, run, error: String(error) });
        console.log(`${title}: FAILED, ${String(error)}`);
      }
    }
  }
  /** @type {RowResult['summaries']} */
  const summaries = {};
  for (const { key } of row.figures) {
    /** @type {Record<string, Summary>} */
    const byServer = (summaries[key] = {});
    for (const server of names) {
      const summary = summarise(runs.filter((one) => one.server === server).map(({ values }) => values[key]));
      if (summary !== undefined) byServer[server] = summary;
    }
  }
  return { row, runs: runs.map(({ values, ...run }) => ({ ...run, ...values })), errors, summaries };
}

/**
 * @param {Row} row
 * @param {Measured['values']} values
 * @param {object | undefined} details
 */
function describeRun({ figures }, values, details) {
  const texts = figures.map(({ key, unit, digits }) => `${key} ${values[key].toFixed(digits)} ${unit}`);
  return [...texts, details === undefined ? '' : JSON.stringify(details)].join(', ');
}
