import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CHARTS, drawChart } from './lib/charts.mjs';
import { mergeResults, readFigures, writeFigures } from './lib/figures.mjs';
import { putFigures } from './lib/readme-figures.mjs';

const RESULTS = new URL('./results/', import.meta.url);
const README = new URL('../README.md', import.meta.url);

const { positionals } = parseArgs({ allowPositionals: true });
const files = positionals.length > 0 ? positionals : findNewest();
console.log(files.length > 0 ? `from ${files.join(', ')}` : 'from docs/charts/figures.json alone');

const results = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
const rows = mergeResults(readFigures(), results);
for (const { row, machine } of rows) console.log(`${row}: measured ${machine.date}`);

// Everything is made before anything is written: what is committed must agree.
const readme = putFigures(readFileSync(README, 'utf8'), rows);
const charts = [];
for (const chart of CHARTS) charts.push({ file: chart.file, svg: await drawChart(chart, rows) });

writeFigures(rows);
writeFileSync(README, readme);
for (const { file, svg } of charts) writeFileSync(new URL(`../docs/charts/${file}`, import.meta.url), svg);

/** Files of `npm run bench` are named by their date; those of the other benches begin with a word. */
function findNewest() {
  const names = readdirSync(RESULTS).filter((name) => /^\d{4}-.*\.json$/.test(name));
  return names.length === 0 ? [] : [fileURLToPath(new URL(names.toSorted()[names.length - 1], RESULTS))];
}
