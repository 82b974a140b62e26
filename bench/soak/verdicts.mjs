import { growthOf } from './growth.mjs';
import { countHeld } from './sampler.mjs';

/**
 * @import { Verdict } from '../lib/verdicts.mjs'
 * @import { Life, Rest } from './farm.mjs'
 * @import { Sample } from './sampler.mjs'
 * @import { Metrics } from './scrape.mjs'
 */

const MB = 1e6;
/** What nobody but the farm itself closes with, or who leaves: see docs/reference/errors.md. */
const EXPECTED_CODES = new Set(['1000', '1005', '1006', '4000']);
const SHOWN_KEYS = 5;
/** Keys that Redis itself removes after ten minutes: see packages/broker/src/redis/channel-store/keys.ts. */
const EXPIRING = /:version:\{/;
/**
 * Counters of what must not happen to a farm that is well, by their metrics. One that is starved may lose its leases, and late
 * answers are late: its lists must be right all the same.
 */
const FAULTS = [
  'roost_worker_restarts_total',
  'roost_worker_kills_total',
  'roost_master_errors_total',
  'roost_app_errors_total',
  'roost_publish_errors_total',
  'roost_broker_gaps_total',
  'roost_connections_with_gap_total',
  'roost_lost_publications_total',
  'roost_store_errors_total',
  'roost_refusals_total',
];

/**
 * Series that must not grow: name, unit, what a sample says, and by how much the second half may grow. Rows and sockets
 * come and go with their clients, so that they count beside those.
 * @param {Sample} first
 * @param {number} maxGrowthMb
 */
function seriesOf({ processes }, maxGrowthMb) {
  const names = Object.keys(processes);
  /** @type {(what: string, field: 'own' | 'heap' | 'external', max: number) => Series[]} */
  const ofEach = (what, field, max) =>
    names.map((name) => ({
      what: `${what} of ${name}`,
      unit: 'MB',
      digits: 2,
      valueOf: (sample) => sample.processes[name][field] / MB,
      max,
    }));
  return [
    ...ofEach('memory', 'own', maxGrowthMb),
    ...ofEach('heap', 'heap', maxGrowthMb),
    ...ofEach('external memory', 'external', maxGrowthMb),
    ...names.map((name) => ({
      what: `descriptors of ${name}, beside sockets`,
      unit: '',
      digits: 1,
      valueOf: (/** @type {Sample} */ { processes: all, rows }) =>
        all[name].descriptors - (name === 'master' ? 0 : rows / (names.length - 1)),
      max: 10,
    })),
    {
      what: 'rows, beside clients',
      unit: '',
      digits: 1,
      valueOf: (/** @type {Sample} */ { rows, clients = 0 }) => rows - clients,
      max: 10,
    },
  ];
}

/**
 * @typedef {object} Series
 * @property {string} what
 * @property {string} unit
 * @property {number} digits
 * @property {(sample: Sample) => number} valueOf
 * @property {number} max
 */

/**
 * What has grown.
 * @param {readonly Sample[]} samples Of the time in which clients were there.
 * @param {number} maxGrowthMb
 * @returns {Verdict[]}
 */
export function judgeGrowth(samples, maxGrowthMb) {
  return seriesOf(samples[0], maxGrowthMb).map(({ what, unit, digits, valueOf, max }) => {
    const value = growthOf(samples.map(valueOf));
    return {
      what: `growth of ${what}`,
      unit,
      digits,
      value,
      target: `≤ ${max} ${unit}`.trim(),
      passes: value <= max,
    };
  });
}

/**
 * What is left when everybody has gone, beside what there was before anybody had come.
 * @param {Rest} before
 * @param {Rest} after
 * @returns {Verdict[]}
 */
export function judgeRest(before, after) {
  const keys = after.keys.filter((key) => !before.keys.includes(key) && !EXPIRING.test(key));
  return [
    none('rows when all have gone', after.sample.rows),
    none('kernel sockets of the port when all have gone', countHeld(after.sample.sockets)),
    none(
      `keys in Redis when all have gone${keys.length > 0 ? `: ${keys.slice(0, SHOWN_KEYS).join(', ')}` : ''}`,
      keys.length,
    ),
    ...Object.entries(after.sample.processes).map(([name, { descriptors }]) =>
      none(
        `descriptors of ${name} that were not there before`,
        Math.max(0, descriptors - before.sample.processes[name].descriptors),
      ),
    ),
  ];
}

/**
 * What clients have missed, and how they ended.
 * @param {Life} life
 * @param {readonly string[]} errors Of the farm's log.
 */
export function judgeClients({ seen, atTheEnd, problems }, errors) {
  return [
    none('messages lost', seen.lost + atTheEnd.echoesMissing),
    none('messages repeated or out of order', seen.repeated),
    none('clients without the last messages', atTheEnd.behind),
    none('members with a wrong list of members', atTheEnd.wrongLists),
    none('unexpected ends and answers', seen.surpriseCount),
    none('publishes that failed', problems.length),
    none('errors in the log', errors.length),
  ];
}

/**
 * What the farm itself has counted.
 * @param {Metrics} metrics
 */
export function judgeCounters(metrics) {
  const closes = metrics.sumBy('roost_closes_total', 'code');
  const unexpected = Object.entries(closes).filter(([code]) => !EXPECTED_CODES.has(code));
  return [
    ...FAULTS.map((name) => none(name, metrics.sum(name))),
    none(
      'roost_closes_total of other codes',
      unexpected.reduce((sum, [, count]) => sum + count, 0),
    ),
  ];
}

/**
 * @param {string} what
 * @param {number} value
 * @returns {Verdict}
 */
function none(what, value) {
  return { what, unit: '', digits: 0, value, target: '0', passes: value === 0 };
}
