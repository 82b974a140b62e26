/** What a worker reports about itself, once per second and when asked. All counts are totals since its start. */
export interface WorkerReport {
  readonly connections: number;
  readonly subscriptions: number;
  /** Memory of its outbound queues. */
  readonly outboundBytes: number;
  readonly broker: { readonly state: string; readonly reason: string };
  readonly counters: Readonly<Record<string, number>>;
}
