import { addCounts } from '../api/counters.ts';
import type { FarmInfo, Readiness } from '../api/info.ts';
import type { FarmMetrics, WorkerMetrics } from '../api/metrics.ts';
import type { FarmConfig } from '../options/options.ts';
import type { OwnMeasures } from './own-measures.ts';
import { proportionalMemory } from './own-measures.ts';
import { askWorkers } from './workers/ask-workers.ts';
import type { Places } from './workers/places.ts';
import type { WorkerPlace } from './workers/worker-place.ts';

/** The figures of the whole farm, which its workers are asked for when somebody asks. */
export class FarmFigures {
  readonly #config: FarmConfig;
  readonly #places: Places;
  readonly #own: OwnMeasures;
  readonly #startedAt = performance.now();

  constructor(config: FarmConfig, places: Places, own: OwnMeasures) {
    this.#config = config;
    this.#places = places;
    this.#own = own;
  }

  /** The sum of what the workers have reported last; see Farm.info. */
  async info(readiness: () => Readiness): Promise<FarmInfo> {
    const { unanswered } = await askWorkers(this.#places.lives.all, { question: 'report' });
    const counters = this.#own.counters;
    addCounts(counters, this.#places.formerCounters);
    for (const { figures } of this.#places.all) addCounts(counters, figures.counters);
    const infos = this.#places.all.map(({ info }) => info);
    const brokers = this.#places.lives.all.map(
      ({ report }) => report?.broker ?? { state: 'connecting', reason: '' },
    );
    // A broker that is not ready in one worker is what matters.
    const broker = brokers.find(({ state }) => state !== 'ready') ?? brokers[0];
    return {
      version: this.#config.version,
      uptimeMs: this.#uptimeMs,
      connections: infos.reduce((sum, worker) => sum + worker.connections, 0),
      subscriptions: infos.reduce((sum, worker) => sum + worker.subscriptions, 0),
      workers: infos,
      unanswered,
      broker: {
        kind: this.#brokerKind,
        state: broker?.state ?? 'connecting',
        reason: broker?.reason ?? '',
      },
      readiness: readiness(),
      counters,
    };
  }

  /** See Farm.metrics. */
  async metrics(readiness: () => Readiness): Promise<FarmMetrics> {
    const { unanswered } = await askWorkers(this.#places.lives.all, { question: 'metrics' });
    const sockets = this.#places.lives.all.reduce((sum, { unacknowledged }) => sum + unacknowledged, 0);
    const [master, workers] = await Promise.all([
      this.#own.read(sockets),
      Promise.all(this.#places.all.map((place) => metricsOf(place))),
    ]);
    return {
      version: this.#config.version,
      uptimeMs: this.#uptimeMs,
      broker: this.#brokerKind,
      isReady: readiness().ready,
      maxConnections: this.#config.maxConnections,
      master,
      workers,
      unanswered,
    };
  }

  stop(): void {
    this.#own.stop();
  }

  get #uptimeMs(): number {
    return Math.round(performance.now() - this.#startedAt);
  }

  get #brokerKind(): FarmInfo['broker']['kind'] {
    return this.#config.redisUrl === null ? 'memory' : 'redis';
  }
}

/** What the workers of a place have told, and what the master knows of them. */
async function metricsOf(place: WorkerPlace): Promise<WorkerMetrics> {
  const { info } = place;
  const known = place.figures.metrics;
  return {
    ...known,
    info,
    gauges: {
      ...known.gauges,
      ...(info.pid !== 0 && (await proportionalMemory(info.pid))),
      capacity: info.capacity,
      unacknowledged_handoffs: place.lives.reduce((sum, { unacknowledged }) => sum + unacknowledged, 0),
      link_queue_bytes: place.lives.reduce((sum, { bufferedBytes }) => sum + bufferedBytes, 0),
    },
  };
}
