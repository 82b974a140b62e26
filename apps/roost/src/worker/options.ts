import type { PusherOptions } from './dialects/pusher/options.ts';

/** What the master passes to the server's own apps in each worker: structured data. Its secrets are those of tokens and of Pusher apps. */
export interface WorkerOptions {
  /** Tells this run of this farm from all others. */
  readonly farmId: string;
  /** `file:` URL of the user's module. */
  readonly userApp: string | null;
  readonly plain: PlainOptions;
  readonly api: ApiOptions;
  /** Null when no key for tokens is configured: then none is looked for. */
  readonly tokens: TokenOptions | null;
  /** Null when no app of the Pusher protocol is configured. */
  readonly pusher: PusherOptions | null;
}

export interface TokenOptions {
  readonly key:
    | { readonly kind: 'secret'; readonly secret: string }
    /** `file:` of a PEM file. */
    | { readonly kind: 'publicKey'; readonly url: string }
    /** `file:`, `http:` or `https:`. */
    | { readonly kind: 'jwks'; readonly url: string };
  readonly issuer: string | null;
  readonly audience: string | null;
  readonly clockToleranceSeconds: number;
  readonly allowAnonymous: boolean;
  /** Globs. */
  readonly publicChannels: readonly string[];
  readonly jwksTimeoutMs: number;
  readonly jwksCacheMs: number;
  readonly jwksStaleMs: number;
  readonly jwksCooldownMs: number;
}

export interface PlainOptions {
  /** Whether messages of clients are published to the channels of their connection. */
  readonly clientPublish: boolean;
}

interface ApiOptions {
  /** SHA-256 of the API key in hex, so that workers never hold the key. */
  readonly keyDigest: string;
  readonly maxBodyBytes: number;
  readonly maxBroadcastChannels: number;
}

/** The options as farmOptions() of this package made them in the master. Throws when something else is handed in. */
export function workerOptions(handed: unknown): WorkerOptions {
  if (!isWorkerOptions(handed)) throw new TypeError('appOptions must be the WorkerOptions of roost');
  return handed;
}

function isWorkerOptions(handed: unknown): handed is WorkerOptions {
  return (
    typeof handed === 'object' &&
    handed !== null &&
    'plain' in handed &&
    'api' in handed &&
    'userApp' in handed &&
    'tokens' in handed &&
    'pusher' in handed
  );
}
