import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';

export interface CertificateOptions {
  /** Default `localhost`. */
  readonly commonName?: string;
  /** Of an RSA key. Default: a key on P-256. */
  readonly rsaBits?: number;
  /** From today; negative for one that has expired. Default 365. */
  readonly days?: number;
}

export interface TestCertificate {
  /** PEM. Self-signed: clients that are given it as their `ca` trust it, for `localhost` and 127.0.0.1. */
  readonly cert: string;
  /** PEM, PKCS #8. */
  readonly key: string;
  /** SHA-256 as node:crypto and node:tls write it. */
  readonly fingerprint256: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** A certificate of its own for a spec (RFC 5280), made here so that no private key has to be committed. */
export function makeCertificate(options: CertificateOptions = {}): TestCertificate {
  const { commonName = 'localhost', days = 365, rsaBits } = options;
  const { publicKey, privateKey } =
    rsaBits === undefined
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: rsaBits });
  const end = Date.now() + days * DAY_MS;
  const name = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(commonName)))));
  // ecdsa-with-SHA256 (RFC 5758 §3.2) and sha256WithRSAEncryption (RFC 4055 §5).
  const algorithm =
    rsaBits === undefined
      ? sequence(oid('2a8648ce3d040302'))
      : sequence(oid('2a864886f70d01010b'), der(0x05, Buffer.alloc(0)));
  const toBeSigned = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    algorithm,
    name,
    sequence(time(new Date(Math.min(Date.now(), end) - DAY_MS)), time(new Date(end))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(alternativeNames())),
  );
  const bytes = sequence(toBeSigned, algorithm, bitString(signature(toBeSigned, privateKey)));
  return {
    cert: pem('CERTIFICATE', bytes),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    fingerprint256: (createHash('sha256').update(bytes).digest('hex').toUpperCase().match(/../g) ?? []).join(
      ':',
    ),
  };
}

/** The extension that lets it be used for `localhost` and 127.0.0.1. */
function alternativeNames(): Buffer {
  const names = sequence(der(0x82, Buffer.from('localhost')), der(0x87, Buffer.from([127, 0, 0, 1])));
  return sequence(oid('551d11'), der(0x04, names));
}

function signature(bytes: Buffer, key: KeyObject): Buffer {
  return sign('sha256', bytes, { key, dsaEncoding: 'der' });
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts));
}

function oid(hex: string): Buffer {
  return der(0x06, Buffer.from(hex, 'hex'));
}

function bitString(bytes: Buffer): Buffer {
  return der(0x03, Buffer.concat([Buffer.from([0]), bytes]));
}

/** GeneralizedTime, which holds every year. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  return der(0x18, Buffer.from(digits));
}

/** Tag, length, value (X.690 §8.1). */
function der(tag: number, value: Buffer): Buffer {
  const { length } = value;
  const header =
    length < 0x80
      ? [tag, length]
      : length < 0x100
        ? [tag, 0x81, length]
        : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(header), value]);
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}
