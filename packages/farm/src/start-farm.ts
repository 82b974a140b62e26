import type { Farm } from './api/farm.ts';
import type { FarmOptions } from './options/options.ts';

/**
 * Starts a farm: this process becomes its master, listens, and forks the workers, each pinned to one of the CPUs that
 * this process may use. Resolves when all of them are ready.
 *
 * Rejects with a FarmError: FARM_ERR_OPTION (names the option), FARM_ERR_PORT_IN_USE, FARM_ERR_LISTEN, FARM_ERR_DESCRIPTORS
 * (too few for any connection), FARM_ERR_FORK (no descriptors, processes or memory), or FARM_ERR_WORKER_BOOTSTRAP (the app
 * could not be loaded, most often); and with POLLER_UNAVAILABLE where the native poller is missing. Nothing is left
 * running then.
 */
export async function startFarm(options: FarmOptions): Promise<Farm> {
  // Applications import this package in every worker, where nothing of the master is needed.
  const { startMaster } = await import('./master/start.ts');
  return startMaster(options);
}
