import type { Log } from '@roost/farm';

/** A receiver that is down fails many times a minute, and says the same each time. */
const LINE_EVERY_MS = 60_000;

/** What is said of one webhook. */
export interface WebhookName {
  readonly app: string;
  /** Without its query, which may hold a secret. */
  readonly url: string;
}

/** Reports the failures of one webhook: the first at once, then at most one line a minute, with what was lost since the last. */
export class FailureLog {
  readonly #log: Log;
  readonly #webhook: WebhookName;
  #lost = 0;
  #reason: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Log, webhook: WebhookName) {
    this.#log = log;
    this.#webhook = webhook;
  }

  /** A request failed, or events were thrown away: so many are `lost` by that. */
  add(reason: string, lost: number): void {
    this.#lost += lost;
    this.#reason = reason;
    if (this.#timer === undefined) this.#write();
  }

  /** Says what has not been said. */
  stop(): void {
    if (this.#reason !== undefined) this.#write();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #write(): void {
    const fields = { ...this.#webhook, reason: this.#reason, lost: this.#lost };
    this.#log.warn(fields, this.#lost > 0 ? 'webhook events lost' : 'webhook failed: it is tried again');
    this.#lost = 0;
    this.#reason = undefined;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#reason !== undefined) this.#write();
    }, LINE_EVERY_MS).unref();
  }
}
