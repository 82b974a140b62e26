import { addCounts } from '../api/counters.ts';
import type { FarmInfo } from '../api/info.ts';
import type { FarmConfig } from '../options/options.ts';
import type { SupervisedWorker } from './workers/supervised-worker.ts';

interface Facts extends Pick<FarmInfo, 'uptimeMs' | 'unanswered' | 'readiness'> {
  readonly config: FarmConfig;
  readonly workers: readonly Pick<SupervisedWorker, 'info' | 'report'>[];
  /** The master's own, and those of workers that were replaced. The workers' are added to it. */
  readonly counters: Record<string, number>;
}

/** The farm as the API reports it: the sum of what the workers have reported last. */
export function farmInfo({ config, uptimeMs, workers, unanswered, readiness, counters }: Facts): FarmInfo {
  const infos = workers.map((worker) => worker.info);
  for (const { report } of workers) if (report !== undefined) addCounts(counters, report.counters);
  const brokers = workers.map(({ report }) => report?.broker ?? { state: 'connecting', reason: '' });
  // A broker that is not ready in one worker is what matters.
  const broker = brokers.find(({ state }) => state !== 'ready') ?? brokers[0];
  return {
    version: config.version,
    uptimeMs,
    connections: infos.reduce((sum, worker) => sum + worker.connections, 0),
    subscriptions: infos.reduce((sum, worker) => sum + worker.subscriptions, 0),
    workers: infos,
    unanswered,
    broker: {
      kind: config.redisUrl === null ? 'memory' : 'redis',
      state: broker?.state ?? 'connecting',
      reason: broker?.reason ?? '',
    },
    readiness,
    counters,
  };
}
