import { unreadBytes } from '@roost/poller';
import { Opcode } from '@roost/websocket';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { TICKS_PER_SECOND, type Clock } from '../rows/clock.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import { EMPTY } from '../rows/empty.ts';
import type { Rows } from '../rows/rows.ts';

export interface HeartbeatParts {
  readonly config: Pick<FarmConfig, 'heartbeatMs' | 'heartbeatTimeoutMs'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly clock: Clock;
  readonly counters: Counters;
  readonly log: Log;
  readonly outbound: Pick<Outbound, 'send'>;
}

const MAX_ROUND_MS = 1000;
/** Rows looked at before other events are handled: some 0.2 ms. */
const SLICE_ROWS = 16_384;
/** A ping, or an end, takes as long as so many looks. */
const ROWS_PER_PING = 64;

/**
 * Finds clients that are gone without a word: a row that was silent for `heartbeatMs` is sent a ping, one that stays
 * silent for `heartbeatTimeoutMs` after it is ended. Bytes received are a sign of life, and so is a queue that
 * shrinks: behind a queue no ping is sent, for it would wait like everything else.
 *
 * No timers per row: once a second (or an eighth of the shorter time) a round looks at every row, in slices between
 * which other events are handled. Each of the two times is therefore up to a round and a tick (0.1 s) longer, never shorter.
 *
 * A worker that did not run (a blocked loop, SIGSTOP, a machine that was suspended) has not listened: that time is
 * nobody's silence. What arrived meanwhile may still wait in the kernel, which is asked before a row is ended.
 */
export class Heartbeat {
  readonly #table: ConnectionTable;
  readonly #rows: Rows;
  readonly #clock: Clock;
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #outbound: Pick<Outbound, 'send'>;
  readonly #pingTicks: number;
  readonly #endTicks: number;
  readonly #roundMs: number;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #nextSlot = 0;
  /** When the next round or slice should begin, performance.now(). */
  #dueAt = 0;

  constructor({ config, table, rows, clock, counters, log, outbound }: HeartbeatParts) {
    const { heartbeatMs, heartbeatTimeoutMs } = config;
    this.#table = table;
    this.#rows = rows;
    this.#clock = clock;
    this.#counters = counters;
    this.#log = log;
    this.#outbound = outbound;
    this.#pingTicks = Math.ceil((heartbeatMs / 1000) * TICKS_PER_SECOND);
    this.#endTicks = Math.ceil(((heartbeatMs + heartbeatTimeoutMs) / 1000) * TICKS_PER_SECOND);
    this.#roundMs = Math.min(MAX_ROUND_MS, Math.min(heartbeatMs, heartbeatTimeoutMs) / 8);
    this.#rest();
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#immediate);
  }

  #rest(): void {
    this.#nextSlot = 0;
    this.#dueAt = performance.now() + this.#roundMs;
    this.#timer = setTimeout(() => this.#slice(), this.#roundMs);
  }

  #slice(): void {
    const table = this.#table;
    // On an idle farm nothing else moves the clock.
    this.#clock.refresh();
    const lateMs = performance.now() - this.#dueAt;
    if (lateMs >= this.#roundMs) this.#forgive(lateMs);
    for (let rows = 0; rows < SLICE_ROWS && this.#nextSlot < table.highWater;) {
      rows += this.#visit(this.#nextSlot++) ? ROWS_PER_PING : 1;
    }
    if (this.#nextSlot >= table.highWater) {
      this.#rest();
      return;
    }
    this.#dueAt = performance.now();
    this.#immediate = setImmediate(() => this.#slice());
  }

  /** Nobody was heard for a while because nobody listened: silence begins as much later. */
  #forgive(lateMs: number): void {
    const table = this.#table;
    this.#counters.add('stalls');
    this.#log.warn(
      { ms: Math.round(lateMs) },
      'worker did not run for a while; clients get that time to answer',
    );
    const ticks = Math.ceil((lateMs / 1000) * TICKS_PER_SECOND);
    for (let slot = 0; slot < table.highWater; slot++) {
      table.lastSeen[slot] = Math.min(this.#clock.now, (table.lastSeen[slot] ?? 0) + ticks);
    }
  }

  /** True when it did more than look. */
  #visit(slot: number): boolean {
    const table = this.#table;
    const state = table.state(slot);
    if (state !== RowState.open && state !== RowState.awake) return false;
    const silent = this.#clock.now - (table.lastSeen[slot] ?? 0);
    // More than so many ticks, for the times of both ends are cut to whole ones.
    if (!table.hasFlag(slot, RowFlag.pinged)) {
      if (silent <= this.#pingTicks) return false;
      this.#ping(slot);
      return true;
    }
    if (silent < this.#pingTicks) {
      table.clearFlag(slot, RowFlag.pinged);
      return false;
    }
    if (silent <= this.#endTicks) return false;
    this.#end(slot);
    return true;
  }

  #ping(slot: number): void {
    const table = this.#table;
    table.setFlag(slot, RowFlag.pinged);
    // The answer has all of heartbeatTimeoutMs, also when the ping is late.
    table.lastSeen[slot] = this.#clock.now - this.#pingTicks;
    if (table.hasFlag(slot, RowFlag.queued)) return;
    this.#outbound.send(slot, Opcode.ping, EMPTY);
    this.#counters.add('pings_sent');
  }

  #end(slot: number): void {
    const fd = this.#table.fds[slot] ?? -1;
    if (fd >= 0 && unreadBytes(fd) > 0) return;
    this.#counters.add('closed_heartbeat');
    this.#rows.end(slot, CloseCode.abnormal, '');
  }
}
