import { nextTransfer, type EvenLoad, type Transfer } from './even-out.ts';

/** How long connections must be uneven before any of them moves. */
export const SKEWED_MS = 30_000;
/** How long a worker must lag before it gives connections away, and for how long it is left alone afterwards. */
const LAGGING_MS = 10_000;
const RELIEF_PAUSE_MS = 60_000;
/** The part of its connections that it gives away. */
const RELIEF = 0.1;
/** A worker that was filled again to this part of the mean is full. */
const FULL = 0.98;

export interface RebalanceLoad extends EvenLoad {
  /** Of the life. */
  readonly id: number;
  readonly isLagging: boolean;
  /** It was started again, and is to be as full as the others. */
  readonly isRefilled: boolean;
}

export interface RebalanceState {
  /** Since when connections have been uneven; undefined while they are not. */
  readonly skewedSince: number | undefined;
  /** The skew at which moving ends; undefined while nothing moves. */
  readonly goal: number | undefined;
  /** Since when which life has lagged. */
  readonly laggingSince: ReadonlyMap<number, number>;
  /** What a lagging life still has to give away. */
  readonly relief: { readonly id: number; readonly rows: number; readonly until: number } | undefined;
}

export const REBALANCE_BEGINNING: RebalanceState = {
  skewedSince: undefined,
  goal: undefined,
  laggingSince: new Map(),
  relief: undefined,
};

/** `isRefill`: what is moved for a worker that was started again, and may go faster. */
export interface RebalanceStep {
  readonly state: RebalanceState;
  readonly transfer: (Transfer & { readonly isRefill: boolean }) | undefined;
}

/** How much fuller than the mean the fullest is: 0.1 for 10 %. */
export function skewOf(loads: readonly EvenLoad[]): number {
  const mean = loads.reduce((sum, { connections }) => sum + connections, 0) / loads.length;
  const most = Math.max(...loads.map(({ connections }) => connections));
  return mean > 0 ? (most - mean) / mean : 0;
}

/**
 * What is to move next so that workers have about as many connections as each other, to be asked every second. Pure.
 *
 * A worker that was started again is filled first. Of the others nothing moves, unless `maxSkew` is above 0: then, when the
 * skew has been above it for 30 s, connections move from the fullest to the emptiest until half of that skew is gone. A
 * worker that has lagged for 10 s gives away a tenth. No transfer makes the emptier one the fuller of the two, and what is
 * within `maxSkew` stays: so none undoes another.
 */
export function nextRebalance(
  before: RebalanceState,
  loads: readonly RebalanceLoad[],
  now: number,
  maxSkew: number,
): RebalanceStep {
  const refill = refillOf(loads);
  if (refill !== undefined) return { state: before, transfer: { ...refill, isRefill: true } };
  if (maxSkew === 0 || loads.length < 2) return { state: REBALANCE_BEGINNING, transfer: undefined };
  const state = { ...before, laggingSince: laggingSince(before, loads, now) };
  const relieved = relieve(state, loads, now);
  if (relieved.transfer !== undefined) return relieved;
  return level(relieved.state, loads, now, maxSkew);
}

/** So many rows have moved of what was to. */
export function afterRelief(state: RebalanceState, moved: number): RebalanceState {
  if (state.relief === undefined) return state;
  return { ...state, relief: { ...state.relief, rows: Math.max(0, state.relief.rows - moved) } };
}

function refillOf(loads: readonly RebalanceLoad[]): Transfer | undefined {
  const to = loads.findIndex((load) => load.isRefilled && !isFull(load, loads));
  const target = loads[to];
  if (target === undefined) return undefined;
  // Among all, but as if it alone had room.
  const others = loads.map((load, index) =>
    index === to ? load : { ...load, connections: Math.max(load.connections, target.connections) },
  );
  const transfer = nextTransfer(others);
  return transfer?.to === to ? transfer : undefined;
}

/** Whether a worker that was started again has as many connections as the others, about. */
export function isFull(load: EvenLoad, loads: readonly EvenLoad[]): boolean {
  const mean = loads.reduce((sum, { connections }) => sum + connections, 0) / loads.length;
  return load.connections >= Math.min(load.capacity, Math.floor(mean * FULL));
}

function laggingSince(
  before: RebalanceState,
  loads: readonly RebalanceLoad[],
  now: number,
): ReadonlyMap<number, number> {
  const lagging = loads.filter(({ isLagging }) => isLagging);
  return new Map(lagging.map(({ id }) => [id, before.laggingSince.get(id) ?? now]));
}

function relieve(state: RebalanceState, loads: readonly RebalanceLoad[], now: number): RebalanceStep {
  const { relief } = state;
  if (relief !== undefined && (now >= relief.until || !loads.some(({ id }) => id === relief.id))) {
    return relieve({ ...state, relief: undefined }, loads, now);
  }
  if (relief === undefined) {
    const lagging = loads.find(({ id }) => now - (state.laggingSince.get(id) ?? now) >= LAGGING_MS);
    if (lagging === undefined) return { state, transfer: undefined };
    const rows = Math.floor(lagging.connections * RELIEF);
    const begun = { id: lagging.id, rows, until: now + RELIEF_PAUSE_MS };
    return relieve({ ...state, relief: begun }, loads, now);
  }
  const from = loads.findIndex(({ id }) => id === relief.id);
  const to = loads.reduce(
    (best, load, index) =>
      !load.isLagging && (best === -1 || load.connections < (loads[best]?.connections ?? 0)) ? index : best,
    -1,
  );
  const target = loads[to];
  if (relief.rows === 0 || target === undefined || from === to) return { state, transfer: undefined };
  const rows = Math.min(relief.rows, target.capacity - target.connections);
  return { state, transfer: rows <= 0 ? undefined : { from, to, rows, isRefill: false } };
}

function level(
  state: RebalanceState,
  loads: readonly RebalanceLoad[],
  now: number,
  maxSkew: number,
): RebalanceStep {
  const skew = skewOf(loads);
  if (state.goal === undefined) {
    if (skew <= maxSkew) return { state: { ...state, skewedSince: undefined }, transfer: undefined };
    const skewedSince = state.skewedSince ?? now;
    if (now - skewedSince < SKEWED_MS) return { state: { ...state, skewedSince }, transfer: undefined };
    return level({ ...state, skewedSince, goal: skew / 2 }, loads, now, maxSkew);
  }
  const transfer = skew <= state.goal ? undefined : nextTransfer(loads);
  if (transfer === undefined) {
    return { state: { ...state, skewedSince: undefined, goal: undefined }, transfer: undefined };
  }
  return { state, transfer: { ...transfer, isRefill: false } };
}
