import type { Progress } from './process-messages.ts';
import type { Result } from './session.ts';

/** The line that is shown while a run goes on. */
export function formatProgress(progress: Progress, seconds: number): string {
  return (
    `${seconds.toFixed(0)} s: ${progress.open} open, ${progress.pending} opening, ` +
    `${progress.failed} failed, ${progress.messages} messages`
  );
}

/** A result for people to read. */
export function formatResult(result: Result): string {
  const lines = [
    `connected   ${result.connected} of ${result.connections} in ${result.openSeconds.toFixed(1)} s` +
      ` (${Math.round(result.connected / result.openSeconds)}/s) over ${result.processes} processes`,
    `failed      ${formatCounts(result.failed)}`,
    `closed      ${formatCounts(result.closes)}`,
    `messages    ${result.messages}; connections with none ${result.received['0']}, ` +
      `one ${result.received['1']}, more ${result.received['2+']}; from ${result.fewest} to ${result.most} each`,
  ];
  const { echo } = result;
  if (echo !== null) {
    const { p50, p90, p99, max } = echo.latencyMs;
    lines.push(
      `echoes      ${echo.echoes} on ${echo.connections} connections (${echo.echoesPerSecond}/s), ` +
        `${echo.wrong} wrong, ${echo.unanswered} unanswered`,
      `latency     p50 ${p50} ms, p90 ${p90} ms, p99 ${p99} ms, max ${max} ms`,
    );
  }
  lines.push(
    result.ok ? 'as expected' : result.failures.map((failure) => `not as expected: ${failure}`).join('\n'),
  );
  return lines.join('\n');
}

function formatCounts(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([what, count]) => `${count} (${what})`);
  return parts.length === 0 ? '0' : parts.join(', ');
}
