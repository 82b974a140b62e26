import { closeDescriptor } from '@roost/poller';
import { openListener } from '../master/entrance/listener.ts';
import { resolveOptions, type FarmOptions } from '../options/options.ts';

/**
 * Listens where a farm with these options would, and stops at once. Throws what a start would throw: a FarmError with
 * FARM_ERR_PORT_IN_USE or FARM_ERR_LISTEN, or POLLER_UNAVAILABLE where the native poller is missing.
 */
export function checkListen(options: FarmOptions): void {
  closeDescriptor(openListener(resolveOptions(options, 1, '')));
}
