import { randomBytes } from 'node:crypto';
import type { Log } from '@roost/farm';
import type { ResolvedConfig } from '../config/resolve.ts';
import { AdminListener, AdminListenError } from './listener.ts';

const GENERATED_TOKEN_BYTES = 24;

/**
 * Opens the admin listener as it is configured; undefined when it is off. Where nobody has asked for its port, one that is in
 * use costs the listener and not the farm, and is logged: Roost is not the only program that likes 8081. Else rejects with an
 * AdminListenError. `ownToken`: the token where none is configured; undefined for one of this start.
 */
export async function openAdmin(
  { settings, origins }: Pick<ResolvedConfig, 'settings' | 'origins'>,
  log: Log,
  ownToken: string = randomBytes(GENERATED_TOKEN_BYTES).toString('base64url'),
): Promise<AdminListener | undefined> {
  const { 'admin.host': host, 'admin.port': port, 'admin.token': chosen } = settings;
  if (port === 'off') return undefined;
  const token = chosen ?? ownToken;
  try {
    const listener = await AdminListener.open({ host, port, token, isTokenChosen: chosen !== null }, log);
    announce(listener.url, chosen === null ? token : undefined, log);
    return listener;
  } catch (error) {
    const isAskedFor = origins.get('admin.port') !== 'default';
    if (isAskedFor || !(error instanceof AdminListenError) || error.reason !== 'EADDRINUSE') throw error;
    log.warn(
      { port },
      'no admin listener: its port is in use. Choose another with --admin-port, or turn it off with --admin-port off',
    );
    return undefined;
  }
}

/**
 * As with the API's key, a token that was made for this start must be told to somebody. It stands behind the `#` of a URL,
 * which browsers do not send.
 */
function announce(url: string, token: string | undefined, log: Log): void {
  const dashboard = token === undefined ? `${url}/` : `${url}/#token=${token}`;
  log.info({ dashboard, metrics: `${url}/metrics` }, 'admin listener open');
}
