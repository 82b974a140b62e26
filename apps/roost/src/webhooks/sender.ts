import { setImmediate } from 'node:timers/promises';
import type { ChannelEvents, Log, RecordedEvent } from '@roost/farm';
import type { WebhookOptions } from '../worker/dialects/pusher/options.ts';
import { Absences } from './absences.ts';
import { Deliveries } from './deliveries.ts';
import type { DeliveryLimits, WebhookApp, WebhookCounts, WebhookState } from './deliveries.ts';
import { wants, wireEvent } from './wire-event.ts';

export interface SendingApp extends WebhookApp {
  readonly webhooks: readonly WebhookOptions[];
}

export interface SenderOptions extends DeliveryLimits {
  /** How long it waits before it tells that somebody has gone; who comes back meanwhile has never left. */
  readonly lingerMs: number;
}

export interface SenderTools {
  readonly log: Log;
  readonly counts: WebhookCounts;
  /** The id of the app that a channel of the broker belongs to, and its name there; undefined: it is of none. */
  readonly placeOf: (brokerChannel: string) => { readonly app: string; readonly channel: string } | undefined;
}

export interface StopOptions {
  readonly timeoutMs: number;
  readonly keepsEvents: boolean;
}

/**
 * Sends webhooks: takes what the workers of all farms have recorded, one event after the other, and gives each to those
 * webhooks of its app that want it. An event is done when every one of them has taken it, or has lost it.
 *
 * Runs in the master. A webhook that is down delays no other: each has a queue of its own, whose oldest events are lost
 * when it is full.
 */
export class WebhookSender {
  readonly #events: ChannelEvents;
  readonly #tools: SenderTools;
  readonly #absences: Absences;
  readonly #deliveries: ReadonlyMap<string, readonly Deliveries[]>;
  /** Most events that are taken and not done. Every webhook may have all that it can have, and the rest can still pass. */
  readonly #maxTaken: number;
  #takenCount = 0;
  #done: RecordedEvent[] = [];
  #isStopped = false;
  /** Set while as many are taken as may be. */
  #whenDone: (() => void) | undefined;
  readonly #taking: Promise<void>;

  constructor(
    events: ChannelEvents,
    apps: readonly SendingApp[],
    options: SenderOptions,
    tools: SenderTools,
  ) {
    this.#events = events;
    this.#tools = tools;
    this.#deliveries = new Map(
      apps.map((app) => [
        app.id,
        app.webhooks.map((webhook) => new Deliveries(app, webhook, options, tools)),
      ]),
    );
    const { maxQueuedEvents, maxBatchEvents } = options;
    const mostOfOne = maxQueuedEvents + Math.min(maxBatchEvents, maxQueuedEvents);
    // Besides what webhooks have, departures are held back; and there is room for what passes.
    this.#maxTaken = mostOfOne * this.#queues.length + 2 * maxQueuedEvents;
    this.#absences = new Absences(
      { lingerMs: options.lingerMs, maxHeld: maxQueuedEvents },
      {
        absencesOnEvent: (event) => this.#route(event),
        absencesOnReturn: (departure, arrival) => this.#finish(departure, arrival),
      },
    );
    this.#taking = this.#take();
  }

  /**
   * Ends it within `timeoutMs`: sends what waits for a webhook. `keepsEvents` says that recorded events outlive this farm:
   * then the others, and departures that are held back, are left to whoever comes next. Else they are sent as well, as far
   * as there is time.
   */
  async stop({ timeoutMs, keepsEvents }: StopOptions): Promise<void> {
    if (keepsEvents) this.#isStopped = true;
    else this.#absences.release();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, timeoutMs)));
    await Promise.race([this.#sendRest(), late]);
    clearTimeout(timer);
    if (!keepsEvents && this.#takenCount > 0) {
      this.#tools.log.warn({ lost: this.#takenCount, waitedMs: timeoutMs }, 'webhook events lost at the end');
    }
    this.#isStopped = true;
    this.#absences.stop();
    await Promise.all(this.#queues.map((deliveries) => deliveries.stop()));
    await this.#events.stop();
    this.#whenDone?.();
    await this.#taking;
  }

  /** Of each webhook, in the order in which they are configured. */
  get states(): readonly WebhookState[] {
    return this.#queues.map(({ state }) => state);
  }

  get #queues(): readonly Deliveries[] {
    return [...this.#deliveries.values()].flat();
  }

  /** What is recorded is taken at once, as far as there is room, and room comes with what was sent. */
  async #sendRest(): Promise<void> {
    do {
      await setImmediate();
      await Promise.all(this.#queues.map((deliveries) => deliveries.drain()));
      await setImmediate();
    } while (this.#takenCount > 0 && !this.#isStopped);
  }

  async #take(): Promise<void> {
    while (!this.#isStopped) {
      const room = this.#maxTaken - this.#takenCount;
      if (room <= 0) {
        await new Promise<void>((resolve) => (this.#whenDone = resolve));
        continue;
      }
      const events = await this.#events.take(room);
      // What has come as it stops is not for this one.
      if (events.length === 0 || this.#isStopped) return;
      this.#takenCount += events.length;
      for (const event of events) this.#absences.add(event);
    }
  }

  #route(event: RecordedEvent): void {
    const place = this.#tools.placeOf(event.channel);
    const all = place === undefined ? [] : (this.#deliveries.get(place.app) ?? []);
    const wanting = all.filter(({ webhook }) => wants(webhook, event.type, place?.channel ?? ''));
    if (wanting.length === 0) {
      this.#finish(event);
      return;
    }
    const text = wireEvent(event, place?.channel ?? '');
    let left = wanting.length;
    const settle = (): void => {
      left -= 1;
      if (left === 0) this.#finish(event);
    };
    for (const deliveries of wanting) deliveries.add(text, settle);
  }

  /** Those that end together are told together. */
  #finish(...events: readonly RecordedEvent[]): void {
    if (this.#done.length === 0) queueMicrotask(() => this.#tellDone());
    this.#done.push(...events);
  }

  #tellDone(): void {
    const events = this.#done;
    this.#done = [];
    this.#takenCount -= events.length;
    this.#events.done(events);
    this.#whenDone?.();
  }
}
