import type { Clients } from './clients.ts';

/** Connections begun in one go before the event loop turns, even when all of them fail at once. */
const MAX_STARTS_PER_TURN = 256;
const RAMP_TICK_MS = 5;

export interface OpenPlan {
  /** Number of the first connection; the others follow. */
  readonly firstNumber: number;
  readonly count: number;
  /** Most connections begun a second; 0 sets no pace. */
  readonly perSecond: number;
  /** Most connections in their handshake (with `isChurn`: in their whole life) at a time. */
  readonly inFlight: number;
  /** Closes each connection as soon as it is open. */
  readonly isChurn: boolean;
}

/** Opens a number of connections at a pace and with a bound on those under way. One plan at a time. */
export class Opener {
  readonly #clients: Clients;
  #plan: OpenPlan | undefined;
  #started = 0;
  #settled = 0;
  #startedAt = 0;
  #onDone: () => void = () => {};
  #ticker: NodeJS.Timeout | undefined;
  #isScheduled = false;

  constructor(clients: Clients) {
    this.#clients = clients;
  }

  get pending(): number {
    return this.#started - this.#settled;
  }

  /** Resolves when each connection of the plan has opened or failed (with `isChurn`: is gone or has failed). */
  async run(plan: OpenPlan): Promise<void> {
    this.#plan = plan;
    this.#started = 0;
    this.#settled = 0;
    this.#startedAt = performance.now();
    if (plan.perSecond > 0) this.#ticker = setInterval(() => this.pump(), RAMP_TICK_MS);
    await new Promise<void>((resolve) => {
      this.#onDone = resolve;
      this.pump();
    });
    clearInterval(this.#ticker);
    this.#plan = undefined;
  }

  opened(slot: number): void {
    if (this.#plan?.isChurn === true) this.#clients.close(slot);
    else this.#settled++;
  }

  failed(): void {
    this.#settled++;
  }

  gone(slot: number): void {
    const plan = this.#plan;
    if (plan?.isChurn !== true) return;
    const number = this.#clients.table.numbers[slot] ?? 0;
    if (number >= plan.firstNumber && number < plan.firstNumber + plan.count) this.#settled++;
  }

  /** Abandons connections of the plan that were not begun. */
  cancel(): void {
    if (this.#plan !== undefined) this.#plan = { ...this.#plan, count: this.#started };
    this.pump();
  }

  /** Begins as many connections as pace and bound allow. To be called whenever some have settled. */
  pump(): void {
    const plan = this.#plan;
    if (plan === undefined) return;
    const elapsedSeconds = (performance.now() - this.#startedAt) / 1000;
    const allowed = plan.perSecond === 0 ? plan.count : Math.ceil(elapsedSeconds * plan.perSecond);
    let starts = 0;
    while (this.#started < Math.min(plan.count, allowed) && this.pending < plan.inFlight) {
      if (++starts > MAX_STARTS_PER_TURN) {
        this.#schedule();
        return;
      }
      this.#clients.open(plan.firstNumber + this.#started++);
    }
    if (this.#settled >= plan.count) this.#onDone();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.pump();
    });
  }
}
