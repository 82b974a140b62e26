import { LoadError } from '../errors.ts';
import type { LoadOptions } from '../options.ts';
import type { Coordinator } from '../processes/coordinator.ts';
import { encodePublication } from '../processes/publication.ts';
import type { BroadcastResult } from '../report/result.ts';
import { createPublisher, type Publisher } from './publisher.ts';

/** How long the last publications are awaited. */
const TAIL_MS = 10_000;
const DEFAULT_PER_SECOND = 1;

/**
 * Publishes at a rate for a time, and waits until everybody who reads has everything. A publication carries the time at
 * which it was due, from which its latencies count.
 */
export async function runBroadcast(
  coordinator: Coordinator,
  options: LoadOptions,
  signal: AbortSignal,
): Promise<BroadcastResult> {
  const { publish, publishChannel, publishHeaders } = options;
  if (publish === null || (publishChannel === null && !publish.includes('{data}'))) {
    throw new LoadError(
      'LOAD_ERR_OPTION',
      `the scenario ${options.scenario} needs --publish, and with a URL a channel: --channel or --publish-channel.`,
    );
  }
  const publisher = await createPublisher({
    publish,
    channel: publishChannel ?? '',
    headers: publishHeaders,
  });
  try {
    const slow = options.scenario === 'slow-readers' ? Math.ceil(options.connections * options.slowShare) : 0;
    await coordinator.pause(slow);
    await coordinator.watch();
    const subscribers = Math.max(0, (await coordinator.report()).open - slow);
    const { publications, publishErrors } = await publishAll(publisher, options, signal);
    const expected = publications * subscribers;
    await coordinator.waitForDeliveries(expected, TAIL_MS, signal);
    const watched = await coordinator.watched();
    return { publications, publishErrors, subscribers, slow, expected, ...watched };
  } finally {
    await publisher.close();
  }
}

/** One after the other: two under way may overtake each other on their way to the server, which is not its fault. */
async function publishAll(
  publisher: Publisher,
  { rate, holdMs, payloadBytes }: LoadOptions,
  signal: AbortSignal,
): Promise<{ publications: number; publishErrors: string[] }> {
  const everyMs = 1000 / (rate ?? DEFAULT_PER_SECOND);
  const startedAt = performance.now();
  const publishErrors = new Set<string>();
  let publications = 0;
  for (let turn = 0; turn * everyMs < holdMs && !signal.aborted; turn++) {
    await delayUntil(startedAt + turn * everyMs, signal);
    const dueMicros = (performance.timeOrigin + startedAt + turn * everyMs) * 1000;
    const error = await publishOne(publisher, encodePublication(dueMicros, turn + 1, payloadBytes));
    if (error === undefined) publications++;
    else publishErrors.add(error);
  }
  return { publications, publishErrors: [...publishErrors] };
}

/** Resolves with what went wrong, if anything. */
async function publishOne(publisher: Publisher, data: string): Promise<string | undefined> {
  try {
    await publisher.publish(data);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function delayUntil(time: number, signal: AbortSignal): Promise<void> {
  const ms = time - performance.now();
  if (ms <= 0 || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener('abort', finish);
  });
}
