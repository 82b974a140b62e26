/** What placement needs to know of a worker. */
export interface WorkerLoad {
  /** Sockets handed to it less those it has released: counted at the hand-off, not when it is acknowledged. */
  readonly connections: number;
  /** The most it takes. */
  readonly capacity: number;
  /** Hand-offs that it may still be given before one is acknowledged. 0 when it is not ready. */
  readonly room: number;
}

/**
 * The worker with the fewest connections that has room, or -1. `reserve` is allowed beyond each one's capacity. Pure:
 * in a burst the caller's own counts spread the sockets, for no worker's answer comes in time.
 */
export function leastConnections(loads: readonly WorkerLoad[], reserve: number): number {
  let best = -1;
  let fewest = Number.POSITIVE_INFINITY;
  for (let index = 0; index < loads.length; index++) {
    const load = loads[index];
    if (load === undefined || load.room <= 0) continue;
    if (load.connections >= load.capacity + reserve || load.connections >= fewest) continue;
    best = index;
    fewest = load.connections;
  }
  return best;
}
