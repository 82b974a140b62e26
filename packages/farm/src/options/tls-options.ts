import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { FarmError } from '../api/errors.ts';
import type { TlsOptions, TlsVersion } from '../api/tls.ts';

/** TLS options that work: certificate and key are PEM, belong together, and OpenSSL takes them. */
export interface CheckedTls {
  readonly cert: string;
  readonly key: string;
  readonly minVersion: TlsVersion;
  /** Whom the server's certificate names. */
  readonly subject: string;
  /** When it ends. */
  readonly expiresAt: Date;
}

const FIRST_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/;

/**
 * Makes sure that a port could speak TLS with these. Throws a FarmError with FARM_ERR_OPTION whose `option` is `tls.cert`,
 * `tls.key` or `tls.minVersion`; nothing of the key stands in its message.
 */
export function checkTls(options: TlsOptions): CheckedTls {
  const cert = Buffer.from(options.cert).toString();
  const key = Buffer.from(options.key).toString();
  const { minVersion = 'TLSv1.2' } = options;
  if (minVersion !== 'TLSv1.2' && minVersion !== 'TLSv1.3') {
    throw wrong('tls.minVersion', `must be "TLSv1.2" or "TLSv1.3", got ${JSON.stringify(minVersion)}.`);
  }
  const certificate = readCertificate(cert);
  const subject = certificate.subject.replaceAll('\n', ', ');
  if (!certificate.checkPrivateKey(readKey(key))) {
    throw wrong(
      'tls.key',
      `must be the private key of the certificate of tls.cert (${subject}), got the key of another.`,
    );
  }
  try {
    createSecureContext({ cert, key, minVersion });
  } catch (error) {
    throw wrong('tls.cert', `cannot be used: OpenSSL says "${reasonOf(error)}".`, error);
  }
  return { cert, key, minVersion, subject, expiresAt: new Date(certificate.validTo) };
}

function readCertificate(pem: string): X509Certificate {
  const [first] = FIRST_CERTIFICATE.exec(pem) ?? [];
  const allowed = "must be a PEM certificate chain that begins with the server's own";
  if (first === undefined) throw wrong('tls.cert', `${allowed}, got ${kindOf(pem)}.`);
  try {
    return new X509Certificate(first);
  } catch (error) {
    throw wrong('tls.cert', `${allowed}; the first cannot be read: ${reasonOf(error)}.`, error);
  }
}

function readKey(pem: string): KeyObject {
  const allowed = 'must be a PEM private key that is not encrypted';
  if (/ENCRYPTED/.test(pem)) {
    throw wrong('tls.key', `${allowed}, got an encrypted one. "openssl pkey" decrypts it.`);
  }
  try {
    return createPrivateKey(pem);
  } catch (error) {
    // OpenSSL's own words are about decoders; none of them quotes the key.
    throw wrong('tls.key', `${allowed}, got ${kindOf(pem)}.`, error);
  }
}

/** What stands in a file that should hold something else: the PEM label, never the contents. */
function kindOf(pem: string): string {
  const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(pem)?.[1];
  if (label !== undefined) return `"${label}" that cannot be used`;
  return pem.trim() === '' ? 'nothing' : `${pem.length} characters that are not PEM`;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function wrong(option: string, problem: string, cause?: unknown): FarmError {
  return new FarmError('FARM_ERR_OPTION', `${option} ${problem}`, { option, cause });
}
