import { drawLineChart } from '../lib/line-chart.mjs';
import { countHeld } from './sampler.mjs';

/**
 * @import { Machine } from '../lib/machine.mjs'
 * @import { Verdict } from '../lib/verdicts.mjs'
 * @import { Sample } from './sampler.mjs'
 *
 * @typedef {object} SoakResult What soak.mjs writes, as far as it is drawn.
 * @property {Machine} machine
 * @property {number} minutes
 * @property {number} connections
 * @property {readonly number[]} loads Load averages of the machine, one a minute.
 * @property {readonly Verdict[]} verdicts
 * @property {{ opened: number, received: number, published: number, deliveries: number, closes: Record<string, number> }} counts
 * @property {readonly Sample[]} samples
 */

const MB = 1e6;

/**
 * The SVG of a soak.
 * @param {SoakResult} result
 */
export function drawSoak({ machine, minutes, connections, loads, counts, verdicts, samples }) {
  const names = Object.keys(samples[0].processes);
  /** @type {(valueOf: (sample: Sample, name: string) => number) => { name: string, values: number[] }[]} */
  const ofEach = (valueOf) =>
    names.map((name) => ({ name, values: samples.map((sample) => valueOf(sample, name)) }));
  const failed = verdicts.filter(({ passes }) => passes === false).length;
  const { cpu, cpus, kernel, node, date } = machine;
  return drawLineChart({
    title: `A soak of ${minutes} minutes`,
    subtitle: `${connections.toLocaleString('en')} clients that stay, come and go, or read too slowly; two workers, Redis.`,
    caption: [
      `${counts.opened.toLocaleString('en')} connections, ${counts.published.toLocaleString('en')} publications, ${counts.received.toLocaleString('en')} numbered messages received; ${failed === 0 ? 'none lost, nothing grew' : `${failed} checks failed`}.`,
      `${new Date(date).toLocaleDateString('en-GB', { dateStyle: 'long', timeZone: 'UTC' })} · ${cpus} CPUs (${cpu}), Linux ${/^[\d.]*\d/.exec(kernel)?.[0]}, Node ${node.replace('v', '')}; load average ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}`,
    ],
    xTitle: 'minutes',
    xs: samples.map(({ seconds }) => (seconds - samples[0].seconds) / 60),
    panels: [
      {
        title: 'Memory that is no file’s',
        unit: 'MB',
        lines: ofEach((sample, name) => sample.processes[name].own / MB),
      },
      {
        title: 'JavaScript heap, with what is not collected yet',
        unit: 'MB',
        lines: ofEach((sample, name) => sample.processes[name].heap / MB),
      },
      { title: 'Descriptors', unit: '', lines: ofEach((sample, name) => sample.processes[name].descriptors) },
      {
        title: 'Connections',
        unit: '',
        lines: [
          { name: 'clients', values: samples.map(({ clients = 0 }) => clients) },
          { name: 'rows', values: samples.map(({ rows }) => rows) },
          { name: 'kernel sockets', values: samples.map(({ sockets }) => countHeld(sockets)) },
        ],
      },
    ],
  });
}
