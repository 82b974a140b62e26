import type { Scenario } from '../options.ts';
import type { LatencySummary } from './latencies.ts';
import type { Report } from './report.ts';

/** What a run found; `--json` prints it. */
export interface Result extends Report {
  readonly url: string;
  readonly scenario: Scenario;
  readonly connections: number;
  readonly processes: number;
  /** Until the last connection had opened or failed. */
  readonly openSeconds: number;
  readonly seconds: number;
  /** From the beginning of connect(2) until it was open: to the whole 101, or to what is awaited behind it. */
  readonly handshakeMs: LatencySummary;
  readonly echo: EchoResult | null;
  readonly broadcast: BroadcastResult | null;
  /** What did not go as expected, one sentence each. */
  readonly failures: readonly string[];
  readonly ok: boolean;
}

export interface EchoResult {
  readonly connections: number;
  readonly seconds: number;
  readonly echoes: number;
  readonly echoesPerSecond: number;
  readonly wrong: number;
  readonly unanswered: number;
  readonly latencyMs: LatencySummary;
  /** Of the latencies in microseconds; see Latencies.encode. */
  readonly histogram: string;
}

export interface WatchResult {
  readonly deliveries: number;
  readonly outOfOrder: number;
  readonly latencyMs: LatencySummary;
  readonly histogram: string;
}

export interface BroadcastResult extends WatchResult {
  readonly publications: number;
  readonly publishErrors: readonly string[];
  /** Connections that read. */
  readonly subscribers: number;
  readonly slow: number;
  /** Publications times subscribers. */
  readonly expected: number;
}
