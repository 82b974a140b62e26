import { reject } from '@roost/farm';
import type { TokenReason, UpgradeDecision } from '@roost/farm';

interface RefusalRow {
  readonly status: number;
  /** RFC 6750 §3.1; null when the request shows no token, which is not an error there. */
  readonly error: 'invalid_request' | 'invalid_token' | 'insufficient_scope' | null;
  readonly message: string;
}

/**
 * How an upgrade is refused for its token: the code tells programs what was wrong, the message tells people. A code is the
 * name of its counter, too.
 */
const REFUSALS = {
  token_missing: {
    status: 401,
    error: null,
    message:
      'Show a token: in the query as ?token=, as Authorization: Bearer, or as the subprotocol bearer.<token>.',
  },
  token_repeated: { status: 400, error: 'invalid_request', message: 'Show one token, in one place.' },
  token_malformed: {
    status: 401,
    error: 'invalid_token',
    message: 'The token is not a JWT that this server accepts, or has a claim of a wrong type.',
  },
  token_algorithm: {
    status: 401,
    error: 'invalid_token',
    message: 'The token is signed with an algorithm that the key of this server does not allow.',
  },
  token_key: {
    status: 401,
    error: 'invalid_token',
    message: 'The token is signed with a key that this server does not know.',
  },
  token_signature: { status: 401, error: 'invalid_token', message: 'The signature of the token is wrong.' },
  token_expired: { status: 401, error: 'invalid_token', message: 'The token has expired.' },
  token_not_yet_valid: { status: 401, error: 'invalid_token', message: 'The token is not valid yet.' },
  token_issuer: { status: 401, error: 'invalid_token', message: 'The token comes from another issuer.' },
  token_audience: {
    status: 401,
    error: 'invalid_token',
    message: 'The token is meant for another audience.',
  },
  token_channel: {
    status: 403,
    error: 'insufficient_scope',
    message: 'The token does not cover this channel.',
  },
  token_keys_unavailable: {
    status: 503,
    error: null,
    message: 'The keys for tokens cannot be fetched now.',
  },
} as const satisfies Readonly<Record<Exclude<TokenReason, 'token_publish'>, RefusalRow>>;

export type TokenRefusal = keyof typeof REFUSALS;

const RETRY_SECONDS = '5';

/** The answer with its code in the body and, as RFC 6750 §3 has it, in WWW-Authenticate. */
export function refusal(code: TokenRefusal, message: string = REFUSALS[code].message): UpgradeDecision {
  const { status, error } = REFUSALS[code];
  return reject(status, JSON.stringify({ error: { code, message } }), {
    'Content-Type': 'application/json; charset=utf-8',
    ...(status === 503
      ? { 'Retry-After': RETRY_SECONDS }
      : { 'WWW-Authenticate': challenge(error, `${code}: ${REFUSALS[code].message}`) }),
  });
}

function challenge(error: RefusalRow['error'], description: string): string {
  return error === null
    ? 'Bearer realm="roost"'
    : `Bearer realm="roost", error="${error}", error_description="${description}"`;
}
