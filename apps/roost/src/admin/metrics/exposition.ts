import { Registry } from 'prom-client';
import type { Metric } from 'prom-client';
import type { WebhookState } from '../../webhooks/deliveries.ts';
import type { FarmWatch, Observation } from '../farm-watch.ts';
import { familiesOf } from './farm-metrics.ts';

/** The answer to GET /metrics. */
export interface Exposition {
  readonly contentType: string;
  readonly body: string;
}

/** The metrics of a farm as text. Each observation is written once in each format, however many ask. */
export class Expositions {
  readonly #watch: FarmWatch;
  readonly #webhooks: () => readonly WebhookState[];
  #written: Promise<Observation> | undefined;
  readonly #texts = new Map<string, Promise<Exposition>>();

  constructor(watch: FarmWatch, webhooks: () => readonly WebhookState[]) {
    this.#watch = watch;
    this.#webhooks = webhooks;
  }

  /** In OpenMetrics where `accept` asks for that, else in the text format of Prometheus (0.0.4). */
  read(accept: string | undefined): Promise<Exposition> {
    const observed = this.#watch.observe();
    if (observed !== this.#written) {
      this.#written = observed;
      this.#texts.clear();
    }
    const contentType = contentTypeFor(accept);
    let text = this.#texts.get(contentType);
    if (text === undefined) {
      text = write(observed, this.#webhooks(), contentType);
      this.#texts.set(contentType, text);
    }
    return text;
  }
}

async function write(
  observed: Promise<Observation>,
  webhooks: readonly WebhookState[],
  contentType: string,
): Promise<Exposition> {
  const { metrics, seconds } = await observed;
  const registry = new Registry();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- one of the two, though the types know only the first.
  registry.setContentType(contentType as typeof Registry.PROMETHEUS_CONTENT_TYPE);
  for (const family of familiesOf(metrics, webhooks, seconds)) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- of a metric a registry uses its name, type and get().
    registry.registerMetric(family.forRegistry() as unknown as Metric);
  }
  return { contentType, body: await registry.metrics() };
}

function contentTypeFor(accept: string | undefined): string {
  const isOpenMetrics = /\bapplication\/openmetrics-text\b/i.test(accept ?? '');
  return isOpenMetrics ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE;
}
