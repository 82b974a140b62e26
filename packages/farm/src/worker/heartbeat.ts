import { Opcode } from '@roost/websocket';
import { RowFlag, RowState } from './connection-table.ts';
import { TICKS_PER_SECOND } from './clock.ts';
import type { Core } from './core.ts';
import { CloseCode } from '../close-codes.ts';

const STEP_MS = 1000;
const EMPTY = new Uint8Array(0);

/**
 * Finds clients that are gone without a word. Once a second a part of the rows is looked at, so that each is visited
 * several times within the shorter of the two times and the work is even: a row that was silent for `heartbeatMs` is
 * sent a ping, one that stayed silent for `heartbeatTimeoutMs` more is ended.
 */
export class Heartbeat {
  readonly #core: Core;
  readonly #pingTicks: number;
  readonly #endTicks: number;
  /** Steps in which all rows are visited once. */
  readonly #stepsPerRound: number;
  readonly #timer: NodeJS.Timeout;
  #nextSlot = 0;

  constructor(core: Core) {
    const { heartbeatMs, heartbeatTimeoutMs } = core.config;
    this.#core = core;
    this.#pingTicks = (heartbeatMs / 1000) * TICKS_PER_SECOND;
    this.#endTicks = ((heartbeatMs + heartbeatTimeoutMs) / 1000) * TICKS_PER_SECOND;
    this.#stepsPerRound = Math.max(1, Math.floor(Math.min(heartbeatMs, heartbeatTimeoutMs) / 4 / STEP_MS));
    this.#timer = setInterval(() => this.#step(), STEP_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #step(): void {
    const { table, clock } = this.#core;
    // On an idle farm nothing else moves the clock.
    clock.refresh();
    const count = Math.ceil(table.highWater / this.#stepsPerRound);
    for (let visited = 0; visited < count; visited++) {
      if (this.#nextSlot >= table.highWater) this.#nextSlot = 0;
      this.#visit(this.#nextSlot++);
    }
  }

  #visit(slot: number): void {
    const { table, clock, outbound, counters, lifecycle } = this.#core;
    const state = table.state(slot);
    if (state !== RowState.open && state !== RowState.awake) return;
    const silent = clock.now - (table.lastSeen[slot] ?? 0);
    if (silent < this.#pingTicks) {
      table.clearFlag(slot, RowFlag.pinged);
    } else if (!table.hasFlag(slot, RowFlag.pinged)) {
      // Behind a full queue a ping would wait like everything else: the silence is then judged all the same.
      if (!table.hasFlag(slot, RowFlag.queued)) outbound.send(slot, Opcode.ping, EMPTY);
      table.setFlag(slot, RowFlag.pinged);
      counters.add('pings_sent');
    } else if (silent >= this.#endTicks) {
      counters.add('closed_heartbeat');
      lifecycle.finish(slot, CloseCode.abnormal, '');
    }
  }
}
