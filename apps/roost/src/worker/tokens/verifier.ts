import type { Log, TokenClaims } from '@roost/farm';
import {
  JOSEError,
  JWKSMultipleMatchingKeys,
  JWSSignatureVerificationFailed,
  JWTClaimValidationFailed,
} from 'jose/errors';
import { jwtVerify } from 'jose/jwt/verify';
import type { CryptoKey, JWTPayload, JWTVerifyOptions } from 'jose';
import type { TokenOptions } from '../options.ts';
import { keySource } from './key-source.ts';
import type { KeySource } from './key-source.ts';
import type { TokenRefusal } from './refusals.ts';
import { KeysUnavailableError } from './reloaded-value.ts';

/** The request head bounds it, too; with this bound the claims fit into an attachment whatever that one is set to. */
const MAX_TOKEN_CHARACTERS = 8192;
/** Of the year 5138; in milliseconds it was passed in 1973. */
const MAX_EPOCH_SECONDS = 1e11;
/** Keys that are tried for a token without a `kid`. */
const MAX_CANDIDATES = 8;

/** By the code of jose's error. */
const BY_JOSE_CODE: Readonly<Record<string, TokenRefusal>> = {
  ERR_JOSE_ALG_NOT_ALLOWED: 'token_algorithm',
  ERR_JWKS_NO_MATCHING_KEY: 'token_key',
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: 'token_signature',
  ERR_JWT_EXPIRED: 'token_expired',
};

/** By the claim that did not pass. */
const BY_CLAIM: Readonly<Record<string, TokenRefusal>> = {
  nbf: 'token_not_yet_valid',
  iss: 'token_issuer',
  aud: 'token_audience',
};

/**
 * Verifies tokens by jose: signature, algorithm, `exp`, `nbf`, and `iss` and `aud` where the options ask for them. Never
 * rejects; the answer is the claims, or the code of the refusal.
 */
export class TokenVerifier {
  readonly #source: KeySource;
  readonly #options: JWTVerifyOptions;
  readonly #clockTolerance: number;
  readonly #log: Log;

  constructor(options: TokenOptions, log: Log) {
    this.#source = keySource(options, log);
    this.#log = log;
    this.#clockTolerance = options.clockToleranceSeconds;
    this.#options = {
      algorithms: [...this.#source.algorithms],
      clockTolerance: options.clockToleranceSeconds,
      ...(options.issuer === null ? {} : { issuer: options.issuer }),
      ...(options.audience === null ? {} : { audience: options.audience }),
    };
  }

  async verify(token: string): Promise<TokenClaims | TokenRefusal> {
    if (token.length > MAX_TOKEN_CHARACTERS) return 'token_malformed';
    try {
      const payload = await this.#payload(token);
      return areClaims(payload, this.#clockTolerance) ? payload : 'token_malformed';
    } catch (error) {
      return this.#refusal(error);
    }
  }

  async #payload(token: string): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(token, this.#source.find, this.#options);
      return payload;
    } catch (error) {
      if (error instanceof JWKSMultipleMatchingKeys) return this.#payloadByAny(token, error);
      throw error;
    }
  }

  /** A token that does not say which key it was signed with, where several may be. */
  async #payloadByAny(token: string, keys: AsyncIterable<CryptoKey>): Promise<JWTPayload> {
    let tried = 0;
    for await (const key of keys) {
      if (++tried > MAX_CANDIDATES) break;
      try {
        const { payload } = await jwtVerify(token, key, this.#options);
        return payload;
      } catch (error) {
        if (!(error instanceof JWSSignatureVerificationFailed)) throw error;
      }
    }
    throw new JWSSignatureVerificationFailed();
  }

  #refusal(error: unknown): TokenRefusal {
    if (error instanceof KeysUnavailableError) return 'token_keys_unavailable';
    if (error instanceof JWTClaimValidationFailed && error.reason !== 'invalid') {
      return BY_CLAIM[error.claim] ?? 'token_malformed';
    }
    if (error instanceof JOSEError) return BY_JOSE_CODE[error.code] ?? 'token_malformed';
    // A key that cannot be used, most likely: nothing that the client could mend.
    this.#log.error(
      { error: error instanceof Error ? error.message : String(error) },
      'token keys cannot be used',
    );
    return 'token_keys_unavailable';
  }
}

/** Whether the claims are of the types that they must have. */
function areClaims(payload: JWTPayload, clockTolerance: number): payload is JWTPayload & TokenClaims {
  const { sub, exp, channels, publish } = payload;
  return (
    (sub === undefined || typeof sub === 'string') &&
    // In milliseconds, a token would never expire.
    (exp === undefined || exp + clockTolerance < MAX_EPOCH_SECONDS) &&
    isPatterns(channels) &&
    isPatterns(publish)
  );
}

function isPatterns(claim: unknown): claim is readonly string[] | undefined {
  return (
    claim === undefined ||
    (Array.isArray(claim) && claim.every((pattern) => typeof pattern === 'string' && pattern !== ''))
  );
}
