/** What the master tells the server's own apps in each worker: structured data, no secrets in clear. */
export interface WorkerOptions {
  /** Tells this run of this farm from all others. */
  readonly farmId: string;
  /** `file:` URL of the user's module. */
  readonly userApp: string | null;
  readonly plain: PlainOptions;
  readonly api: ApiOptions;
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
    'userApp' in handed
  );
}
