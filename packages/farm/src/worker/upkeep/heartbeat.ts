import { unreadBytes } from '@roost/poller';
import { encodeCloseFrame, Opcode } from '@roost/websocket';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost } from '../app/app-host.ts';
import type { Broadcaster } from '../fan-out/broadcaster.ts';
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
  readonly apps: Pick<AppHost, 'closeReplacementOf' | 'heartbeatOf'>;
  readonly outbound: Pick<Outbound, 'send' | 'sendChunk'>;
  readonly broadcaster: Pick<Broadcaster, 'queuedBytes'>;
}

const MAX_ROUND_MS = 1000;
/** Rows looked at before other events are handled: some 0.2 ms. */
const SLICE_ROWS = 16_384;
/** A ping, or an end, takes as long as so many looks: a slice with nothing but pings has 32 of them, some 0.5 ms. */
const ROWS_PER_PING = 512;
/** How often a round looks whether a broadcast is over. */
const YIELD_MS = 50;
/** Part of `heartbeatMs` for which one round may wait for broadcasts. */
const YIELD_PART = 1 / 2;

/**
 * Finds clients that are gone without a word: a row that was silent for `heartbeatMs` is sent a ping, one that stays
 * silent for `heartbeatTimeoutMs` after it is ended; an app may have a text instead of the ping, and a close frame before the
 * end. Bytes received are a sign of life, and so is a queue that shrinks: behind a queue no ping is sent, for it would wait like
 * everything else.
 *
 * No timers per row: once a second (or an eighth of the shorter time) a round looks at every row, in slices between
 * which other events are handled. Each of the two times is therefore up to a round and a tick (0.1 s) longer, never shorter.
 * A round waits while broadcasts do, for half of `heartbeatMs` at most: of many workers that share a CPU, each would take its
 * part of what the one needs that sends.
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
  readonly #apps: HeartbeatParts['apps'];
  readonly #outbound: HeartbeatParts['outbound'];
  readonly #broadcaster: HeartbeatParts['broadcaster'];
  readonly #maxYieldMs: number;
  readonly #pingTicks: number;
  readonly #endTicks: number;
  readonly #roundMs: number;
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #nextSlot = 0;
  /** Of the round, so far. */
  #yieldedMs = 0;
  /** When the next round or slice should begin, performance.now(). */
  #dueAt = 0;

  constructor({ config, table, rows, clock, counters, log, apps, outbound, broadcaster }: HeartbeatParts) {
    const { heartbeatMs, heartbeatTimeoutMs } = config;
    this.#table = table;
    this.#rows = rows;
    this.#clock = clock;
    this.#counters = counters;
    this.#log = log;
    this.#apps = apps;
    this.#outbound = outbound;
    this.#broadcaster = broadcaster;
    this.#maxYieldMs = heartbeatMs * YIELD_PART;
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
    this.#yieldedMs = 0;
    this.#continueIn(this.#roundMs);
  }

  #continueIn(ms: number): void {
    this.#dueAt = performance.now() + ms;
    this.#timer = setTimeout(() => this.#slice(), ms);
  }

  #slice(): void {
    const table = this.#table;
    // On an idle farm nothing else moves the clock.
    this.#clock.refresh();
    const lateMs = performance.now() - this.#dueAt;
    if (lateMs >= this.#roundMs) this.#forgive(lateMs);
    if (this.#broadcaster.queuedBytes > 0 && this.#yieldedMs < this.#maxYieldMs) {
      this.#yieldedMs += YIELD_MS;
      this.#continueIn(YIELD_MS);
      return;
    }
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
    // Nobody listens to it.
    if (table.hasFlag(slot, RowFlag.frozen)) return false;
    const silent = this.#clock.now - (table.lastSeen[slot] ?? 0);
    // More than so many ticks, for the times of both ends are cut to whole ones.
    // What is heard takes the flag away: rounds may be further apart than pings and answers.
    if (!table.hasFlag(slot, RowFlag.pinged)) {
      if (silent <= this.#pingTicks) return false;
      this.#ping(slot);
      return true;
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
    const frame = this.#apps.heartbeatOf(slot);
    if (frame === undefined) this.#outbound.send(slot, Opcode.ping, EMPTY);
    else this.#outbound.sendChunk(slot, frame);
    this.#counters.add('pings_sent');
  }

  #end(slot: number): void {
    const fd = this.#table.fds[slot] ?? -1;
    if (fd >= 0 && unreadBytes(fd) > 0) return;
    this.#counters.add('closed_heartbeat');
    this.#sayWhy(slot);
    this.#rows.end(slot, CloseCode.abnormal, '');
  }

  /** A client may hear us although we do not hear it; where the app has a code for that, it is told. */
  #sayWhy(slot: number): void {
    const replacement = this.#apps.closeReplacementOf(slot, CloseCode.abnormal);
    if (replacement === undefined || this.#table.hasFlag(slot, RowFlag.queued)) return;
    this.#outbound.sendChunk(slot, encodeCloseFrame(replacement.code, replacement.reason ?? ''));
  }
}
