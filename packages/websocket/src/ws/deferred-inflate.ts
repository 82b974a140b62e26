import { EMPTY } from '../empty.ts';
import { InflateFailure, type MessageInflater } from '../deflate/message-inflater.ts';
import { CHUNK_OVERHEAD_BYTES, type InflateCallback, type ReceiverInflate } from './ws-adapter.ts';

/** Receives what was inflated, and knows the error of ws for what could not be. */
export interface InflateListener {
  /** The length of a message, or an {@link InflateFailure}. */
  onInflate(bytes: number): void;
  inflateError(isTooLarge: boolean): Error;
}

/**
 * Stands in for ws's permessage-deflate of an awake connection (lib/permessage-deflate.js), which
 * inflates in the thread pool and keeps 70 KB for each connection: messages would come after `receive` has returned, and
 * ten thousand half-sent ones would cost 700 MB.
 *
 * This one inflates with the worker's shared inflater. ws must be called back after its `decompress` has returned, so the
 * call is only noted there, and answered by {@link run} before `AwakeConnection.receive` returns. The payloads of a
 * fragmented message are kept as they came until its last, in sum at most `maxPayload`, and inflated as one: a broken one
 * is noticed with its last fragment.
 */
export class DeferredInflate implements ReceiverInflate {
  readonly #inflater: MessageInflater;
  readonly #listener: InflateListener;
  #fragments: Buffer[] = [];
  #fragmentBytes = 0;
  #isLast = false;
  #callback: InflateCallback | undefined;

  constructor(inflater: MessageInflater, listener: InflateListener) {
    this.#inflater = inflater;
    this.#listener = listener;
  }

  /** Whether ws waits for {@link run}. */
  get isPending(): boolean {
    return this.#callback !== undefined;
  }

  /** Bytes of memory that wait for the last fragment. */
  get heldBytes(): number {
    return this.#fragmentBytes + this.#fragments.length * CHUNK_OVERHEAD_BYTES;
  }

  /** Those of the open message, as they came. */
  get fragments(): readonly Buffer[] {
    return this.#fragments;
  }

  decompress(payload: Buffer, isLast: boolean, callback: InflateCallback): void {
    this.#fragments.push(payload);
    this.#fragmentBytes += payload.length;
    this.#isLast = isLast;
    this.#callback = callback;
  }

  cleanup(): void {
    this.#callback = undefined;
    this.#fragments = [];
    this.#fragmentBytes = 0;
  }

  /** Answers the waiting ws, which goes on reading within the call: it may wait for the next payload afterwards. */
  run(): void {
    const callback = this.#callback;
    if (callback === undefined) return;
    this.#callback = undefined;
    if (!this.#isLast) {
      callback(null, EMPTY);
      return;
    }
    const fragments = this.#fragments;
    this.#fragments = [];
    this.#fragmentBytes = 0;
    const bytes = this.#inflater.inflateFragments(fragments);
    this.#listener.onInflate(bytes);
    if (bytes < 0) {
      callback(this.#listener.inflateError(bytes === InflateFailure.tooLarge));
      return;
    }
    // A copy, which the message's receiver may keep.
    const message = Buffer.allocUnsafeSlow(bytes);
    this.#inflater.output.copy(message, 0, 0, bytes);
    callback(null, message);
  }
}
