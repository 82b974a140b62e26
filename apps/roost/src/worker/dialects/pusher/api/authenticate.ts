import type { PusherApp, PusherApps } from '../apps.ts';
import { isBodyDigest, isRequestSignature, signedRequest } from '../signatures.ts';
import { RequestError } from './errors.ts';
import { signedPaths } from './query.ts';
import type { Query } from './query.ts';

/** How far the clock of a back end may be from that of the server: older requests cannot be repeated by others. */
const MAX_CLOCK_DIFFERENCE_SECONDS = 600;

/** What is known of a request before its body is read. */
export interface RequestHead {
  readonly method: string;
  /** As it was sent, without a configured prefix. */
  readonly path: string;
  readonly query: Query;
  readonly nowMs: number;
}

/**
 * The app whose back end has made the request. The body of a stranger is not read: what is signed of it is its digest,
 * which {@link checkBody} compares. Throws a RequestError.
 */
export function authenticate(apps: PusherApps, id: string, head: RequestHead): PusherApp {
  const app = apps.withId(id);
  if (app === undefined) throw new RequestError('unknownApp');
  const { values, signedForms } = head.query;
  if (values.get('auth_key') !== app.key) throw new RequestError('wrongKey');
  if (values.get('auth_version') !== '1.0') throw new RequestError('wrongVersion');
  const timestamp = values.get('auth_timestamp') ?? '';
  const difference = Math.abs(Number(timestamp) - head.nowMs / 1000);
  if (!/^\d{1,12}$/.test(timestamp) || difference > MAX_CLOCK_DIFFERENCE_SECONDS) {
    throw new RequestError('wrongTimestamp');
  }
  const signature = values.get('auth_signature') ?? '';
  const isSigned = signedPaths(head.path).some((path) =>
    signedForms.some((form) =>
      isRequestSignature(app.secret, signature, signedRequest(head.method, path, form)),
    ),
  );
  if (!isSigned) throw new RequestError('wrongSignature');
  if (!app.isEnabled) throw new RequestError('disabledApp');
  return app;
}

/** That the body is the one whose digest was signed. Throws a RequestError. */
export function checkBody(query: Query, body: Buffer): void {
  const digest = query.values.get('body_md5');
  if (digest === undefined ? body.length > 0 : !isBodyDigest(digest, body))
    throw new RequestError('wrongDigest');
}
