import { Opcode } from '@roost/websocket';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Connections } from '../connections.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { Users } from '../fan-out/users.ts';
import { RowState, type ConnectionTable } from '../rows/connection-table.ts';
import { parseControlMessage, type ControlMessage, type ControlTarget } from './control-message.ts';

/** Connections that are closed, or sent to, before other events are handled. */
const CONNECTIONS_PER_TICK = 256;

export interface ControlMessagesParts {
  readonly config: Pick<FarmConfig, 'maxChannelBytes'>;
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly log: Log;
  readonly subscriptions: Pick<Subscriptions, 'isSubscribed' | 'subscribersOf'>;
  readonly users: Pick<Users, 'connectionsOf' | 'userOf'>;
  readonly connections: Pick<Connections, 'closeOwn' | 'isOpen' | 'send'>;
}

/**
 * What arrives on `roost:control`. Every worker of every farm on that Redis receives it. Malformed messages are
 * logged, counted and ignored: anybody who may PUBLISH can send them.
 */
export class ControlMessages {
  readonly #parts: ControlMessagesParts;
  /** What is done slice by slice, and not done yet. */
  readonly #underWay = new Set<Walk>();

  constructor(parts: ControlMessagesParts) {
    this.#parts = parts;
  }

  receive(bytes: Buffer): void {
    const { counters, log, config } = this.#parts;
    const message = parseControlMessage(bytes, config.maxChannelBytes);
    if (typeof message === 'string') {
      counters.add('control_malformed');
      log.warn({ problem: message, bytes: bytes.length }, 'control message ignored');
      return;
    }
    counters.add('control_messages');
    const slots = this.#slotsOf(message.target);
    if (slots.length === 0) return;
    if (message.type === 'disconnect') this.#log(message, slots.length);
    this.#each(slots, (slot) => this.#apply(message, slot));
  }

  /** Does what a message says to those of these rows whom it concerns. It was received, and counted, before. */
  applyTo(bytes: Buffer, slots: readonly number[]): void {
    const { config, subscriptions, users } = this.#parts;
    const message = parseControlMessage(bytes, config.maxChannelBytes);
    if (typeof message === 'string') return;
    const { target } = message;
    for (const slot of slots) {
      const isMeant =
        'channel' in target
          ? subscriptions.isSubscribed(slot, target.channel)
          : users.userOf(slot) === target.user;
      if (isMeant) this.#apply(message, slot);
    }
  }

  /** What is under way is done at once. */
  finish(): void {
    for (const walk of this.#underWay) this.#walk(walk, walk.slots.length);
  }

  #apply(message: ControlMessage, slot: number): void {
    const { connections, table } = this.#parts;
    // It is told where it goes.
    if (table.state(slot) === RowState.leaving) return;
    if (message.type === 'disconnect') {
      connections.closeOwn(slot, message.code, message.reason);
    } else if (connections.isOpen(slot)) {
      const { data } = message;
      connections.send(slot, typeof data === 'string' ? Opcode.text : Opcode.binary, data);
    }
  }

  #log({ target, code }: Extract<ControlMessage, { type: 'disconnect' }>, connections: number): void {
    const { log } = this.#parts;
    // Who a user is does not belong into a log.
    if ('channel' in target)
      log.info({ channel: target.channel, connections, code }, 'disconnecting a channel');
    else log.info({ connections, code }, 'disconnecting a user');
  }

  #slotsOf(target: ControlTarget): Int32Array {
    const { subscriptions, users } = this.#parts;
    return 'channel' in target
      ? subscriptions.subscribersOf(target.channel)
      : users.connectionsOf(target.user);
  }

  #each(slots: Int32Array, act: (slot: number) => void): void {
    const { table } = this.#parts;
    // The slots may have other owners in a later tick.
    const generations = slots.map((slot) => table.generation(slot));
    const walk = { slots, generations, act, next: 0 };
    this.#underWay.add(walk);
    const go = (): void => {
      this.#walk(walk, CONNECTIONS_PER_TICK);
      if (walk.next < slots.length) setImmediate(go);
    };
    go();
  }

  #walk(walk: Walk, count: number): void {
    const { table } = this.#parts;
    const { slots, generations, act } = walk;
    for (const end = Math.min(walk.next + count, slots.length); walk.next < end;) {
      const index = walk.next++;
      const slot = slots[index] ?? -1;
      if (table.isCurrent(slot, generations[index] ?? 0)) act(slot);
    }
    if (walk.next >= slots.length) this.#underWay.delete(walk);
  }
}

interface Walk {
  readonly slots: Int32Array;
  readonly generations: Int32Array;
  readonly act: (slot: number) => void;
  next: number;
}
