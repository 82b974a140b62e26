import type { FarmErrorCode } from '../api/errors.ts';
import type { ChannelInfo } from '../api/info.ts';
import type { ProcessMetrics } from '../api/metrics.ts';
import type { ChannelMembers, ConnectionDetails, DisconnectTarget } from '../api/operations.ts';
import type { ChannelCounts } from '../api/presence.ts';
import type { WorkerReport } from './worker-report.ts';

/** What the master asks a worker, or wants it to do. */
export type Asked =
  | { readonly question: 'report' | 'metrics' }
  /** All channels that match the glob. */
  | { readonly question: 'channels'; readonly pattern: string }
  /** Its largest channels, by connections that are subscribed, or that are members. */
  | { readonly question: 'topChannels'; readonly limit: number; readonly by: 'subscribers' | 'members' }
  /** See {@link Operation}. */
  | Operation;

/** What an operator wants, by FarmOperations. */
export type Operation =
  | { readonly question: 'connection'; readonly connection: string }
  /** How much is in these channels, on whichever worker or farm. */
  | { readonly question: 'counts'; readonly channels: readonly string[] }
  | { readonly question: 'members'; readonly channel: string; readonly limit: number }
  | { readonly question: 'publish'; readonly channel: string; readonly data: string }
  | {
      readonly question: 'disconnect';
      readonly target: DisconnectTarget;
      readonly code?: number | undefined;
      readonly reason?: string | undefined;
    };

/** What a worker answers to the question for its metrics, beside its report. See WorkerMetrics. */
export interface WorkerMeasured extends Omit<ProcessMetrics, 'counters'> {
  readonly connections: Readonly<Record<string, number>>;
  readonly sockets: Readonly<Record<string, number>>;
  readonly closes: Readonly<Record<string, number>>;
}

/** What a worker knows of a connection. `number`: what the master has given it, which knows when that was. */
export type KnownConnection = Omit<ConnectionDetails, 'since'> & { readonly number: number };

/** A worker's answer to what it was asked. */
export type AskAnswer =
  | { readonly kind: 'report'; readonly report: WorkerReport }
  | { readonly kind: 'metrics'; readonly report: WorkerReport; readonly measured: WorkerMeasured }
  | { readonly kind: 'channels'; readonly channels: readonly ChannelInfo[] }
  /** Null when the connection is not there. */
  | { readonly kind: 'connection'; readonly details: KnownConnection | null }
  /** In the order of the channels. */
  | { readonly kind: 'counts'; readonly counts: readonly ChannelCounts[] }
  | { readonly kind: 'members'; readonly members: ChannelMembers }
  /** It has done what it was to do. */
  | { readonly kind: 'done'; readonly isFound: boolean }
  | { readonly kind: 'refused'; readonly code: FarmErrorCode; readonly reason: string };
