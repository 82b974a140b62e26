import { FarmError, type FarmOptions, type Log } from '@roost/farm';
import { checkOptions } from '@roost/farm/checks';
import { ConfigError } from './config/errors.ts';
import type { ResolvedConfig } from './config/resolve.ts';
import { farmOptions } from './farm-options.ts';

function nothing(): void {
  // Nothing is started that could log.
}

const SILENT: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };

/**
 * What a farm would be started with. Throws a ConfigError for settings that are right each by itself, and that the farm
 * would refuse together, and for a certificate that cannot be used.
 */
export function checkedOptions({ settings, tls }: ResolvedConfig): FarmOptions {
  const options = farmOptions(settings, { apiKey: '', tls, farmId: '', version: '', log: SILENT });
  try {
    checkOptions(options);
    return options;
  } catch (error) {
    if (error instanceof FarmError && error.code === 'FARM_ERR_OPTION') {
      throw new ConfigError('CONFIG_ERR_VALUE', error.message);
    }
    throw error;
  }
}
