import type { Coordinator, EchoResult } from './coordinator.ts';
import type { LoadOptions } from './options.ts';
import type { Report } from './tally.ts';

/** When all have what they expect, a second copy would come right behind the first. */
const SETTLE_MS = 250;

/** What a run found; `--json` prints it. */
export interface Result extends Report {
  readonly url: string;
  readonly mode: LoadOptions['mode'];
  readonly connections: number;
  readonly processes: number;
  /** Until the last connection had opened or failed. */
  readonly openSeconds: number;
  readonly seconds: number;
  readonly echo: EchoResult | null;
  /** What did not go as expected, one sentence each. */
  readonly failures: readonly string[];
  readonly ok: boolean;
}

/**
 * One run from the command line: opens, holds or echoes, and reports. An abort of `signal` ends it early; what was
 * reached by then is judged.
 */
export async function runSession(
  coordinator: Coordinator,
  options: LoadOptions,
  signal: AbortSignal,
): Promise<Result> {
  const startedAt = performance.now();
  const secondsSoFar = () => (performance.now() - startedAt) / 1000;
  const cancel = () => {
    // When a process has died the open itself says so.
    coordinator.cancel().catch(() => {});
  };
  signal.addEventListener('abort', cancel);
  await coordinator.open({
    count: options.connections,
    perSecond: options.openPerSecond,
    inFlight: options.inFlight,
    isChurn: options.mode === 'churn',
  });
  signal.removeEventListener('abort', cancel);
  const openSeconds = secondsSoFar();
  let echo: EchoResult | null = null;
  if (options.mode === 'hold') {
    await hold(coordinator, options, signal);
  } else if (options.mode === 'echo' && !signal.aborted) {
    echo = await coordinator.echo({
      connections: options.echoConnections ?? options.connections,
      milliseconds: options.holdMs,
      payloadBytes: options.payloadBytes,
      isBinary: options.isBinary,
    });
  }
  const report = await coordinator.report();
  const failures = findFailures(report, echo, options);
  return {
    url: options.url,
    mode: options.mode,
    connections: options.connections,
    processes: coordinator.processCount,
    openSeconds,
    seconds: secondsSoFar(),
    ...report,
    echo,
    failures,
    ok: failures.length === 0,
  };
}

async function hold(coordinator: Coordinator, options: LoadOptions, signal: AbortSignal): Promise<void> {
  if (options.expectMessages === null || options.expectMessages === 0) {
    await coordinator.hold(options.holdMs, signal);
  } else if (await coordinator.waitForMessages(options.expectMessages, options.holdMs, signal)) {
    await coordinator.hold(SETTLE_MS, signal);
  }
}

function findFailures(report: Report, echo: EchoResult | null, options: LoadOptions): string[] {
  const failures: string[] = [];
  if (report.connected < options.connections) {
    failures.push(
      `${options.connections - report.connected} of ${options.connections} connections did not open.`,
    );
  }
  const closed = Object.values(report.closes).reduce((sum, count) => sum + count, 0);
  if (closed > 0) failures.push(`${closed} connections were closed by the server.`);
  const expected = options.expectMessages;
  if (expected !== null && report.connected > 0 && (report.fewest !== expected || report.most !== expected)) {
    failures.push(
      `each connection had to receive ${expected} messages, but they received from ${report.fewest} to ${report.most}.`,
    );
  }
  if (echo !== null && echo.wrong > 0) failures.push(`${echo.wrong} echoes were not what had been sent.`);
  if (echo !== null && echo.unanswered > 0) failures.push(`${echo.unanswered} messages were not answered.`);
  return failures;
}
