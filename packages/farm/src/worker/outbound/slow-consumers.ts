import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { OutboundMemory } from './outbound-memory.ts';
import type { OutboundQueue } from './outbound-queue.ts';

/** The part of the bound on all queues, one sixteenth, that is made free when it is reached. */
const ROOM_SHARE = 16;

/** The end of a frame that the kernel did not take. */
export interface Remainder {
  readonly bytes: Buffer;
  /** What stands before it in `bytes` is in the kernel already. */
  readonly start: number;
  /** A part of the frame is in the kernel, so that the rest must follow whatever `maxOutboundBytes` says. */
  readonly isBegun: boolean;
  /** The frame of a broadcast: other queues may hold the same buffer. */
  readonly isShared: boolean;
}

/** A row that is to be closed for this reason, or, without one, to be ended at once. */
export interface Verdict {
  readonly slot: number;
  readonly generation: number;
  readonly reason: string | undefined;
}

export interface SlowConsumersParts {
  readonly config: Pick<FarmConfig, 'maxOutboundBytes' | 'maxOutboundBytesPerWorker' | 'slowConsumerPolicy'>;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly queues: Map<number, OutboundQueue>;
  readonly memory: OutboundMemory;
}

/**
 * The policy for clients that read more slowly than they are sent to. A queue longer than `maxOutboundBytes` costs its
 * connection the message (`drop`) or the connection (`close`). When all queues together reach `maxOutboundBytesPerWorker`
 * the longest pay, because the client that is furthest behind is the slowest: to refuse whatever comes next would let a few
 * clients that never read lock out all that are late for a moment.
 *
 * The policy judges in the middle of a send. So a row that loses its connection only loses its queue and its messages at
 * once; it is closed or ended when its verdict is taken, after the send.
 */
export class SlowConsumers {
  readonly #config: SlowConsumersParts['config'];
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #queues: Map<number, OutboundQueue>;
  readonly #memory: OutboundMemory;
  #verdicts: Verdict[] = [];

  constructor({ config, table, counters, queues, memory }: SlowConsumersParts) {
    this.#config = config;
    this.#table = table;
    this.#counters = counters;
    this.#queues = queues;
    this.#memory = memory;
  }

  /** Whether an open row may keep the rest of a frame. If not, the policy has been applied to it. */
  admits(slot: number, { bytes, start, isBegun, isShared }: Remainder): boolean {
    const { maxOutboundBytes, maxOutboundBytesPerWorker: max, slowConsumerPolicy } = this.#config;
    const queuedBytes = (this.#queues.get(slot)?.bytes ?? 0) + bytes.length - start;
    if (!isBegun && queuedBytes > maxOutboundBytes) {
      if (slowConsumerPolicy === 'drop') {
        this.#counters.add('messages_dropped_slow_consumer');
      } else {
        this.#counters.add('closed_slow_consumer');
        this.#close(slot, 'slow consumer: the outbound queue is full');
      }
      return false;
    }
    const cost = this.#memory.costOf(bytes, isShared);
    if (this.#memory.bytes + cost <= max) return true;
    if (cost > max / 2) {
      // It is the longest itself: a frame that has begun and is larger than any queue may be.
      this.#end(slot);
      return false;
    }
    this.#makeRoom(cost);
    // It may have been one of the longest itself.
    if (!this.#table.isOpen(slot)) return false;
    if (this.#memory.bytes + cost <= max) return true;
    // What is left is on its way to another worker.
    this.#end(slot);
    return false;
  }

  get hasVerdicts(): boolean {
    return this.#verdicts.length > 0;
  }

  /** The rows to be closed or ended since the last call, in the order in which they were judged. */
  takeVerdicts(): readonly Verdict[] {
    const verdicts = this.#verdicts;
    this.#verdicts = [];
    return verdicts;
  }

  /**
   * First the policy, which leaves of each queue what has begun to be sent; if that is not enough, connections end. A
   * sixteenth of the bound is made free besides, so that the next sorting is far away.
   */
  #makeRoom(cost: number): void {
    const max = this.#config.maxOutboundBytesPerWorker;
    const targetBytes = max - Math.floor(max / ROOM_SHARE) - cost;
    this.#payLongestFirst(targetBytes, (slot) => this.#shorten(slot));
    this.#payLongestFirst(targetBytes, (slot) => this.#end(slot));
  }

  #payLongestFirst(targetBytes: number, pay: (slot: number) => void): void {
    if (this.#memory.bytes <= targetBytes) return;
    const longestFirst = [...this.#queues].toSorted(([, a], [, b]) => b.bytes - a.bytes);
    for (const [slot] of longestFirst) {
      // Another worker has been given its queue, and may serve it by now: to end it here would end it there.
      if (this.#table.state(slot) === RowState.leaving) continue;
      pay(slot);
      if (this.#memory.bytes <= targetBytes) return;
    }
  }

  #shorten(slot: number): void {
    // The close frame of a row that is closing must not be dropped.
    if (!this.#table.isOpen(slot)) return;
    // What may have begun stays. Where nothing else waits, a connection would be lost for nothing.
    const dropped = this.#queues.get(slot)?.keepFirst() ?? 0;
    if (this.#config.slowConsumerPolicy === 'drop') {
      this.#counters.add('messages_dropped_outbound_bytes', dropped);
    } else if (dropped > 0) {
      this.#counters.add('closed_outbound_bytes');
      this.#judge(slot, "slow consumer: the server's outbound queues are full");
    }
  }

  /** What has not begun to be sent is dropped, so that the close frame follows at once. */
  #close(slot: number, reason: string): void {
    this.#queues.get(slot)?.keepFirst();
    this.#judge(slot, reason);
  }

  #end(slot: number): void {
    this.#counters.add('ended_outbound_bytes');
    this.#queues.get(slot)?.release();
    this.#queues.delete(slot);
    this.#judge(slot, undefined);
  }

  #judge(slot: number, reason: string | undefined): void {
    this.#table.clearFlag(slot, RowFlag.open | RowFlag.sendable);
    this.#verdicts.push({ slot, generation: this.#table.generation(slot), reason });
  }
}
