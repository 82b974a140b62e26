import { randomBytes } from 'node:crypto';
import type { TlsCredentials } from '../link/tls-credentials.ts';
import { FarmError } from '../api/errors.ts';
import type { Log } from '../api/log.ts';
import type { TlsOptions } from '../api/tls.ts';
import { checkTls } from '../options/tls-options.ts';

/** What OpenSSL wants: a name, an HMAC key and an AES key of 16 bytes each. */
const TICKET_KEY_BYTES = 48;
const DAY_MS = 24 * 60 * 60 * 1000;
const WARNED_DAYS = 14;

/**
 * The farm's certificate and private key. New ones have new ticket keys, so that no session outlives the
 * certificate under which it began.
 */
export class TlsKeeper {
  readonly #log: Log;
  #credentials: TlsCredentials | null;

  /** `options`: undefined when the farm does not speak TLS. Throws a FarmError that names the option. */
  constructor(options: TlsOptions | undefined, log: Log) {
    this.#log = log;
    this.#credentials = options === undefined ? null : this.#check(options);
  }

  /** What workers get; null without TLS. */
  get credentials(): TlsCredentials | null {
    return this.#credentials;
  }

  /** Throws a FarmError when they cannot be used; the old ones stay in use. */
  replace(options: TlsOptions): TlsCredentials {
    if (this.#credentials === null) {
      const message = 'tls must be given when the farm starts: a port without TLS cannot start to speak it.';
      throw new FarmError('FARM_ERR_OPTION', message, { option: 'tls' });
    }
    this.#credentials = this.#check(options);
    return this.#credentials;
  }

  #check(options: TlsOptions): TlsCredentials {
    const { cert, key, minVersion, subject, expiresAt } = checkTls(options);
    const days = Math.floor((expiresAt.getTime() - Date.now()) / DAY_MS);
    const facts = { subject, expiresAt: expiresAt.toISOString(), days };
    this.#log.info(facts, 'TLS certificate read: new connections get it');
    if (days < 0) this.#log.warn(facts, 'the TLS certificate has expired: clients will refuse it');
    else if (days < WARNED_DAYS) this.#log.warn(facts, 'the TLS certificate expires soon');
    return { cert, key, minVersion, ticketKeys: randomBytes(TICKET_KEY_BYTES).toString('base64') };
  }
}
