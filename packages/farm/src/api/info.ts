/**
 * Whether the farm can serve, and if not why: one sentence a reason. Anybody may read them: they name no host, no path and
 * no error of the inside, which stand in the log and in {@link FarmInfo}.
 */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly string[];
}

export interface WorkerInfo {
  readonly worker: number;
  readonly pid: number;
  /** The CPU that its main thread is pinned to; null when it could not be pinned. */
  readonly cpu: number | null;
  readonly state: 'starting' | 'ready' | 'draining' | 'stopped' | 'failed';
  /** Open WebSocket connections. */
  readonly connections: number;
  /** The most connections that it takes. */
  readonly capacity: number;
  readonly subscriptions: number;
  /** Memory that its outbound queues hold for clients that have not read yet; bounded by maxOutboundBytesPerWorker. */
  readonly outboundBytes: number;
  readonly restarts: number;
}

export interface FarmInfo {
  readonly version: string;
  readonly uptimeMs: number;
  readonly connections: number;
  readonly subscriptions: number;
  readonly workers: readonly WorkerInfo[];
  /** Workers that did not answer within a second: for these all facts, also in the sums, are from their last report. */
  readonly unanswered: readonly number[];
  /** `reason` is one sentence, with the address of Redis: do not publish it. Of the first worker whose broker is not ready. */
  readonly broker: { readonly kind: 'memory' | 'redis'; readonly state: string; readonly reason: string };
  readonly readiness: Readiness;
  /** Sums over master and workers since the start; docs/reference/counters.md says what each counts. */
  readonly counters: Readonly<Record<string, number>>;
}

/** The channels of this farm that have subscribers; other farms on the same Redis are not asked. */
export interface FarmChannels {
  readonly channels: readonly ChannelInfo[];
  /** Workers that did not answer within a second: their subscribers are left out. Empty when all have answered. */
  readonly unanswered: readonly number[];
}

export interface ChannelInfo {
  readonly channel: string;
  /** On all workers of this farm. */
  readonly subscribers: number;
}
