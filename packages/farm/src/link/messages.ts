import type { BrokerLinkMessage } from '@roost/broker';
import type { FarmChannels, FarmInfo, Readiness } from '../api/info.ts';
import type { LogFields, LogLevel } from '../api/log.ts';
import type { FarmConfig } from '../options/options.ts';
import type { ConnectionIdSecret } from './connection-id-secret.ts';
import type { Asked, AskAnswer } from './questions.ts';
import type { TlsCredentials } from './tls-credentials.ts';
import type { WorkerReport } from './worker-report.ts';

/** The two lives of a move. */
export type MoveSide = 'source' | 'target';

/** Why rows move. */
export type MoveReason = 'reload' | 'rebalance';

/**
 * Why a move has ended: `done` (all that was to move has moved), `empty` (there was nothing to move), `stopped` (it was told
 * to). The others: the target's `broker` is away, or is there and takes no `marks`, it is `full`, the two have different `server`s of the broker; the other side did
 * not answer in time (`timeout`) or is `dead`; what is left has an `attachment` that cannot be written down or read, or an `app`
 * that the target has not, or changed its channels whenever it was to go (`busy`).
 */
export type MoveEndReason =
  | 'done'
  | 'empty'
  | 'stopped'
  | 'broker'
  | 'marks'
  | 'full'
  | 'server'
  | 'timeout'
  | 'dead'
  | 'attachment'
  | 'app'
  | 'busy';

/** An app of a worker. */
export interface AppFacts {
  readonly name: string;
  /** What it says of itself; null when it says nothing. */
  readonly version: string | null;
}

/** Master to worker. Descriptors do not travel here: see hand-off-record.ts. */
export type MasterMessage =
  /** The first message: what to run on. */
  | {
      readonly type: 'start';
      readonly worker: number;
      readonly cpu: number | null;
      readonly config: FarmConfig;
      /** Null when the port does not speak TLS. */
      readonly tls: TlsCredentials | null;
      /** Other workers have the same CPU: it asks before it broadcasts to a large channel. */
      readonly sharesCpu: boolean;
      readonly ids: ConnectionIdSecret;
    }
  /** From now on other workers have the same CPU, or none has. */
  | { readonly type: 'shares'; readonly sharesCpu: boolean }
  /** It may broadcast to large channels now. */
  | { readonly type: 'lease' }
  /** New connections are served with these. */
  | { readonly type: 'tls'; readonly credentials: TlsCredentials }
  | { readonly type: 'readiness'; readonly readiness: Readiness }
  | {
      readonly type: 'ask';
      readonly id: number;
      readonly asked: Asked;
    }
  | { readonly type: 'answer'; readonly id: number; readonly answer: QueryAnswer }
  | { readonly type: 'broker'; readonly message: BrokerLinkMessage }
  /** The worker of that name is dead: what it had in channels is to be removed. */
  | { readonly type: 'reap'; readonly owner: string }
  /** What the other workers have of some addresses: see address-records.ts. */
  | { readonly type: 'addresses'; readonly payload: Buffer }
  /**
   * It gives up to so many rows to another life, or all that can move, in batches of `batchRows`, over a pair whose end comes as
   * a hand-off record of kind `movePair` with this number: before or after this message.
   */
  | {
      readonly type: 'move';
      readonly move: number;
      readonly role: 'source';
      readonly rows: number | 'all';
      readonly batchRows: number;
    }
  /** It takes rows from another life, whose apps are `from`. */
  | {
      readonly type: 'move';
      readonly move: number;
      readonly role: 'target';
      readonly from: readonly AppFacts[];
      readonly reason: MoveReason;
    }
  /** Finish the batch under way, then leave. */
  | { readonly type: 'moveStop'; readonly move: number }
  /** The process on that side of the move has been reaped. */
  | { readonly type: 'moveDead'; readonly move: number; readonly side: MoveSide }
  /**
   * It gets no sockets any more, and gives away none: what it still has ends, connections closed with 1012 paced over
   * `drainMs`, and whatever is left after `retireMs`. Then it exits. `workers`: how many the farm has.
   */
  | { readonly type: 'retire'; readonly drainMs: number; readonly retireMs: number; readonly workers: number }
  /** Close every connection with 1001, paced over `drainMs`, answer `drained`, and exit. `workers` drain at the same time. */
  | { readonly type: 'drain'; readonly drainMs: number; readonly workers: number };

/** Worker to master. */
export type WorkerMessage =
  | {
      readonly type: 'ready';
      readonly capacity: number;
      readonly cpu: number | null;
      readonly apps: readonly AppFacts[];
    }
  /** The worker cannot start; it exits after this. */
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'report'; readonly report: WorkerReport }
  /**
   * Sockets that this worker has finished with since its start, and how many of them were over a limit of their address.
   * Cumulative, so that none is counted twice.
   */
  | { readonly type: 'released'; readonly total: number; readonly limited: number }
  /** A batch of `rows` has left this worker for another, of `total` since its start. They are not among those released. */
  | {
      readonly type: 'moved';
      readonly move: number;
      readonly direction: 'out';
      readonly rows: number;
      readonly total: number;
    }
  /**
   * A batch of `rows` has come, of `total` since the start of this worker, and is served; each was served by nobody for up to
   * `pauseMs`. `payload`: the addresses of those that count against a limit, as address-records.ts has them (`peerEnded` for
   * sockets that the master counts, `clientEnded` for clients behind a proxy); what they count moves along.
   */
  | {
      readonly type: 'moved';
      readonly move: number;
      readonly direction: 'in';
      readonly rows: number;
      readonly total: number;
      readonly pauseMs: number;
      readonly payload: Buffer;
    }
  /** The other side of the move does not answer: it must be dead before this one goes on. */
  | { readonly type: 'moveNeedsDeath'; readonly move: number; readonly side: MoveSide }
  /** It takes no further part in the move. `left`: rows that are still here. `closed`: rows that the move has cost. */
  | {
      readonly type: 'moveEnded';
      readonly move: number;
      readonly role: MoveSide;
      readonly reason: MoveEndReason;
      readonly moved: number;
      readonly left: number;
      readonly closed: number;
    }
  /** Which sockets that count against a limit of their address came and ended: see address-records.ts. */
  | { readonly type: 'addresses'; readonly payload: Buffer }
  | { readonly type: 'log'; readonly level: LogLevel; readonly fields: LogFields; readonly message: string }
  | {
      readonly type: 'query';
      readonly id: number;
      readonly question: 'info' | 'channels';
      readonly pattern: string;
    }
  | { readonly type: 'answer'; readonly id: number; readonly answer: AskAnswer }
  | { readonly type: 'broker'; readonly message: BrokerLinkMessage }
  /** By which name what it has in channels is known in Redis from now on. */
  | { readonly type: 'owner'; readonly owner: string }
  /** It wants a lease of its CPU, to broadcast to large channels, and returns one that it has; or it needs none any more. */
  | { readonly type: 'lease'; readonly isWanted: boolean }
  | { readonly type: 'drained'; readonly closed: number }
  /** It retires, and has closed so many connections, which could not move. */
  | { readonly type: 'retired'; readonly closed: number };

/** The master's answer to a worker's query. */
export type QueryAnswer =
  | { readonly kind: 'info'; readonly info: FarmInfo }
  | { readonly kind: 'channels'; readonly farm: FarmChannels };
