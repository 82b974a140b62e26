import { getHeapStatistics } from 'node:v8';
import type { Counters } from '../../api/counters.ts';
import type { Awake } from '../states/awake.ts';
import { collectGarbage } from './collect-garbage.ts';
import { giveBackPages } from './give-back-pages.ts';
import { DiscardWave, OpeningWave } from './waves.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';

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
/** CPU per second from which on V8 would keep the young generation as it is: the second collection waits. */
const BUSY_CPU_US = 100_000;

/** What a worker is asked of its heap. */
type HeapMeasures = Pick<
  ReturnType<typeof getHeapStatistics>,
  'total_heap_size' | 'used_heap_size' | 'external_memory'
>;

export interface CollectionParts {
  readonly counters: Pick<Counters, 'get' | 'add'>;
  readonly awake: Pick<Awake, 'count' | 'discardedBytes'>;
  readonly inboundBuffer: Pick<InboundBuffer, 'freedBytes'>;
  /** Default: a major collection. */
  readonly collect?: () => void;
  /** Default: V8's statistics. */
  readonly measure?: () => HeapMeasures;
}

/**
 * Gives memory back after a wave of hibernations, of half-arrived frames, or of handshakes. The rule:
 *
 * 1. When a wave is over, and what it left is at least 1 MB and a tenth of the heap, a major collection is asked for.
 * 2. Five seconds later comes a second one, unless the worker is busy or its heap is large: for what has ended since, and
 *    because V8 makes the young generation smaller when it finds the heap idle.
 * 3. A second after each, when the buffers that it found have been freed in the background, malloc gives its pages back,
 *    too, and Node those of its file, which takes 3 to 10 ms.
 *
 * What an awake connection is made of has outlived the young generation when it goes back to sleep, and so have the blocks of
 * half-arrived frames, and what a handshake keeps while it waits for the broker. V8 collects the old generation when the heap
 * has grown, which on an idle worker may be never. A collection takes 15 to 25 ms with 18,000 connections.
 *
 * How much was discarded is counted for hibernations and frames. Handshakes are counted, and what they have left is how
 * much larger the heap is than after the last collection. The start is a wave as well, whose first collection main.ts asks for.
 */
export class Collection {
  readonly #parts: CollectionParts;
  readonly #collect: () => void;
  readonly #measure: () => HeapMeasures;
  readonly #discards = new DiscardWave();
  readonly #openings = new OpeningWave();
  #lastCpuUs = 0;
  /** Of the heap after the last collection; undefined until it is known. */
  #settledHeapBytes: number | undefined;
  #lastAt = performance.now();
  /** The first of a pair has been: the start's, to begin with. */
  #isSecondDue = true;
  #isTrimDue = false;

  constructor(parts: CollectionParts) {
    this.#parts = parts;
    this.#collect = parts.collect ?? collectGarbage;
    this.#measure = parts.measure ?? getHeapStatistics;
  }

  /** Called once per second. */
  step(): void {
    if (this.#isTrimDue) {
      this.#isTrimDue = false;
      giveBackPages();
    }
    const { awake, inboundBuffer, counters } = this.#parts;
    const now = performance.now();
    this.#discards.measure(awake.discardedBytes + inboundBuffer.freedBytes);
    this.#openings.measure(counters.get('upgrades'), now);
    const isBusy = this.#wasBusy();
    // Before the first connections, after the start's own collection.
    this.#settledHeapBytes ??= this.#measure().total_heap_size;

    if (now - this.#lastAt < INTERVAL_MS || awake.count > MAX_AWAKE) return;
    const heap = this.#measure();
    if (heap.used_heap_size > MAX_SMALL_HEAP_BYTES) this.#isSecondDue = false;
    const isWaveOver = this.#isWorthIt(heap, this.#settledHeapBytes);
    const isQuiet = !this.#discards.isGrowing && !this.#openings.isOpening && !isBusy;
    if (!isWaveOver && !(this.#isSecondDue && isQuiet)) return;
    this.#collect();
    counters.add('collections');
    this.#isTrimDue = true;
    this.#isSecondDue = isWaveOver;
    this.#lastAt = now;
    this.#discards.collected();
    this.#openings.collected();
    this.#settledHeapBytes = this.#measure().total_heap_size;
  }

  /** Whether a wave is over, and has left much. */
  #isWorthIt(heap: HeapMeasures, settledHeapBytes: number): boolean {
    const leftByHandshakes = this.#openings.isOver ? heap.total_heap_size - settledHeapBytes : 0;
    const leftBytes = Math.max(this.#discards.settledBytes, leftByHandshakes);
    const heapBytes = heap.used_heap_size + heap.external_memory;
    return leftBytes >= MIN_DISCARDED_BYTES && leftBytes >= heapBytes * MIN_SHARE_OF_HEAP;
  }

  /** Whether this process used much CPU since the last call. */
  #wasBusy(): boolean {
    const { user, system } = process.cpuUsage();
    const isBusy = user + system - this.#lastCpuUs > BUSY_CPU_US;
    this.#lastCpuUs = user + system;
    return isBusy;
  }
}
