import { getHeapStatistics } from 'node:v8';
import { trimMemory } from '@roost/poller';
import type { Core } from './core.ts';

/** Less is left to the collector's own judgement. About 50 B for each of 20,000 connections. */
const MIN_DISCARDED_BYTES = 1024 * 1024;
/** A collection takes as long as what lives is large: what it frees must be worth it. */
const MIN_SHARE_OF_HEAP = 1 / 10;
/** Each adds 3 to 8 µs to the pause. */
const MAX_AWAKE = 1000;
const MIN_INTERVAL_MS = 5000;
/** While this much more comes within a second, the wave is not over. */
const STILL_GROWING = 1.1;

/**
 * Gives memory back after a wave. What an awake connection is made of has outlived the young generation when it goes
 * back to sleep, and so have the blocks of half-arrived frames; V8 collects the old one when the heap has grown, which on
 * an idle worker may be never. So when much was discarded and no more is, two major collections are asked for,
 * a second apart: the first frees, and the second, which knows what it left, moves together what lives on half-empty
 * pages; then malloc gives its pages back, too. Each takes 10 to 15 ms with 10,000 connections, and there is one such
 * pair in 5 s at most. None is asked for where the application's own heap is so large that it would take long and free
 * little.
 *
 * Called once a second. Without `--expose-gc`, as in tests, nothing happens.
 */
export class Collection {
  readonly #core: Core;
  readonly #collect: (() => void) | undefined;
  /** Of the discarded bytes, those that a collection has freed. */
  #freedBytes = 0;
  #lastDiscardedBytes = 0;
  #lastAt = Number.NEGATIVE_INFINITY;
  #isCompactionDue = false;

  constructor(core: Core, collect: (() => void) | undefined = globalThis.gc) {
    this.#core = core;
    this.#collect = collect;
  }

  step(): void {
    const { awake, inboundBuffer } = this.#core;
    if (this.#isCompactionDue) {
      this.#isCompactionDue = false;
      this.#run();
      trimMemory();
      return;
    }
    const total = awake.discardedBytes + inboundBuffer.freedBytes;
    const discarded = total - this.#freedBytes;
    const before = this.#lastDiscardedBytes;
    this.#lastDiscardedBytes = discarded;
    if (this.#collect === undefined || discarded < MIN_DISCARDED_BYTES) return;
    if (discarded > before * STILL_GROWING || awake.count > MAX_AWAKE) return;
    const now = performance.now();
    if (now - this.#lastAt < MIN_INTERVAL_MS) return;
    const heap = getHeapStatistics();
    if (discarded < (heap.used_heap_size + heap.external_memory) * MIN_SHARE_OF_HEAP) return;
    this.#run();
    this.#isCompactionDue = true;
    this.#lastAt = now;
    this.#freedBytes = total;
    this.#lastDiscardedBytes = 0;
  }

  #run(): void {
    this.#collect?.();
    this.#core.counters.add('collections');
  }
}
