import { getHeapStatistics } from 'node:v8';
import { collectGarbage } from './collect-garbage.ts';
import type { Core } from '../core.ts';
import { giveBackPages } from './give-back-pages.ts';

/** Less is left to the collector's own judgement. About 50 B for each of 20,000 connections. */
const MIN_DISCARDED_BYTES = 1024 * 1024;
/** A collection takes as long as what lives is large: what it frees must be worth it. */
const MIN_SHARE_OF_HEAP = 1 / 10;
/** No second collection for a heap larger than this: it is the application's. */
const MAX_SMALL_HEAP_BYTES = 64 * 1024 * 1024;
/** Each adds 3 to 8 µs to the pause. */
const MAX_AWAKE = 1000;
/** V8 looks back as far when it judges whether a heap is busy: one that is keeps its young generation. */
const INTERVAL_MS = 5000;
/** While this much more comes within a second, the wave is not over. */
const STILL_GROWING = 1.1;
/** Fewer are no wave of handshakes. */
const MIN_OPENED = 1000;
/** While more than this share of a wave comes within a second, it is not over; a steady stream is no wave. */
const STILL_OPENING = 1 / 1000;
/** One of many workers on few CPUs, or one that waits for the broker, opens in bursts. */
const QUIET_AFTER_OPENING_MS = 3000;

/** CPU of a second from which on V8 would keep the young generation as it is: the second collection waits. */
const BUSY_CPU_US = 100_000;

/** What a worker is asked of its heap. */
type HeapMeasures = Pick<
  ReturnType<typeof getHeapStatistics>,
  'total_heap_size' | 'used_heap_size' | 'external_memory'
>;

/**
 * Gives memory back after a wave: of hibernations, of half-arrived frames, or of handshakes. What an awake connection is
 * made of has outlived the young generation when it goes back to sleep, and so have the blocks of half-arrived frames, and
 * what a handshake keeps while it waits for the broker. V8 collects the old one when the heap has grown, which on an idle
 * worker may be never. So when much was discarded and no more is, a major collection is asked for, and another one 5 s
 * later, for what has ended since, and because V8 makes the young generation smaller when it finds the heap idle. A
 * second after each, when the buffers that it found have been freed in the background, malloc gives its pages back, too,
 * and Node those of its file, which takes 3 to 10 ms. A collection takes 15 to 25 ms with 18,000 connections. None is asked
 * for where the application's own heap is so large that it would take long and free little.
 *
 * How much was discarded is counted for hibernations and frames. Handshakes are counted, and what they have left is how
 * much larger the heap is than after the last collection. The start is a wave as well, whose first collection main.ts asks for.
 *
 * Called once a second.
 */
export class Collection {
  readonly #core: Core;
  readonly #collect: () => void;
  readonly #measure: () => HeapMeasures;
  /** Of the discarded bytes, those that a collection has freed. */
  #freedBytes = 0;
  #lastDiscardedBytes = 0;
  /** Connections that had opened by the last collection, and by the last step. */
  #settledOpened = 0;
  #lastOpened = 0;
  /** When it last opened many. */
  #openingAt = Number.NEGATIVE_INFINITY;
  #lastCpuUs = 0;
  /** Of the heap after the last collection; undefined until it is known. */
  #settledHeapBytes: number | undefined;
  #lastAt = performance.now();
  /** The first of a pair has been: the start's, to begin with. */
  #isSecondDue = true;
  #isTrimDue = false;

  constructor(
    core: Core,
    collect: () => void = collectGarbage,
    measure: () => HeapMeasures = getHeapStatistics,
  ) {
    this.#core = core;
    this.#collect = collect;
    this.#measure = measure;
  }

  step(): void {
    if (this.#isTrimDue) {
      this.#isTrimDue = false;
      giveBackPages();
    }
    const { awake, inboundBuffer, counters } = this.#core;
    const total = awake.discardedBytes + inboundBuffer.freedBytes;
    const discarded = total - this.#freedBytes;
    const isGrowing = discarded > this.#lastDiscardedBytes * STILL_GROWING;
    this.#lastDiscardedBytes = discarded;
    const opened = counters.get('upgrades');
    const openedSince = opened - this.#settledOpened;
    const now = performance.now();
    if (opened - this.#lastOpened > Math.max(openedSince, MIN_OPENED) * STILL_OPENING) this.#openingAt = now;
    const isOpening = now - this.#openingAt < QUIET_AFTER_OPENING_MS;
    this.#lastOpened = opened;
    const { user, system } = process.cpuUsage();
    const isBusy = user + system - this.#lastCpuUs > BUSY_CPU_US;
    this.#lastCpuUs = user + system;
    // Before the first connections, after the start's own collection.
    this.#settledHeapBytes ??= this.#measure().total_heap_size;

    if (now - this.#lastAt < INTERVAL_MS || awake.count > MAX_AWAKE) return;
    const heap = this.#measure();
    const left = Math.max(
      isGrowing ? 0 : discarded,
      openedSince < MIN_OPENED || isOpening ? 0 : heap.total_heap_size - this.#settledHeapBytes,
    );
    const isWaveOver =
      left >= MIN_DISCARDED_BYTES && left >= (heap.used_heap_size + heap.external_memory) * MIN_SHARE_OF_HEAP;
    if (heap.used_heap_size > MAX_SMALL_HEAP_BYTES) this.#isSecondDue = false;
    if (!isWaveOver && (!this.#isSecondDue || isGrowing || isOpening || isBusy)) return;
    this.#collect();
    counters.add('collections');
    this.#isTrimDue = true;
    this.#isSecondDue = isWaveOver;
    this.#lastAt = now;
    this.#freedBytes = total;
    this.#lastDiscardedBytes = 0;
    this.#settledOpened = opened;
    this.#settledHeapBytes = this.#measure().total_heap_size;
  }
}
