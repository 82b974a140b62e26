import { MAX_BUSY_CPUS } from './machine.mjs';

/** @import { ShownRow } from './figures.mjs' */

/**
 * Where and when some rows were measured, in the parts of a caption. Throws when that was on different machines.
 * @param {readonly ShownRow[]} rows
 */
export function describeOrigin(rows) {
  const machines = rows.map(({ machine }) => machine);
  const places = new Set(
    machines.map(({ cpu, cpus, kernel, node }) => {
      return `${cpus} CPUs (${cpu}), Linux ${kernel}, Node ${node.replace('v', '')}`;
    }),
  );
  if (places.size > 1) {
    const found = [...places].join('; ');
    throw new Error(
      `figures of different machines do not go together, got: ${found}. Measure all rows on one.`,
    );
  }
  const busyCpus = Math.max(...machines.map((machine) => machine.busyCpus ?? 0));
  return {
    date: formatDates(machines.map(({ date }) => date.slice(0, 10)).toSorted()),
    place: [...places][0],
    versions: formatVersions(rows),
    runs: formatRuns(rows),
    warning:
      busyCpus > MAX_BUSY_CPUS
        ? `Others used ${busyCpus.toFixed(1)} CPUs of the machine at the start: trust only the ratios.`
        : undefined,
  };
}

/**
 * `26 November 2026`, or the first and the last of several days.
 * @param {readonly string[]} sorted
 */
function formatDates(sorted) {
  const [first, last] = [sorted[0], sorted[sorted.length - 1]].map((date) =>
    new Date(date).toLocaleDateString('en-GB', { dateStyle: 'long', timeZone: 'UTC' }),
  );
  return first === last ? first : `${first} to ${last}`;
}

/**
 * Those of peers that are in the rows: `ws cluster` is `ws`, too.
 * @param {readonly ShownRow[]} rows
 */
function formatVersions(rows) {
  const names = new Set(serversOf(rows).map((server) => server.split(' ')[0]));
  /** @type {Record<string, string>} */
  const versions = Object.assign({}, ...rows.map((row) => row.versions));
  return Object.entries(versions)
    .filter(([name]) => names.has(name))
    .map(([name, version]) => `${name} ${version}`)
    .join(', ');
}

/** @param {readonly ShownRow[]} rows */
function formatRuns(rows) {
  const counts = rows.flatMap(({ figures }) =>
    figures.flatMap(({ servers }) => Object.values(servers).map(({ runs }) => runs)),
  );
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  if (most === 1) return 'one run';
  return least === most ? `medians of ${most} runs` : `medians of ${least} to ${most} runs`;
}

/**
 * Names of all servers in some rows, Roost first and the bare poller, which is none, last.
 * @param {readonly ShownRow[]} rows
 */
export function serversOf(rows) {
  const names = new Set(
    rows.flatMap(({ figures }) => figures.flatMap(({ servers }) => Object.keys(servers))),
  );
  return [...names].toSorted((a, b) => rank(a) - rank(b));
}

/** @param {string} name */
function rank(name) {
  return name === 'Roost' ? 0 : name === 'bare poller' ? 2 : 1;
}
