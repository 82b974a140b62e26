import type { BrokerLinkMessage } from '@roost/broker';
import type { ChannelInfo, FarmChannels, FarmInfo, Readiness } from '../api/info.ts';
import type { LogFields, LogLevel } from '../api/log.ts';
import type { FarmConfig } from '../options/options.ts';
import type { TlsCredentials } from './tls-credentials.ts';

/** What a worker reports about itself, once per second and when asked. All counts are totals since its start. */
export interface WorkerReport {
  readonly connections: number;
  readonly subscriptions: number;
  /** Memory of its outbound queues. */
  readonly outboundBytes: number;
  readonly broker: { readonly state: string; readonly reason: string };
  readonly counters: Readonly<Record<string, number>>;
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
    }
  /** It may broadcast to large channels now. */
  | { readonly type: 'lease' }
  /** New connections are served with these. */
  | { readonly type: 'tls'; readonly credentials: TlsCredentials }
  | { readonly type: 'readiness'; readonly readiness: Readiness }
  | {
      readonly type: 'ask';
      readonly id: number;
      readonly question: 'report' | 'channels';
      readonly pattern: string;
    }
  | { readonly type: 'answer'; readonly id: number; readonly answer: QueryAnswer }
  | { readonly type: 'broker'; readonly message: BrokerLinkMessage }
  /** What the other workers have of some addresses: see address-records.ts. */
  | { readonly type: 'addresses'; readonly payload: Buffer }
  /** Close every connection with 1001, paced over `drainMs`, answer `drained`, and exit. */
  | { readonly type: 'drain'; readonly drainMs: number };

/** Worker to master. */
export type WorkerMessage =
  | { readonly type: 'ready'; readonly capacity: number; readonly cpu: number | null }
  /** The worker cannot start; it exits after this. */
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'report'; readonly report: WorkerReport }
  /**
   * Sockets that this worker has finished with since its start, and how many of them were over a limit of their address.
   * Cumulative, so that none is counted twice.
   */
  | { readonly type: 'released'; readonly total: number; readonly limited: number }
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
  /** It wants a lease of its CPU, to broadcast to large channels, and returns one that it has; or it needs none any more. */
  | { readonly type: 'lease'; readonly isWanted: boolean }
  | { readonly type: 'drained'; readonly closed: number };

/** The master's answer to a worker's query. */
export type QueryAnswer =
  | { readonly kind: 'info'; readonly info: FarmInfo }
  | { readonly kind: 'channels'; readonly farm: FarmChannels };

/** A worker's answer to the master's ask. */
export type AskAnswer =
  | { readonly kind: 'report'; readonly report: WorkerReport }
  | { readonly kind: 'channels'; readonly channels: readonly ChannelInfo[] };
