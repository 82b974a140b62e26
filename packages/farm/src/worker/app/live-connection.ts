import { isUtf8 } from 'node:buffer';
import { isValidCloseCode, Opcode } from '@roost/websocket';
import type { Connection } from '../../api/connection.ts';
import { checkAttachment } from '../rows/attachment.ts';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import type { Core } from '../core.ts';
import { CloseCode } from '../../api/close-codes.ts';
import { checkExpiresAt } from '../upkeep/expirations.ts';

/** A slot and its generation: everything it answers is read from the worker's tables at that moment. */
export class LiveConnection implements Connection {
  readonly #core: Core;
  readonly #slot: number;
  readonly #generation: number;

  constructor(core: Core, slot: number, generation: number) {
    this.#core = core;
    this.#slot = slot;
    this.#generation = generation;
  }

  get id(): string {
    return this.#isCurrent() ? String(this.#core.table.numbers[this.#slot]) : '';
  }

  get isOpen(): boolean {
    return this.#isCurrent() && isOpenRow(this.#core, this.#slot);
  }

  get remoteAddress(): string {
    return this.#isCurrent() ? this.#core.table.address(this.#slot) : '';
  }

  get attachment(): unknown {
    return this.#isCurrent() ? this.#core.apps.attachment(this.#slot) : undefined;
  }

  set attachment(value: unknown) {
    checkAttachment(value);
    if (this.#isCurrent()) this.#core.apps.setAttachment(this.#slot, value);
  }

  get expiresAt(): number | undefined {
    return this.#isCurrent() ? this.#core.expirations.get(this.#slot) : undefined;
  }

  set expiresAt(value: number | undefined) {
    checkExpiresAt(value);
    if (this.#isCurrent()) this.#core.expirations.set(this.#slot, value);
  }

  get bufferedBytes(): number {
    return this.#isCurrent() ? this.#core.outbound.bufferedBytes(this.#slot) : 0;
  }

  get hasGap(): boolean {
    return this.#isCurrent() && this.#core.table.hasFlag(this.#slot, RowFlag.gap);
  }

  get channels(): readonly string[] {
    return this.#isCurrent() ? this.#core.hub.subscriptionsOf(this.#slot) : [];
  }

  send(data: string | Uint8Array, isBinary = true): boolean {
    if (!this.isOpen) return false;
    const opcode = typeof data === 'string' || !isBinary ? Opcode.text : Opcode.binary;
    // A text frame with other bytes would make every client fail the connection (RFC 6455 §8.1).
    if (opcode === Opcode.text && typeof data !== 'string' && !isText(data)) {
      throw new TypeError('send() with isBinary false needs valid UTF-8; leave isBinary out to send bytes');
    }
    const isTaken = this.#core.outbound.send(this.#slot, opcode, data);
    if (isTaken) this.#core.counters.messagesSent++;
    return isTaken;
  }

  subscribe(channel: string): Promise<boolean> {
    if (!this.isOpen) return Promise.resolve(false);
    return this.#core.subscriptions.subscribe(this.#slot, channel);
  }

  unsubscribe(channel: string): boolean {
    return this.isOpen && this.#core.hub.unsubscribe(this.#slot, channel);
  }

  publish(channel: string, data: string | Uint8Array): Promise<void> {
    return this.#core.subscriptions.publish(channel, data);
  }

  close(code: number = CloseCode.normal, reason = ''): boolean {
    if (!isValidCloseCode(code)) {
      throw new RangeError(
        `close() takes 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${code} (RFC 6455 §7.4)`,
      );
    }
    if (!this.isOpen) return false;
    return this.#core.lifecycle.close(this.#slot, code, reason);
  }

  terminate(): boolean {
    if (!this.#isCurrent()) return false;
    this.#core.lifecycle.finish(this.#slot, CloseCode.abnormal, '');
    return true;
  }

  #isCurrent(): boolean {
    return this.#core.table.isCurrent(this.#slot, this.#generation);
  }
}

/** Up to this size a loop that finds only ASCII is cheaper than the call. */
const SHORT_TEXT_BYTES = 96;

function isText(data: Uint8Array): boolean {
  if (data.length > SHORT_TEXT_BYTES) return isUtf8(data);
  let seenBits = 0;
  let index = 0;
  // Four at a time, for every echo comes by here.
  for (; index + 4 <= data.length; index += 4) {
    seenBits |= (data[index] ?? 0) | (data[index + 1] ?? 0) | (data[index + 2] ?? 0) | (data[index + 3] ?? 0);
  }
  for (; index < data.length; index++) seenBits |= data[index] ?? 0;
  return seenBits < 0x80 || isUtf8(data);
}

function isOpenRow(core: Core, slot: number): boolean {
  const state = core.table.state(slot);
  return state === RowState.open || (state === RowState.awake && !core.awake.isClosing(slot));
}

/** What the close hook is given: the facts of a connection whose row is already somebody else's. */
export class ClosedConnection implements Connection {
  readonly id: string;
  readonly remoteAddress: string;
  readonly channels: readonly string[];
  readonly hasGap: boolean;
  readonly isOpen = false;
  readonly bufferedBytes = 0;
  readonly expiresAt = undefined;
  attachment: unknown;
  readonly #publish: Connection['publish'];

  constructor(connection: Connection, channels: readonly string[]) {
    this.id = connection.id;
    this.remoteAddress = connection.remoteAddress;
    this.attachment = connection.attachment;
    this.channels = channels;
    this.hasGap = connection.hasGap;
    this.#publish = (channel, data) => connection.publish(channel, data);
  }

  send(): boolean {
    return false;
  }

  subscribe(): Promise<boolean> {
    return Promise.resolve(false);
  }

  unsubscribe(): boolean {
    return false;
  }

  /** Still possible: a chat says goodbye in its close hook. */
  publish(channel: string, data: string | Uint8Array): Promise<void> {
    return this.#publish(channel, data);
  }

  close(): boolean {
    return false;
  }

  terminate(): boolean {
    return false;
  }
}
