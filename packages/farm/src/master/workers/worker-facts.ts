import type { ConnectionIdSecret } from '../../link/connection-id-secret.ts';

/** What a worker is told of its place in the farm. */
export interface WorkerFacts {
  /** Where its main thread is to be pinned; null when it is not. */
  readonly cpu: number | null;
  /** Other workers have the same CPU. */
  readonly sharesCpu: boolean;
  readonly ids: ConnectionIdSecret;
}
