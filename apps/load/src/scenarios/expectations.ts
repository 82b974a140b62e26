import type { LoadOptions } from '../options.ts';
import type { LatencySummary } from '../report/latencies.ts';
import type { Report } from '../report/report.ts';
import type { BroadcastResult, EchoResult } from '../report/result.ts';

export interface Findings {
  readonly report: Report;
  readonly handshakeMs: LatencySummary;
  readonly echo: EchoResult | null;
  readonly broadcast: BroadcastResult | null;
}

/** What did not go as expected, one sentence each. */
export function findFailures(findings: Findings, options: LoadOptions): string[] {
  const { report, handshakeMs, echo, broadcast } = findings;
  const failures: string[] = [];
  if (report.connected < options.connections) {
    failures.push(
      `${options.connections - report.connected} of ${options.connections} connections did not open.`,
    );
  }
  const closed = Object.values(report.closes).reduce((sum, count) => sum + count, 0);
  // Who does not read may be closed for it.
  if (closed > (broadcast?.slow ?? 0)) failures.push(`${closed} connections were closed by the server.`);
  const expected = options.expectMessages;
  if (expected !== null && report.connected > 0 && (report.fewest !== expected || report.most !== expected)) {
    failures.push(
      `each connection had to receive ${expected} messages, but they received from ${report.fewest} to ${report.most}.`,
    );
  }
  if (echo !== null && echo.wrong > 0) failures.push(`${echo.wrong} echoes were not what had been sent.`);
  if (echo !== null && echo.unanswered > 0) failures.push(`${echo.unanswered} messages were not answered.`);
  if (broadcast !== null) failures.push(...broadcastFailures(broadcast, options));
  const p99 = (broadcast?.latencyMs ?? echo?.latencyMs ?? handshakeMs).p99;
  if (options.expectP99Ms !== null && p99 > options.expectP99Ms) {
    failures.push(`99 % had to take at most ${options.expectP99Ms} ms, but took up to ${p99.toFixed(1)} ms.`);
  }
  return failures;
}

function broadcastFailures(broadcast: BroadcastResult, options: LoadOptions): string[] {
  const { publications, publishErrors, deliveries, expected, outOfOrder } = broadcast;
  const failures = publishErrors.map((error) => `a publication failed: ${error}`);
  if (publications === 0) failures.push('nothing was published.');
  const share = expected === 0 ? 0 : deliveries / expected;
  if (options.expectDeliveredShare !== null && share < options.expectDeliveredShare) {
    failures.push(
      `${(options.expectDeliveredShare * 100).toFixed(1)} % of ${expected} deliveries had to arrive, but ${deliveries} did.`,
    );
  }
  if (outOfOrder > 0) failures.push(`${outOfOrder} publications came again, or behind a later one.`);
  return failures;
}
