import { FarmError } from '@roost/farm';
import type { Farm, Log } from '@roost/farm';
import type { Settings } from './config/options.ts';
import { readTls } from './config/tls.ts';

/**
 * What SIGHUP asks for: the certificates are read again; and new workers take the place of the old ones, with the application
 * as it is now. Not on a TLS port, where connections cannot move: who renews a certificate must not disconnect everybody.
 */
export function reloadAll(farm: Farm, settings: Settings, log: Log): void {
  const isTls = settings['tls.cert'] !== null;
  if (isTls) {
    reread(farm, settings, log);
    return;
  }
  log.info({ signal: 'SIGHUP' }, 'signal received: reloading');
  farm.changes.reload().catch((error: unknown) => {
    if (error instanceof FarmError) log.warn({ signal: 'SIGHUP', reason: error.message }, 'reload refused');
    else log.error({ signal: 'SIGHUP', err: error }, 'reload failed');
  });
}

/** Files that cannot be used change nothing. */
function reread(farm: Farm, settings: Settings, log: Log): void {
  try {
    const tls = readTls(settings);
    if (tls !== undefined) farm.reloadTls(tls);
    log.info({ signal: 'SIGHUP' }, 'certificate re-read; the workers stay: "roost reload" replaces them');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error({ signal: 'SIGHUP', reason }, 'TLS certificate not re-read: the one in use stays');
  }
}
