import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '@roost/farm';
import type { WebhookOptions } from '../worker/dialects/pusher/options.ts';
import { FailureLog } from './failure-log.ts';
import { post } from './post.ts';
import { signedRequest } from './signed-request.ts';
import type { Signer } from './signed-request.ts';

/** Between the first failure and the next attempt. Each further pause is twice as long, up to the longest. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 60_000;

/** By so much of itself a pause is longer or shorter: what failed together does not come back together. */
const JITTER = 0.2;

/** Client events have up to 10 KB each: receivers have limits, too. The first event of a batch may be larger. */
const MAX_BATCH_BYTES = 256 * 1024;

/** Beyond it the oldest are lost, as beyond `maxQueuedEvents`. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;

export interface DeliveryLimits {
  /** In which a request must be answered. */
  readonly timeoutMs: number;
  /** How long a batch is tried again after its first attempt. Then its events are lost. 0: it has one attempt. */
  readonly retryMs: number;
  /** How long an event waits for others that are sent with it. */
  readonly batchMs: number;
  /** Most events of one request. */
  readonly maxBatchEvents: number;
  /** Most events that wait. Beyond, the oldest are lost. */
  readonly maxQueuedEvents: number;
}

/** What webhooks count. */
export interface WebhookCounts {
  /** Events that receivers have taken. */
  taken(events: number): void;
  /** Requests that failed, whether they are tried again or not. */
  failed(): void;
  /** Events that no receiver got: tried for too long, or too many were waiting. */
  lost(events: number): void;
}

/** Whose webhook it is. */
export interface WebhookApp extends Signer {
  readonly id: string;
}

export interface DeliveryTools {
  readonly log: Log;
  readonly counts: WebhookCounts;
}

/** What is known of one webhook. Counts are since the farm was started. */
export interface WebhookState {
  /** Id of its app. */
  readonly app: string;
  /** Without its query, which may hold a secret. */
  readonly url: string;
  /** Events that wait, those under way included. */
  readonly queuedEvents: number;
  /** Of their JSON, those under way not included. */
  readonly queuedBytes: number;
  /** Why its last request failed; null when it was taken, or there was none yet. */
  readonly problem: string | null;
  /** Events that it has taken. */
  readonly taken: number;
  /** Requests that failed. */
  readonly failed: number;
  /** Events that it did not get. */
  readonly lost: number;
}

interface Waiting {
  readonly text: string;
  readonly bytes: number;
  readonly since: number;
  readonly settle: () => void;
}

/**
 * What is sent to one webhook: one request at a time, in the order of the events. A batch that is not taken is sent again, the
 * same bytes, after pauses that grow, and what comes later waits for it. Events may reach a receiver twice, when its answer
 * was lost.
 */
export class Deliveries {
  readonly webhook: WebhookOptions;
  readonly #app: WebhookApp;
  readonly #limits: DeliveryLimits;
  readonly #counts: WebhookCounts;
  readonly #failures: FailureLog;
  readonly #url: URL;
  readonly #shownUrl: string;
  readonly #end = new AbortController();
  #queue: Waiting[] = [];
  #queuedBytes = 0;
  #underWay = 0;
  #problem: string | null = null;
  #taken = 0;
  #failed = 0;
  #lost = 0;
  #isDraining = false;
  #wake: (() => void) | undefined;
  #working: Promise<void> | undefined;

  constructor(
    app: WebhookApp,
    webhook: WebhookOptions,
    limits: DeliveryLimits,
    { log, counts }: DeliveryTools,
  ) {
    this.#app = app;
    this.webhook = webhook;
    this.#limits = limits;
    this.#counts = counts;
    this.#url = new URL(webhook.url);
    this.#shownUrl = `${this.#url.origin}${this.#url.pathname}`;
    this.#failures = new FailureLog(log, { app: app.id, url: this.#shownUrl });
  }

  get state(): WebhookState {
    return {
      app: this.#app.id,
      url: this.#shownUrl,
      queuedEvents: this.#queue.length + this.#underWay,
      queuedBytes: this.#queuedBytes,
      problem: this.#problem,
      taken: this.#taken,
      failed: this.#failed,
      lost: this.#lost,
    };
  }

  /** An event as JSON text. `settle` is called once, when it was taken or is lost; not at all when this is stopped before. */
  add(text: string, settle: () => void): void {
    if (this.#end.signal.aborted) return;
    const bytes = Buffer.byteLength(text);
    this.#queue.push({ text, bytes, since: performance.now(), settle });
    this.#queuedBytes += bytes;
    this.#shorten();
    if (this.#queue.length >= this.#limits.maxBatchEvents) this.#wake?.();
    this.#working ??= this.#work();
  }

  /** Sends what waits without waiting for more. Resolves when nothing is left, or it was stopped. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#wake?.();
    while (this.#working !== undefined) await this.#working;
  }

  /** Ends a request under way. What has not been taken stays so. */
  async stop(): Promise<void> {
    this.#end.abort();
    this.#wake?.();
    await this.#working;
    this.#queue = [];
    this.#failures.stop();
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0 && !this.#end.signal.aborted) {
      await this.#gather();
      if (this.#end.signal.aborted) break;
      const batch = this.#nextBatch();
      this.#underWay = batch.length;
      await this.#deliver(batch);
      this.#underWay = 0;
    }
    // Here, and not once this has resolved: what is added in between would wait for nobody.
    this.#working = undefined;
  }

  /** Waits until there is a whole batch, or its first event has waited for long enough. */
  async #gather(): Promise<void> {
    const [first] = this.#queue;
    const leftMs = (first?.since ?? 0) + this.#limits.batchMs - performance.now();
    if (this.#isDraining || leftMs <= 0 || this.#queue.length >= this.#limits.maxBatchEvents) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, leftMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  #nextBatch(): Waiting[] {
    let count = 0;
    let bytes = 0;
    for (const waiting of this.#queue) {
      if (count === this.#limits.maxBatchEvents) break;
      if (count > 0 && bytes + waiting.bytes > MAX_BATCH_BYTES) break;
      bytes += waiting.bytes;
      count += 1;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  /** Until it is taken, lost, or this is stopped. */
  async #deliver(batch: readonly Waiting[]): Promise<void> {
    const texts = batch.map(({ text }) => text);
    const request = signedRequest(this.#app, texts, Date.now());
    const { signal } = this.#end;
    const { timeoutMs, retryMs } = this.#limits;
    const giveUpAt = performance.now() + retryMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
      const headers = { 'User-Agent': 'Roost', ...this.webhook.headers, ...request.headers };
      const reason = await post(this.#url, request.body, { headers, timeoutMs, signal });
      if (reason === undefined) {
        this.#counts.taken(batch.length);
        this.#taken += batch.length;
        this.#problem = null;
        break;
      }
      if (signal.aborted) return;
      this.#counts.failed();
      this.#failed++;
      this.#problem = reason;
      const leftMs = giveUpAt - performance.now();
      if (leftMs <= 0) {
        this.#lose(batch.length, reason);
        break;
      }
      this.#failures.add(reason, 0);
      // The last attempt is at the very end.
      const pause = Math.min(leftMs, pauseMs * (1 - JITTER + 2 * JITTER * Math.random()));
      await sleep(pause, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
    }
    for (const { settle } of batch) settle();
  }

  #shorten(): void {
    while (this.#queue.length > this.#limits.maxQueuedEvents || this.#queuedBytes > MAX_QUEUED_BYTES) {
      const oldest = this.#queue.shift();
      if (oldest === undefined) return;
      this.#queuedBytes -= oldest.bytes;
      this.#lose(1, 'too many events wait for it');
      oldest.settle();
    }
  }

  #lose(events: number, reason: string): void {
    this.#counts.lost(events);
    this.#lost += events;
    this.#failures.add(reason, events);
  }
}
