import type { WorkerMessage } from '../../link/messages.ts';
import type { TlsCredentials } from '../../link/tls-credentials.ts';
import type { AcceptedSocket } from '../entrance/hand-off.ts';

/** Messages of a worker that concern more than its own supervision. */
export type ForwardedMessage = Extract<
  WorkerMessage,
  {
    type:
      | 'query'
      | 'broker'
      | 'owner'
      | 'addresses'
      | 'lease'
      | 'moved'
      | 'moveNeedsDeath'
      | 'moveEnded'
      | 'retired';
  }
>;

/** What a worker's supervision reports to the master. `Worker` is the class that does. */
export interface SupervisionHooks<Worker> {
  /** What it speaks TLS with, now; null without TLS. */
  tls(): TlsCredentials | null;
  /** It has a process, and `descriptors`. */
  workerStarted(worker: Worker): void;
  /** It takes hand-offs now. */
  workerReady(worker: Worker): void;
  /** The system had no process for it; it is tried again later. */
  workerNotForked(worker: Worker, error: NodeJS.ErrnoException): void;
  /** It cannot start; `reason` is what its app threw, most often. Its process ends, and its place starts another after a pause. */
  workerFailed(worker: Worker, reason: string): void;
  /** It has not started within `appStartTimeoutMs`, and is killed. */
  workerTimedOut(worker: Worker): void;
  /** It has room again, or its connections have become fewer. */
  workerHasRoom(): void;
  /** Sockets that it will not serve. */
  workerReturned(worker: Worker, sockets: readonly AcceptedSocket[]): void;
  /** What it reports has changed. */
  workerReported(worker: Worker): void;
  /** It has ended, for good or until it is started again. `lost`: connections that have died with it. */
  workerEnded(worker: Worker, lost: number): void;
  /** All its other messages. */
  workerSaid(worker: Worker, message: ForwardedMessage): void;
}
