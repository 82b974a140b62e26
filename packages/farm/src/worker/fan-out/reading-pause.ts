import type { Broker } from '@roost/broker';
import type { Counters } from '../../api/counters.ts';
import type { BroadcastQueues } from './broadcast-queues.ts';

/** Reading pauses when so much of maxBroadcastQueueBytes waits, and goes on when no more than so much does. */
const HIGH_PART = 3 / 4;
const LOW_PART = 1 / 2;
/**
 * A pause lasts no longer, in ms. All channels wait meanwhile, and with the embedded broker the master's questions, which
 * have a second. Redis ends a subscriber for which 32 MB wait, or 8 MB for a minute (client-output-buffer-limit).
 */
const MAX_PAUSE_MS = 250;

/**
 * Lets the broker wait when this worker's sending is behind: what comes faster waits with whoever sends it. Since all
 * channels wait then, it does so only where none has more than its share of what waits here; one that floods alone loses its
 * own publications, while reading goes on. One pause at most between the high mark and the low one: a worker that is still
 * behind after it reads on, and drops.
 */
export class ReadingPause {
  readonly #broker: Pick<Broker, 'setReading'>;
  readonly #counters: Counters;
  readonly #queues: BroadcastQueues;
  readonly #highBytes: number;
  readonly #lowBytes: number;
  /** Since the high mark was reached the low one has not been. */
  #isHigh = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(broker: Pick<Broker, 'setReading'>, counters: Counters, queues: BroadcastQueues) {
    this.#broker = broker;
    this.#counters = counters;
    this.#queues = queues;
    this.#highBytes = queues.maxBytes * HIGH_PART;
    this.#lowBytes = queues.maxBytes * LOW_PART;
  }

  /** Something was added to the queues. */
  added(): void {
    if (this.#isHigh || this.#queues.bytes < this.#highBytes) return;
    this.#isHigh = true;
    if (this.#queues.isUneven) return;
    this.#counters.add('broker_pauses');
    this.#broker.setReading(false);
    this.#timer = setTimeout(() => this.#resume(), MAX_PAUSE_MS);
  }

  /** Something has left the queues. */
  left(): void {
    if (!this.#isHigh || this.#queues.bytes > this.#lowBytes) return;
    this.#isHigh = false;
    this.#resume();
  }

  stop(): void {
    this.#resume();
  }

  #resume(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#broker.setReading(true);
  }
}
