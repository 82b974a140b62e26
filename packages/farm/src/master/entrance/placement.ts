/** What placement needs to know of a worker. */
export interface WorkerLoad {
  /** Sockets handed to it less those it has released: counted at the hand-off, not when it is acknowledged. */
  readonly connections: number;
  /** The most it takes. */
  readonly capacity: number;
  /** Hand-offs that it may still be given before one is acknowledged. 0 when it is not ready. */
  readonly room: number;
  /** It has left hand-offs unacknowledged for `workerLagMs`. */
  readonly isLagging: boolean;
  /** Sockets beyond a limit of their address that it has to answer; not among `connections`. */
  readonly limited: number;
}

/**
 * The worker with the fewest connections that has room, or -1; one that lags only when no other has. `reserve` is allowed
 * beyond each one's capacity, limited sockets included. Pure: in a burst the caller's own counts spread the sockets, for
 * no worker's answer comes in time.
 */
export function leastConnections(loads: readonly WorkerLoad[], reserve: number): number {
  let best = -1;
  let fewest = Number.POSITIVE_INFINITY;
  let isBestLagging = true;
  for (let index = 0; index < loads.length; index++) {
    const load = loads[index];
    if (load === undefined || load.room <= 0) continue;
    const { connections, isLagging } = load;
    if (connections >= load.capacity + (reserve === 0 ? 0 : reserve - load.limited)) continue;
    if (isLagging === isBestLagging ? connections >= fewest : isLagging) continue;
    best = index;
    fewest = connections;
    isBestLagging = isLagging;
  }
  return best;
}

/**
 * The worker with the fewest limited sockets that may take one more, or -1: half of the reserved places at most, so that
 * health checks find one, and never of a worker that lags.
 */
export function fewestLimited(loads: readonly WorkerLoad[], reserve: number): number {
  let best = -1;
  let fewest = Math.ceil(reserve / 2);
  for (let index = 0; index < loads.length; index++) {
    const load = loads[index];
    if (load === undefined || load.room <= 0 || load.isLagging || load.limited >= fewest) continue;
    if (load.connections + load.limited >= load.capacity + reserve) continue;
    best = index;
    fewest = load.limited;
  }
  return best;
}
