import type { WorkerMessage, WorkerReport } from '../../link/messages.ts';
import type { TlsCredentials } from '../../link/tls-credentials.ts';
import type { AcceptedSocket } from '../entrance/hand-off.ts';
import type { SupervisedWorker } from './supervised-worker.ts';

/** What a worker says that concerns more than its own supervision. */
export type ForwardedMessage = Extract<WorkerMessage, { type: 'query' | 'broker' | 'addresses' | 'lease' }>;

export interface SupervisionHooks {
  /** What it speaks TLS with, now; null without TLS. */
  tls(): TlsCredentials | null;
  /** It has a process, and `descriptors`. */
  workerStarted(worker: SupervisedWorker): void;
  /** It takes hand-offs now. */
  workerReady(worker: SupervisedWorker): void;
  /** The system had no process for it; it is tried again later. */
  workerNotForked(worker: SupervisedWorker, error: NodeJS.ErrnoException): void;
  /** It cannot start; `reason` is what its app threw, most often. It is not started again by itself. */
  workerFailed(worker: SupervisedWorker, reason: string): void;
  /** It has not started within `appStartTimeoutMs`, and is killed. */
  workerTimedOut(worker: SupervisedWorker): void;
  /** It has room again, or its connections have become fewer. */
  workerHasRoom(): void;
  /** Sockets that it will not serve. */
  workerReturned(worker: SupervisedWorker, sockets: readonly AcceptedSocket[]): void;
  /** What it reports has changed. */
  workerReported(): void;
  /** It is started again; the last report of the one before. */
  workerReplaced(report: WorkerReport): void;
  /** It is gone, for good or until it is started again. */
  workerEnded(worker: SupervisedWorker): void;
  /** Everything else it says. */
  workerSaid(worker: SupervisedWorker, message: ForwardedMessage): void;
}
