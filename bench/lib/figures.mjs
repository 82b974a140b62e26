import { readFileSync, writeFileSync } from 'node:fs';
import { broadcast } from '../rows/broadcast.mjs';
import { cold } from '../rows/cold.mjs';
import { echo } from '../rows/echo.mjs';
import { emptyWorker } from '../rows/empty-worker.mjs';
import { handshake } from '../rows/handshake.mjs';
import { idle } from '../rows/idle.mjs';

/**
 * @import { Machine } from './machine.mjs'
 * @import { Figure } from './row.mjs'
 * @import { Summary } from './statistics.mjs'
 *
 * @typedef {Pick<Summary, 'median' | 'min' | 'max'> & { runs: number }} ShownSummary With the number of runs.
 *
 * @typedef {Pick<Figure, 'key' | 'title' | 'unit' | 'digits'> & { servers: Record<string, ShownSummary> }} ShownFigure
 *
 * @typedef {object} ShownRow
 * @property {string} row
 * @property {Machine} machine
 * @property {Readonly<Record<string, string>>} versions Of the peers.
 * @property {readonly ShownFigure[]} figures
 *
 * @typedef {object} Result A file of `npm run bench`, as far as it is read.
 * @property {Machine} machine
 * @property {Readonly<Record<string, string>>} [versions]
 * @property {{ row: string, summaries: Record<string, Record<string, Summary>> }[]} measured
 */

const ROWS = [idle, emptyWorker, cold, handshake, echo, broadcast];
const FILE = new URL('../../docs/charts/figures.json', import.meta.url);
/** The first digits of a figure that mean something, and a few more. */
const DIGITS_KEPT = 6;

/**
 * The rows that the charts and the README show, as they were made last; see `mergeResults`.
 * @returns {ShownRow[]}
 */
export function readFigures() {
  return JSON.parse(readFileSync(FILE, 'utf8')).rows;
}

/** @param {readonly ShownRow[]} rows */
export function writeFigures(rows) {
  writeFileSync(FILE, `${JSON.stringify({ rows }, null, 2)}\n`);
}

/**
 * Puts files of `npm run bench` over the rows that there are; of a row that several have, the newest. A row is taken as a
 * whole: its servers were measured by turns, and beside one of another hour their ratios would mean nothing. One without
 * Roost is left out.
 * @param {readonly ShownRow[]} rows
 * @param {readonly Result[]} results
 */
export function mergeResults(rows, results) {
  const byName = new Map(rows.map((row) => [row.row, row]));
  for (const result of results.toSorted((a, b) => a.machine.date.localeCompare(b.machine.date))) {
    for (const { row, summaries } of result.measured) {
      const definition = ROWS.find(({ name }) => name === row);
      if (definition === undefined) continue;
      const figures = definition.figures.map((figure) => trimFigure(figure, summaries[figure.key]));
      if (!figures.every(({ servers }) => 'Roost' in servers)) continue;
      byName.set(row, {
        row,
        machine: trimMachine(result.machine),
        versions: result.versions ?? {},
        figures,
      });
    }
  }
  return ROWS.flatMap(({ name }) => byName.get(name) ?? []);
}

/**
 * One figure of one row; undefined when it was not measured.
 * @param {readonly ShownRow[]} rows
 * @param {readonly [rowName: string, key: string]} place
 */
export function findFigure(rows, [rowName, key]) {
  return rows.find(({ row }) => row === rowName)?.figures.find((figure) => figure.key === key);
}

/**
 * A value as charts and README show it: `4,302 B`.
 * @param {number} value
 * @param {Pick<Figure, 'unit' | 'digits'>} figure
 */
export function formatValue(value, figure) {
  return `${formatNumber(value, figure)} ${figure.unit}`;
}

/**
 * @param {number} value
 * @param {Pick<Figure, 'digits'>} figure
 */
export function formatNumber(value, { digits }) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return Number(value.toFixed(digits)).toLocaleString('en-US', options).replace('-', '−');
}

/**
 * @param {Figure} figure
 * @param {Readonly<Record<string, Summary>>} summaries
 * @returns {ShownFigure}
 */
function trimFigure({ key, title, unit, digits }, summaries) {
  const servers = Object.fromEntries(
    Object.entries(summaries).map(([name, { median, min, max, runs }]) => [
      name,
      { median: trim(median), min: trim(min), max: trim(max), runs: runs.length },
    ]),
  );
  return { key, title, unit, digits, servers };
}

/** @param {number} value */
function trim(value) {
  return Number(value.toPrecision(DIGITS_KEPT));
}

/**
 * By name, for it is committed: nothing that says whose machine it is, as the end of a kernel's release may.
 * @param {Machine} machine
 * @returns {Machine}
 */
function trimMachine({ date, cpu, cpus, memoryGb, kernel, node, commit, busyCpus }) {
  const release = /^[\d.]*\d/.exec(kernel)?.[0] ?? '';
  return { date, cpu, cpus, memoryGb, kernel: release, node, commit, busyCpus };
}
