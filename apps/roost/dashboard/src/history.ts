import type { Overview, OverviewTotal } from '../../src/admin/answers.ts';
import { quantile, since } from './quantile.ts';

/** Ten minutes of a look per second. */
const MAX_POINTS = 600;

/** Values that are drawn, by their names; null where nothing is known. */
export type Values = Readonly<Record<string, number | null>>;

/** A moment: seconds since the epoch. */
export interface Point {
  readonly at: number;
  readonly values: Values;
}

const RATES: readonly OverviewTotal[] = [
  'opened',
  'closed',
  'refused',
  'messagesReceived',
  'messagesSent',
  'publications',
  'deliveries',
  'receivedBytes',
  'sentBytes',
  'dropped',
];

/** What the charts draw: rates and quantiles between one look and the next, and what is at the moment. */
export class History {
  readonly points: Point[] = [];
  #last: Overview | undefined;

  /** The newest point. */
  add(now: Overview): Point {
    const before = this.#last;
    const newest = this.points.at(-1);
    // Looked at twice within a second, as by who signs in again: nothing is known since.
    if (newest !== undefined && now.at === before?.at) return newest;
    // Another farm, or the same one after a restart, counts from 0 again.
    const isSame = before !== undefined && now.uptimeMs >= before.uptimeMs && now.at > before.at;
    const point = { at: now.at / 1000, values: { ...moment(now), ...(isSame ? change(before, now) : {}) } };
    this.#last = now;
    this.points.push(point);
    if (this.points.length > MAX_POINTS) this.points.shift();
    return point;
  }

  /** A column for each name, with that of the times before them, as uPlot takes them. */
  columns(names: readonly string[]): (number | null)[][] {
    const columns: (number | null)[][] = [this.points.map(({ at }) => at)];
    for (const name of names) columns.push(this.points.map(({ values }) => values[name] ?? null));
    return columns;
  }
}

function moment({ workers }: Overview): Values {
  const values: Record<string, number> = { connections: 0, queueBytes: 0 };
  for (const { worker, connections, queueBytes } of workers) {
    values['connections'] = (values['connections'] ?? 0) + connections;
    values['queueBytes'] = (values['queueBytes'] ?? 0) + queueBytes;
    values[`connections ${worker}`] = connections;
  }
  return values;
}

function change(before: Overview, now: Overview): Values {
  const seconds = (now.at - before.at) / 1000;
  const values: Record<string, number | null> = {};
  for (const name of RATES) values[name] = (now.totals[name] - before.totals[name]) / seconds;
  for (const [name, counts] of Object.entries(now.histograms)) {
    const earlier = Object.entries(before.histograms).find(([other]) => other === name)?.[1];
    const observed = earlier === undefined ? undefined : since(earlier, counts);
    values[`${name} p50`] = observed === undefined ? null : quantile(observed, 0.5);
    values[`${name} p99`] = observed === undefined ? null : quantile(observed, 0.99);
  }
  for (const { worker, busySeconds } of now.workers) {
    const earlier = before.workers.find((other) => other.worker === worker);
    if (earlier === undefined) continue;
    const share = (busySeconds - earlier.busySeconds) / seconds;
    values[`busy ${worker}`] = Math.min(1, Math.max(0, share));
  }
  return values;
}
