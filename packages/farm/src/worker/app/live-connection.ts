import { isUtf8 } from 'node:buffer';
import { isValidCloseCode, Opcode } from '@roost/websocket';
import type { PublishOptions } from '../../api/channel-publication.ts';
import { CloseCode } from '../../api/close-codes.ts';
import type { Connection } from '../../api/connection.ts';
import type { JoinOutcome, JoinRequest } from '../../api/presence.ts';
import { checkUser } from '../../options/user-name.ts';
import { checkAttachment } from '../rows/attachments.ts';
import { checkExpiresAt } from '../rows/deadlines.ts';
import { checkSession } from '../rows/sessions.ts';
import type { ConnectionPort } from './connection-port.ts';

/** A slot and its generation: everything it answers is read from the worker's tables at that moment. */
export class LiveConnection implements Connection {
  readonly #port: ConnectionPort;
  readonly #slot: number;
  readonly #generation: number;

  constructor(port: ConnectionPort, slot: number, generation: number) {
    this.#port = port;
    this.#slot = slot;
    this.#generation = generation;
  }

  get id(): string {
    return this.#isCurrent() ? this.#port.id(this.#slot) : '';
  }

  get isOpen(): boolean {
    return this.#isCurrent() && this.#port.isOpen(this.#slot);
  }

  get remoteAddress(): string {
    return this.#isCurrent() ? this.#port.remoteAddress(this.#slot) : '';
  }

  get attachment(): unknown {
    return this.#isCurrent() ? this.#port.attachment(this.#slot) : undefined;
  }

  set attachment(value: unknown) {
    checkAttachment(value);
    if (this.#isCurrent()) this.#port.setAttachment(this.#slot, value);
  }

  get expiresAt(): number | undefined {
    return this.#isCurrent() ? this.#port.expiresAt(this.#slot) : undefined;
  }

  set expiresAt(value: number | undefined) {
    checkExpiresAt(value);
    if (this.#isCurrent()) this.#port.setExpiresAt(this.#slot, value);
  }

  get session(): Uint8Array | undefined {
    return this.#isCurrent() ? this.#port.session(this.#slot) : undefined;
  }

  set session(value: Uint8Array | undefined) {
    checkSession(value);
    if (this.#isCurrent()) this.#port.setSession(this.#slot, value);
  }

  get user(): string | undefined {
    return this.#isCurrent() ? this.#port.user(this.#slot) : undefined;
  }

  set user(value: string | undefined) {
    checkUser(value);
    if (this.#isCurrent()) this.#port.setUser(this.#slot, value);
  }

  get bufferedBytes(): number {
    return this.#isCurrent() ? this.#port.bufferedBytes(this.#slot) : 0;
  }

  get hasGap(): boolean {
    return this.#isCurrent() && this.#port.hasGap(this.#slot);
  }

  isSubscribed(channel: string): boolean {
    return this.#isCurrent() && this.#port.isSubscribed(this.#slot, channel);
  }

  memberOf(channel: string): string | undefined {
    return this.#isCurrent() ? this.#port.memberOf(this.#slot, channel) : undefined;
  }

  /** See WorkerContext.join. */
  join(request: JoinRequest): Promise<JoinOutcome> {
    return this.isOpen ? this.#port.join(this.#slot, request) : Promise.resolve('gone');
  }

  get channels(): readonly string[] {
    return this.#isCurrent() ? this.#port.channels(this.#slot) : [];
  }

  send(data: string | Uint8Array, isBinary = true): boolean {
    if (!this.isOpen) return false;
    const opcode = typeof data === 'string' || !isBinary ? Opcode.text : Opcode.binary;
    // A text frame with other bytes would make every client fail the connection (RFC 6455 §8.1).
    if (opcode === Opcode.text && typeof data !== 'string' && !isText(data)) {
      throw new TypeError('send() with isBinary false needs valid UTF-8; leave isBinary out to send bytes');
    }
    return this.#port.send(this.#slot, opcode, data);
  }

  subscribe(channel: string): Promise<boolean> {
    if (!this.isOpen) return Promise.resolve(false);
    return this.#port.subscribe(this.#slot, channel);
  }

  unsubscribe(channel: string): boolean {
    return this.isOpen && this.#port.unsubscribe(this.#slot, channel);
  }

  publish(channel: string, data: string | Uint8Array, options?: PublishOptions): Promise<void> {
    return this.#port.publish(channel, data, options);
  }

  close(code: number = CloseCode.normal, reason = ''): boolean {
    if (!isValidCloseCode(code)) {
      throw new RangeError(
        `close() takes 1000 to 1003, 1007 to 1014 or 3000 to 4999, got ${code} (RFC 6455 §7.4)`,
      );
    }
    return this.isOpen && this.#port.close(this.#slot, code, reason);
  }

  terminate(): boolean {
    if (!this.#isCurrent()) return false;
    this.#port.terminate(this.#slot);
    return true;
  }

  #isCurrent(): boolean {
    return this.#port.isCurrent(this.#slot, this.#generation);
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
