// node bench/soak-chart.mjs results/soak-….json: puts a soak into docs/charts, the chart and the figures that it shows.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { drawSoak } from './soak/chart.mjs';

const CHARTS = new URL('../docs/charts/', import.meta.url);

const { positionals } = parseArgs({ allowPositionals: true });
const [file] = positionals;
if (file === undefined)
  throw new RangeError('which file of results/ is to be drawn? bench/soak-chart.mjs <file>');
const result = JSON.parse(readFileSync(file, 'utf8'));
const svg = await drawSoak(result);
const { machine, minutes, connections, loads, counts, verdicts } = result;
writeFileSync(new URL('soak.svg', CHARTS), svg);
writeFileSync(
  new URL('soak.json', CHARTS),
  `${JSON.stringify({ machine: { ...machine, kernel: /^[\d.]*\d/.exec(machine.kernel)?.[0] }, minutes, connections, loads, counts, verdicts }, null, 2)}\n`,
);
