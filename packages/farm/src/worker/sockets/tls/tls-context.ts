import { constants } from 'node:crypto';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { TlsCredentials } from '../../../link/tls-credentials.ts';

/** How long a client may reconnect without a whole handshake. */
const SESSION_SECONDS = 24 * 60 * 60;

/** What OpenSSL serves new connections with; those that are open keep the one they began with. */
export function secureContext({ cert, key, minVersion, ticketKeys }: TlsCredentials): SecureContext {
  return createSecureContext({
    cert,
    key,
    minVersion,
    ticketKeys: Buffer.from(ticketKeys, 'base64'),
    sessionTimeout: SESSION_SECONDS,
    // Sessions of one worker are taken by the others only when this is the same.
    sessionIdContext: 'roost',
    // Nothing here needs it, and each one costs us a private-key operation (RFC 8446 has removed it).
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
  });
}
