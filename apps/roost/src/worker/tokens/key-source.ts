import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Log } from '@roost/farm';
import { importJWK } from 'jose/key/import';
import { createLocalJWKSet } from 'jose/jwks/local';
import { JOSEAlgNotAllowed, JWKSNoMatchingKey } from 'jose/errors';
import type { CryptoKey, JWSHeaderParameters, JWTVerifyGetKey } from 'jose';
import type { TokenOptions } from '../options.ts';
import { fetchText } from './fetch-text.ts';
import { parseJwks, parsePublicKey } from './key-files.ts';
import { ReloadedValue } from './reloaded-value.ts';

/** How long a file is trusted to be unchanged. */
const FILE_CACHE_MS = 5000;
/** The least time between two readings of a file for the sake of a key that it did not have. */
const FILE_COOLDOWN_MS = 1000;

/** Where verification finds its key, and what it may be used for: never a public key as a secret, nor the other way round. */
export interface KeySource {
  readonly algorithms: readonly string[];
  /** Rejects with an error of jose's, or with KeysUnavailableError. */
  readonly find: JWTVerifyGetKey;
}

export function keySource(options: TokenOptions, log: Log): KeySource {
  const { key } = options;
  if (key.kind === 'secret') return secretSource(key.secret);
  const isUrl = key.kind === 'jwks' && !key.url.startsWith('file:');
  const url = new URL(key.url);
  const keys = new ReloadedValue<JWTVerifyGetKey>({
    load: isUrl ? () => fetchText(url, options.jwksTimeoutMs) : () => readFile(fileURLToPath(url), 'utf8'),
    parse: key.kind === 'jwks' ? jwksLookup : publicKeyLookup,
    ...(isUrl
      ? {
          refreshAfterMs: options.jwksCacheMs,
          waitAfterMs: options.jwksCacheMs + options.jwksStaleMs,
          dropAfterMs: options.jwksCacheMs + options.jwksStaleMs,
          cooldownMs: options.jwksCooldownMs,
        }
      : {
          refreshAfterMs: FILE_CACHE_MS,
          waitAfterMs: FILE_CACHE_MS,
          // What was read last stays valid while the file is being rewritten.
          dropAfterMs: Number.POSITIVE_INFINITY,
          cooldownMs: FILE_COOLDOWN_MS,
        }),
    onFailure: (error) => {
      // Without its query: that may be a secret.
      const from = isUrl ? `${url.origin}${url.pathname}` : fileURLToPath(url);
      log.error(
        { from, error: error instanceof Error ? error.message : String(error) },
        'token keys cannot be loaded',
      );
    },
  });
  // So that the first client need not wait.
  keys.get().catch(() => undefined);
  return { algorithms: ['RS256', 'ES256'], find: (header, token) => findIn(keys, header, token) };
}

async function findIn(
  keys: ReloadedValue<JWTVerifyGetKey>,
  ...wanted: Parameters<JWTVerifyGetKey>
): Promise<CryptoKey | Awaited<ReturnType<JWTVerifyGetKey>>> {
  const find = await keys.get();
  try {
    return await find(...wanted);
  } catch (error) {
    if (!(error instanceof JWKSNoMatchingKey)) throw error;
    // The issuer may have a new key.
    const findAgain = await keys.newer();
    if (findAgain === undefined) throw error;
    return await findAgain(...wanted);
  }
}

function secretSource(secret: string): KeySource {
  const key = crypto.subtle.importKey('raw', Buffer.from(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'verify',
  ]);
  return { algorithms: ['HS256'], find: () => key };
}

async function publicKeyLookup(pem: string): Promise<JWTVerifyGetKey> {
  const { algorithm, jwk } = parsePublicKey(pem);
  const key = await importJWK(jwk, algorithm);
  return async ({ alg }: JWSHeaderParameters) => {
    if (alg !== algorithm) throw new JOSEAlgNotAllowed(`this key is for ${algorithm}`);
    return key;
  };
}

async function jwksLookup(text: string): Promise<JWTVerifyGetKey> {
  return createLocalJWKSet(parseJwks(text));
}
