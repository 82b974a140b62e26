// npm run soak -- --minutes 30 [--connections 1000]: is a farm that has lived for long still what it was at first? See README.md.
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { parseCount } from './lib/arguments.mjs';
import { killProgramsAtExit } from './lib/child-program.mjs';
import { introduceMachine } from './lib/machine.mjs';
import { writeResults } from './lib/results.mjs';
import { formatVerdicts } from './lib/verdicts.mjs';
import { drawSoak } from './soak/chart.mjs';
import { populationOf } from './soak/clients.mjs';
import { SoakFarm } from './soak/farm.mjs';
import { judgeClients, judgeCounters, judgeGrowth, judgeRest } from './soak/verdicts.mjs';

/** @import { Sample } from './soak/sampler.mjs' */

const WARM_UP_CONNECTIONS = 40;
const LONGEST_WARM_UP_MS = 10_000;
const SLOWEST_SAMPLE_MS = 5000;
const USUAL_SAMPLES = 40;
/** Of which half are looked at. */
const FEWEST_SAMPLES = 12;
const SAY_EACH_MS = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    connections: { type: 'string', default: '1000' },
    // An app that does wrong what an app can, for the spec that shows that the soak fails then.
    leak: { type: 'boolean', default: false },
    // Another folder than results/.
    results: { type: 'string' },
    // off: for who has no network, from which what draws it is fetched once.
    chart: { type: 'string', default: 'on' },
    'max-growth-mb': { type: 'string', default: '4' },
  },
});
const minutes = Number(values.minutes);
if (!(minutes > 0)) throw new RangeError(`--minutes must be a number above 0, got "${values.minutes}"`);
const connections = parseCount('connections', values.connections, { min: WARM_UP_CONNECTIONS });
const maxGrowthMb = parseCount('max-growth-mb', values['max-growth-mb']);
const folder = values.results === undefined ? undefined : pathToFileURL(`${values.results}/`);
const soakMs = minutes * 60_000;
const sampleMs = Math.min(SLOWEST_SAMPLE_MS, soakMs / USUAL_SAMPLES);
const startedAt = performance.now();

killProgramsAtExit();
const { machine } = await introduceMachine(connections);
const farm = await SoakFarm.start(values.leak ? 'leaking' : 'echo');
try {
  await farm.live(populationOf(WARM_UP_CONNECTIONS), {
    forMs: Math.min(LONGEST_WARM_UP_MS, soakMs / 4),
    sampleMs,
    fewestSamples: 1,
    onSample: () => {},
  });
  const before = await farm.rest();
  say(`warm; ${connections} clients for ${minutes} minutes, a sample each ${(sampleMs / 1000).toFixed(1)} s`);
  const loads = [loadavg()[0]];
  /** @type {Sample[]} */
  const samples = [];
  let saidAt = performance.now();
  const lived = await farm.live(populationOf(connections), {
    forMs: soakMs,
    sampleMs,
    fewestSamples: FEWEST_SAMPLES,
    onSample(sample) {
      samples.push(sample);
      if (performance.now() - saidAt < SAY_EACH_MS) return;
      saidAt = performance.now();
      loads.push(loadavg()[0]);
      say(describe(sample));
    },
  });
  say('calm; they go');
  const after = await farm.rest();
  const metrics = await farm.metrics();
  const verdicts = [
    ...judgeClients(lived, farm.errors),
    ...judgeCounters(metrics),
    ...judgeGrowth(samples, maxGrowthMb),
    ...judgeRest(before, after),
  ];
  const counts = {
    opened: lived.seen.opened,
    received: lived.seen.received,
    published: lived.published,
    deliveries: metrics.sum('roost_deliveries_total'),
    leasesLost: metrics.sum('roost_store_leases_lost_total'),
    closes: metrics.sumBy('roost_closes_total', 'code'),
  };
  const surprises = [...lived.seen.surprises, ...lived.problems, ...farm.errors];
  const found = { minutes, connections, loads, verdicts, counts, surprises, before, after, samples };
  const file = writeResults('soak-', { machine, ...found }, folder);
  if (values.chart === 'on') {
    writeFileSync(file.replace(/json$/, 'svg'), await drawSoak({ machine, ...found }));
  }
  console.log(`\n${formatVerdicts(verdicts)}\n\n${JSON.stringify(counts)}`);
  for (const surprise of surprises) console.log(`unexpected: ${surprise}`);
  console.log(`Load average ${loads.map((load) => load.toFixed(1)).join(', ')}. Written to ${file}`);
  if (verdicts.some(({ passes }) => passes === false)) process.exitCode = 1;
} finally {
  await farm.stop();
}

/** @param {Sample} sample */
function describe({ processes, rows, clients }) {
  const each = Object.entries(processes).map(
    ([name, { own, heap, descriptors }]) =>
      `${name} ${(own / 1e6).toFixed(1)} MB, heap ${(heap / 1e6).toFixed(1)}, ${descriptors} descriptors`,
  );
  return `${clients} clients, ${rows} rows; ${each.join('; ')}`;
}

/** @param {string} text */
function say(text) {
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(0).padStart(5)} s  ${text}`);
}
