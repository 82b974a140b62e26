import type { LoadOptions } from '../options.ts';
import type { Coordinator } from '../processes/coordinator.ts';
import { Latencies } from '../report/latencies.ts';
import type { BroadcastResult, EchoResult, Result } from '../report/result.ts';
import { runBroadcast } from './broadcast.ts';
import { findFailures } from './expectations.ts';

/** When all have what they expect, a second copy would come right behind the first. */
const SETTLE_MS = 250;

/**
 * One run from the command line: opens, does what the scenario says, and reports. An abort of `signal` ends it early;
 * what was reached by then is judged.
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
    isChurn: options.scenario === 'churn',
    process: undefined,
  });
  signal.removeEventListener('abort', cancel);
  const openSeconds = secondsSoFar();
  let echo: EchoResult | null = null;
  let broadcast: BroadcastResult | null = null;
  switch (options.scenario) {
    case 'idle':
      await hold(coordinator, options, signal);
      break;
    case 'echo':
      if (signal.aborted) break;
      echo = await coordinator.echo({
        connections: options.echoConnections ?? options.connections,
        milliseconds: options.holdMs,
        payloadBytes: options.payloadBytes,
        isBinary: options.isBinary,
        perSecond: options.rate ?? 0,
      });
      break;
    case 'broadcast':
    case 'slow-readers':
      broadcast = await runBroadcast(coordinator, options, signal);
      break;
    default:
    // churn and storm are over when all have opened or failed.
  }
  const report = await coordinator.report();
  const handshakes = new Latencies();
  handshakes.add(report.handshakes);
  const handshakeMs = handshakes.summary();
  const failures = findFailures({ report, handshakeMs, echo, broadcast }, options);
  return {
    url: options.url,
    scenario: options.scenario,
    connections: options.connections,
    processes: coordinator.processCount,
    openSeconds,
    seconds: secondsSoFar(),
    ...report,
    handshakeMs,
    echo,
    broadcast,
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
