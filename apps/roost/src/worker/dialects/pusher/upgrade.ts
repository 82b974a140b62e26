import { accept } from '@roost/farm';
import type { Acceptance, UpgradeDecision, UpgradeRequest } from '@roost/farm';
import type { PusherApp, PusherApps } from './apps.ts';
import { CLOSING_ERRORS } from './errors.ts';
import type { ClosingErrorName } from './errors.ts';
import type { Quotas } from './quotas.ts';
import { newSession, refusedSession } from './session.ts';

const PATH = '/app';

/** Versions of the protocol. They are the same on the wire, as far as clients of today use them. */
const PROTOCOLS: ReadonlySet<string> = new Set(['5', '6', '7']);

/** A path without the configured prefix, which it may have. */
export function withoutPrefix(path: string, prefix: string): string {
  return prefix !== '' && path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : path;
}

/** Whether a path without its prefix is one of clients: that of an app, or of nothing. */
export function isClientPath(path: string): boolean {
  return path === PATH || path.startsWith(`${PATH}/`);
}

/**
 * Lets every client in that asks for a path of the dialect: browsers tell a page nothing of a refused upgrade. Who is refused
 * is told so right after the 101, by a session that has nothing but the code.
 */
export function decideUpgrade(
  request: Pick<UpgradeRequest, 'path' | 'query'>,
  pathPrefix: string,
  { apps, quotas }: { readonly apps: PusherApps; readonly quotas: Quotas },
): UpgradeDecision | Promise<UpgradeDecision> {
  const path = withoutPrefix(request.path, pathPrefix);
  if (!isClientPath(path)) return undefined;
  const key = path.slice(PATH.length + 1);
  if (key === '' || key.includes('/')) return refused('unknownPath');
  const app = apps.withKey(key);
  if (app === undefined) return refused('unknownKey');
  const protocol = request.query.get('protocol') ?? '';
  if (protocol === '') return refused('missingProtocol');
  if (!PROTOCOLS.has(protocol)) return refused('unsupportedProtocol');
  if (!app.isEnabled) return refused('disabledApp');
  const decide = (hasRoom: boolean): UpgradeDecision =>
    hasRoom ? accepted(app, quotas) : refused('overQuota');
  const taken = quotas.take(app);
  return typeof taken === 'boolean' ? decide(taken) : taken.then(decide);
}

function accepted(app: PusherApp, quotas: Quotas): Acceptance {
  const { authorizationTimeoutMs } = app;
  return accept({
    channels: quotas.channelsOf(app),
    session: newSession(app.index, performance.now()),
    expiresAt: authorizationTimeoutMs === null ? undefined : (Date.now() + authorizationTimeoutMs) / 1000,
  });
}

function refused(error: ClosingErrorName): Acceptance {
  return accept({ session: refusedSession(CLOSING_ERRORS[error].code) });
}
