import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { JSONWebKeySet, JWK } from 'jose';

/** The algorithms by which public keys verify. Which of them a key may be used with is a matter of its kind. */
type PublicKeyAlgorithm = 'RS256' | 'ES256';

export interface PublicKey {
  readonly algorithm: PublicKeyAlgorithm;
  readonly jwk: JWK;
}

/** RFC 7518 §3.3. */
const MIN_RSA_BITS = 2048;

/** The public key of a PEM text: RSA, EC on P-256, or that of a certificate. Throws an error that says what it is instead. */
export function parsePublicKey(pem: string): PublicKey {
  if (pem.includes('PRIVATE KEY-----')) {
    throw new Error('it holds a private key, which belongs to the issuer alone; give the public one');
  }
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw new Error('it is not a PEM file with a public key or certificate');
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'rsa' && (details?.modulusLength ?? 0) >= MIN_RSA_BITS) {
    return { algorithm: 'RS256', jwk: jwkOf(key) };
  }
  if (type === 'ec' && details?.namedCurve === 'prime256v1') {
    return { algorithm: 'ES256', jwk: jwkOf(key) };
  }
  throw new Error(
    `its key must be RSA of at least ${MIN_RSA_BITS} bits (RS256) or EC on P-256 (ES256), got ${type ?? 'another'}`,
  );
}

function jwkOf(key: KeyObject): JWK {
  return { ...key.export({ format: 'jwk' }) };
}

/**
 * The keys of a JWKS text (RFC 7517 §5) that can be used here; others are left out, as the RFC has it. Throws when there
 * is none, or when one is secret.
 */
export function parseJwks(text: string): JSONWebKeySet {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new Error('it is not JSON');
  }
  const listed: unknown = isObject(parsed) ? parsed['keys'] : undefined;
  if (!Array.isArray(listed)) throw new Error('it is not a JWKS: an object with a list "keys"');
  const members = listed.filter(isObject);
  if (members.some((key) => key['kty'] === 'oct' || 'd' in key)) {
    throw new Error('it holds a secret key, where only public ones belong');
  }
  const keys = members.filter(isUsable);
  if (keys.length === 0) {
    throw new Error('it has no key for signatures that is RSA (RS256) or EC on P-256 (ES256)');
  }
  return { keys };
}

function isUsable(key: Record<string, unknown>): key is Record<string, unknown> & JWK {
  const { kty, crv, use = 'sig' } = key;
  return use === 'sig' && (kty === 'RSA' || (kty === 'EC' && crv === 'P-256'));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
