import { setTimeout as pause } from 'node:timers/promises';
import { closeDescriptor, receiveDescriptors, sendDescriptors, type ReceivedRecord } from '@roost/poller';

/** As much as a worker answers (answerStackRequests of the poller). */
const MAX_STACK_BYTES = 16 * 1024;
/** Enough to tell a loop from what it calls. */
const SAMPLES = 5;
const BETWEEN_SAMPLES_MS = 50;
/** A loop answers within some milliseconds; a machine that is busy, or a garbage collection, takes its time. */
const ANSWER_MS = 1000;
const LOOK_MS = 10;
const REQUEST = Buffer.from('?');
const NO_DESCRIPTORS = new Int32Array(0);

/**
 * Asks a worker for the stack of its blocked main thread, over a descriptor of its own: a thread of the worker answers,
 * whatever the event loop does.
 */
export class StackRequests {
  readonly #record = Buffer.alloc(MAX_STACK_BYTES);
  readonly #received: ReceivedRecord = { bytes: 0, count: 0, truncated: false };
  /** Undefined from {@link end} on: its number may be that of another one then. */
  #channel: number | undefined;

  /** `channel` is our end of the pair, and is ours from here on. */
  constructor(channel: number) {
    this.#channel = channel;
  }

  /** Several stacks, at most, within a second or two; none while its main thread runs no JavaScript. Never rejects. */
  async samples(): Promise<string[]> {
    const samples: string[] = [];
    // Late answers to earlier requests.
    while (this.#next() !== undefined);
    while (samples.length < SAMPLES && this.#ask()) {
      const stack = await this.#answer();
      if (stack === undefined) break;
      samples.push(stack);
      await pause(BETWEEN_SAMPLES_MS);
    }
    return samples;
  }

  /** The worker is gone. */
  end(): void {
    if (this.#channel !== undefined) closeDescriptor(this.#channel);
    this.#channel = undefined;
  }

  #ask(): boolean {
    return this.#channel !== undefined && sendDescriptors(this.#channel, NO_DESCRIPTORS, 0, REQUEST) === 0;
  }

  async #answer(): Promise<string | undefined> {
    for (let waitedMs = 0; waitedMs < ANSWER_MS; waitedMs += LOOK_MS) {
      await pause(LOOK_MS);
      const stack = this.#next();
      if (stack !== undefined) return stack;
    }
    return undefined;
  }

  #next(): string | undefined {
    if (this.#channel === undefined) return undefined;
    const { bytes } = receiveDescriptors(this.#channel, NO_DESCRIPTORS, this.#record, this.#received);
    return bytes > 0 ? this.#record.toString('utf8', 0, bytes) : undefined;
  }
}
