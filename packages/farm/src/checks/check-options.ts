import { allowedCpus } from '../master/workers/cpus.ts';
import { resolveOptions, type FarmOptions } from '../options/options.ts';
import { checkTls } from '../options/tls-options.ts';

/** Throws the FarmError with FARM_ERR_OPTION with which a start would refuse these options. Starts nothing. */
export function checkOptions(options: FarmOptions): void {
  resolveOptions(options, allowedCpus().length, '');
  if (options.tls !== undefined) checkTls(options.tls);
}
