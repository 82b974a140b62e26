import type { LatencySummary } from './latencies.ts';
import type { Progress } from './report.ts';
import type { Result } from './result.ts';

/** The line that is shown while a run goes on; `interval` are the latencies of the last second. */
export function formatProgress(
  progress: Progress,
  seconds: number,
  rate: { readonly messagesPerSecond: number; readonly interval: LatencySummary },
): string {
  const { p50, p99, count } = rate.interval;
  return [
    `${seconds.toFixed(0)} s: ${progress.open} open, ${progress.pending} opening`,
    `failed ${formatCounts(progress.failed)}`,
    `${Math.round(rate.messagesPerSecond)} msg/s`,
    ...(count === 0 ? [] : [`p50 ${formatMs(p50)}, p99 ${formatMs(p99)}`]),
  ].join('; ');
}

/** A result for people to read. */
export function formatResult(result: Result): string {
  const lines = [
    `connected   ${result.connected} of ${result.connections} in ${result.openSeconds.toFixed(1)} s` +
      ` (${Math.round(result.connected / result.openSeconds)}/s) over ${result.processes} processes`,
    `handshakes  ${formatLatency(result.handshakeMs)}`,
    `failed      ${formatCounts(result.failed)}`,
    `closed      ${formatCounts(result.closes)}`,
    `messages    ${result.messages}; connections with none ${result.received['0']}, ` +
      `one ${result.received['1']}, more ${result.received['2+']}; from ${result.fewest} to ${result.most} each` +
      (result.others === 0 ? '' : `; and ${result.others} that are not as the template`),
  ];
  const { echo, broadcast } = result;
  if (echo !== null) {
    lines.push(
      `echoes      ${echo.echoes} on ${echo.connections} connections (${echo.echoesPerSecond}/s), ` +
        `${echo.wrong} wrong, ${echo.unanswered} unanswered`,
      `latency     ${formatLatency(echo.latencyMs)}`,
    );
  }
  if (broadcast !== null) {
    lines.push(
      `published   ${broadcast.publications} to ${broadcast.subscribers} subscribers` +
        (broadcast.slow > 0 ? `, beside ${broadcast.slow} that did not read` : ''),
      `delivered   ${broadcast.deliveries} of ${broadcast.expected}, ${broadcast.outOfOrder} out of order`,
      `latency     ${formatLatency(broadcast.latencyMs)}`,
    );
  }
  lines.push(
    result.ok ? 'as expected' : result.failures.map((failure) => `not as expected: ${failure}`).join('\n'),
  );
  return lines.join('\n');
}

function formatLatency({ p50, p90, p99, p999, max }: LatencySummary): string {
  return `p50 ${formatMs(p50)}, p90 ${formatMs(p90)}, p99 ${formatMs(p99)}, p99.9 ${formatMs(p999)}, max ${formatMs(max)}`;
}

function formatMs(ms: number): string {
  return `${ms < 10 ? ms.toFixed(2) : Math.round(ms)} ms`;
}

function formatCounts(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([what, count]) => `${count} (${what})`);
  return parts.length === 0 ? '0' : parts.join(', ');
}
