/**
 * Whether the farm can serve, and if not why: one sentence a reason. Anybody may read them: they name no host, no path and
 * no error of the inside, which stand in the log and in {@link FarmInfo}.
 */
export interface Readiness {
  /** Whether new clients should be sent here. */
  readonly ready: boolean;
  /** Empty when ready. */
  readonly reasons: readonly string[];
}

/** One worker, as the master last heard of it. */
export interface WorkerInfo {
  /** Index of the worker, from 0; a restarted worker keeps it. */
  readonly worker: number;
  /** Process id; 0 while it has no process. */
  readonly pid: number;
  /** The CPU that its main thread is pinned to; null when it could not be pinned. */
  readonly cpu: number | null;
  /** `failed`: it died, or could not be forked, and is started again after a pause. */
  readonly state: 'starting' | 'ready' | 'draining' | 'stopped' | 'failed';
  /** Open WebSocket connections. */
  readonly connections: number;
  /** The most connections that it takes. */
  readonly capacity: number;
  /** Pairs of a connection and a channel. */
  readonly subscriptions: number;
  /** Memory that its outbound queues hold for clients that have not read yet; bounded by maxOutboundBytesPerWorker. */
  readonly outboundBytes: number;
  /** How often it died and was started again. */
  readonly restarts: number;
}

/** Figures of a whole farm. */
export interface FarmInfo {
  /** The option `version`. */
  readonly version: string;
  /** Since the farm was started, in ms. */
  readonly uptimeMs: number;
  /** Open WebSocket connections of all workers. */
  readonly connections: number;
  /** Pairs of a connection and a channel, of all workers. */
  readonly subscriptions: number;
  /** By their index. */
  readonly workers: readonly WorkerInfo[];
  /** Workers that did not answer within a second: for these all facts, also in the sums, are from their last report. */
  readonly unanswered: readonly number[];
  /** Of the first worker whose broker is not ready, or of any when all are. */
  readonly broker: {
    /** `memory` is the embedded broker. */
    readonly kind: 'memory' | 'redis';
    /** `connecting`, `ready`, `away` or `stopped`. */
    readonly state: string;
    /** Why, in one sentence with the address of Redis: do not publish it. */
    readonly reason: string;
  };
  /** As {@link Farm.readiness} tells it. */
  readonly readiness: Readiness;
  /** Sums over master and workers since the start; docs/reference/counters.md says what each counts. */
  readonly counters: Readonly<Record<string, number>>;
}

/** The channels of this farm that have subscribers; other farms on the same Redis are not asked. */
export interface FarmChannels {
  /** In no particular order. */
  readonly channels: readonly ChannelInfo[];
  /** Workers that did not answer within a second: their subscribers are left out. Empty when all have answered. */
  readonly unanswered: readonly number[];
}

/** A channel with at least one subscriber. */
export interface ChannelInfo {
  /** Its name. */
  readonly channel: string;
  /** On all workers of this farm. */
  readonly subscribers: number;
}
