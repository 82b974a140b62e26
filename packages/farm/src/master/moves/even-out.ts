/** What of a life matters to whoever evens connections out. */
export interface EvenLoad {
  readonly connections: number;
  /** The most that it takes. */
  readonly capacity: number;
}

/** So many rows from one to the other, by their indexes. */
export interface Transfer {
  readonly from: number;
  readonly to: number;
  readonly rows: number;
}

/** Differences up to this part of the mean are not worth a move. */
const TOLERANCE = 0.01;

/**
 * The move that evens loads out most: from the fullest to the emptiest, so many that one of them is where all should be.
 * Undefined when they are even, to 1 % or to one connection. Repeated, it ends: each move leaves one more load at the mean. Pure.
 */
export function nextTransfer(loads: readonly EvenLoad[]): Transfer | undefined {
  if (loads.length < 2) return undefined;
  const mean = loads.reduce((sum, { connections }) => sum + connections, 0) / loads.length;
  const from = fullestOf(loads);
  const to = emptiestOf(loads);
  const source = loads[from];
  const target = loads[to];
  if (source === undefined || target === undefined) return undefined;
  const tolerance = Math.max(1, mean * TOLERANCE);
  const most = source.connections - mean;
  const least = mean - target.connections;
  if (Math.max(most, least) <= tolerance) return undefined;
  const rows = Math.min(
    Math.round(Math.max(1, Math.min(most, least))),
    target.capacity - target.connections,
    Math.floor((source.connections - target.connections) / 2),
  );
  return rows <= 0 ? undefined : { from, to, rows };
}

/**
 * Where the next of `rows` that must go are to go: to the emptiest, as many as bring it up to the next one, so that in the end
 * all have about the same number. `from` is an index of none of them. Undefined when nobody has room. Pure.
 */
export function nextRefuge(
  loads: readonly EvenLoad[],
  rows: number,
): { readonly to: number; readonly rows: number } | undefined {
  let best = -1;
  for (const [index, { connections, capacity }] of loads.entries()) {
    if (connections >= capacity) continue;
    if (best === -1 || connections < (loads[best]?.connections ?? 0)) best = index;
  }
  const target = loads[best];
  if (target === undefined || rows <= 0) return undefined;
  const all = loads.reduce((sum, { connections }) => sum + connections, rows);
  const share = Math.max(1, Math.ceil(all / loads.length) - target.connections);
  return { to: best, rows: Math.min(rows, share, target.capacity - target.connections) };
}

function fullestOf(loads: readonly EvenLoad[]): number {
  return loads.reduce(
    (best, { connections }, index) => (connections > (loads[best]?.connections ?? -1) ? index : best),
    0,
  );
}

function emptiestOf(loads: readonly EvenLoad[]): number {
  let best = 0;
  for (const [index, { connections }] of loads.entries()) {
    if (connections < (loads[best]?.connections ?? 0)) best = index;
  }
  return best;
}
