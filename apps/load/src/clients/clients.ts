import type { PhantomLink } from '../phantom/phantom-link.ts';
import type { Target } from '../target.ts';
import { clientFrame, type FrameHeader, Opcode, readFrameHeader } from './client-frames.ts';
import { ClientState, ClientTable } from './client-table.ts';
import { Handshake } from './handshake.ts';
import { PhantomTransport } from './phantom-transport.ts';
import { startsWith } from './starts-with.ts';
import { TcpTransport } from './tcp-transport.ts';
import { TlsTransport } from './tls-transport.ts';
import type { Transport, TransportEvents } from './transport.ts';

/** Frames up to this size are kept until they are whole; of larger ones only the length is followed. */
const MAX_KEPT_FRAME_BYTES = 128 * 1024;
/** How long a server may take to end the TCP connection after the closing handshake. */
const CLOSE_TIMEOUT_MS = 5000;
const CLOSES_PER_TURN = 512;
const NORMAL_CLOSURE = Buffer.from([1000 >> 8, 1000 & 255]);

/** What a protocol inside WebSocket wants before a connection can be used. Plain data: it is sent to each load process. */
export interface Greeting {
  /** Texts that each client sends right behind the 101. */
  readonly says: readonly string[];
  /** A client is open when a message has come that begins with this; null: with the 101. */
  readonly awaits: string | null;
}

/** What happens to clients. Slots are valid until the call returns. */
export interface ClientEvents {
  opened(slot: number): void;
  /** It never opened. `reason` is an errno's name, `http 404`, `timeout` … */
  failed(slot: number, reason: string): void;
  /** One whole message of an open client, in `bytes[start … start + length)`; `length` is -1 when it was not kept. */
  message(slot: number, bytes: Buffer, start: number, length: number): void;
  /** It is open no more; `code` is the server's close code, 1006 without one, null when we began to close. */
  closing(slot: number, code: string | null): void;
  /** The descriptor of a client that had opened is closed; `endedInTime` is false when the server did not end it. */
  gone(slot: number, endedInTime: boolean): void;
  /** Everything that one wake-up brought has been handled. */
  batchEnded(): void;
}

export interface ClientsOptions {
  readonly target: Target;
  readonly greeting: Greeting;
  /** Addresses to bind, taken in turn by connection number; none lets the kernel choose. */
  readonly sourceAddresses: readonly string[];
  /** TCP in user space over this device; null: the kernel's. */
  readonly phantom: PhantomLink | null;
  readonly capacity: number;
  /** From connect(2) until it is open. */
  readonly handshakeTimeoutMs: number;
  readonly events: ClientEvents;
}

/**
 * The WebSocket clients of one load process: connects, shakes hands, follows frames, answers pings and close frames.
 * Never throws for what a server does.
 */
export class Clients implements TransportEvents {
  readonly table: ClientTable;
  readonly #events: ClientEvents;
  readonly #transport: Transport;
  readonly #handshake: Handshake;
  readonly #says: readonly Buffer[];
  /** Answers a ping without payload, as heartbeats are: there is nothing to mask. */
  readonly #emptyPong = clientFrame(Opcode.pong, new Uint8Array(0));
  readonly #awaits: Buffer | null;
  readonly #handshakeTimeoutMs: number;
  /** Bytes of answers and frames that have not fully arrived, for the few that have any. */
  readonly #partial = new Map<number, Buffer>();
  readonly #header: FrameHeader = { isFinal: true, opcode: 0, payloadBytes: 0, isValid: true };
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: ClientsOptions) {
    const { target, greeting } = options;
    this.#events = options.events;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs;
    this.table = new ClientTable(options.capacity);
    this.#handshake = new Handshake(target);
    this.#says = greeting.says.map((text) => clientFrame(Opcode.text, Buffer.from(text)));
    this.#awaits = greeting.awaits === null ? null : Buffer.from(greeting.awaits);
    this.#transport = this.#createTransport(options);
    this.#sweeper = setInterval(() => this.#sweep(), 500);
  }

  /** Begins to open connection `number`; the outcome is one call of `opened` or `failed`, perhaps before it returns. */
  open(number: number): void {
    const slot = this.table.take(number);
    if (slot === -1) {
      this.#events.failed(-1, 'more connections than this process has slots');
      return;
    }
    this.table.since[slot] = performance.now();
    const failure = this.#transport.open(slot, number, this.#handshake.request(number));
    if (failure !== undefined) this.#fail(slot, failure);
  }

  /** Sends one whole frame. False: the kernel did not take it, and the connection has ended. */
  send(slot: number, frame: Buffer): boolean {
    if (this.#transport.send(slot, frame)) return true;
    this.#lose(slot, 'short send');
    return false;
  }

  /** Stops reading, as a slow consumer does. */
  pause(slot: number): void {
    if (this.table.states[slot] === ClientState.open) this.#transport.pause(slot);
  }

  /** Begins the closing handshake with 1000. */
  close(slot: number): void {
    if (this.table.states[slot] === ClientState.open) this.#beginClose(slot, null, NORMAL_CLOSURE);
  }

  /** Closes all open clients, a slice a turn of the event loop. They are gone when the server or the timeout ends them. */
  closeAll(from = 0): void {
    const to = Math.min(from + CLOSES_PER_TURN, this.table.capacity);
    for (let slot = from; slot < to; slot++) this.close(slot);
    if (to < this.table.capacity) setImmediate(() => this.closeAll(to));
  }

  destroy(): void {
    clearInterval(this.#sweeper);
    this.#transport.destroy();
  }

  received(slot: number, bytes: Buffer, start: number, end: number): void {
    const earlier = this.#partial.get(slot);
    let from = start;
    let to = end;
    let source = bytes;
    if (earlier !== undefined) {
      this.#partial.delete(slot);
      source = Buffer.concat([earlier, bytes.subarray(start, end)]);
      from = 0;
      to = source.length;
    }
    if (this.table.states[slot] === ClientState.opening) {
      const answer = this.#handshake.judge(source, from, to);
      if ('failure' in answer) {
        this.#fail(slot, answer.failure);
        return;
      }
      if (answer.headBytes === 0) {
        this.#keep(slot, source, from, to);
        return;
      }
      from += answer.headBytes;
      this.#greet(slot);
    }
    this.#follow(slot, source, from, to);
  }

  ended(slot: number, reason: string): void {
    const state = this.table.states[slot];
    if (state === ClientState.opening || state === ClientState.greeting) this.#fail(slot, reason);
    else this.#lose(slot, '1006');
  }

  batchEnded(): void {
    this.#events.batchEnded();
  }

  #createTransport({ target, phantom, sourceAddresses }: ClientsOptions): Transport {
    if (phantom !== null) return new PhantomTransport(this.table, target, phantom, this);
    return target.tls === null
      ? new TcpTransport(this.table, target, sourceAddresses, this)
      : new TlsTransport(this.table, { target, tls: target.tls }, sourceAddresses, this);
  }

  /** The 101 has come. */
  #greet(slot: number): void {
    this.table.states[slot] = ClientState.greeting;
    for (const frame of this.#says) if (!this.send(slot, frame)) return;
    if (this.#awaits === null) this.#open(slot);
  }

  #open(slot: number): void {
    this.table.states[slot] = ClientState.open;
    this.#events.opened(slot);
  }

  /** Goes through the frames of `bytes[start … end)`. */
  #follow(slot: number, bytes: Buffer, start: number, end: number): void {
    const { payloadLeft, isLastFrame, states } = this.table;
    const header = this.#header;
    let at = start;
    while (at < end && states[slot] !== ClientState.free) {
      const left = payloadLeft[slot] ?? 0;
      if (left > 0) {
        const taken = Math.min(left, end - at);
        payloadLeft[slot] = left - taken;
        at += taken;
        if (taken === left && isLastFrame[slot] === 1) this.#message(slot, bytes, 0, -1);
        continue;
      }
      const headerBytes = readFrameHeader(bytes, at, end, header);
      if (headerBytes > 0 && !header.isValid) {
        this.#lose(slot, 'protocol error');
        return;
      }
      const frameBytes = headerBytes + header.payloadBytes;
      if (headerBytes > 0 && frameBytes > MAX_KEPT_FRAME_BYTES) {
        payloadLeft[slot] = header.payloadBytes;
        isLastFrame[slot] = header.isFinal ? 1 : 0;
        at += headerBytes;
        continue;
      }
      if (headerBytes === 0 || at + frameBytes > end) {
        this.#keep(slot, bytes, at, end);
        return;
      }
      this.#frame(slot, bytes, at + headerBytes);
      at += frameBytes;
    }
  }

  /** One whole frame, described by the header. */
  #frame(slot: number, bytes: Buffer, start: number): void {
    const { opcode, payloadBytes, isFinal } = this.#header;
    if (opcode < Opcode.close) {
      // Fragments are counted as the one message that their last frame ends; only a whole one can be shown.
      if (isFinal) this.#message(slot, bytes, start, opcode === Opcode.continuation ? -1 : payloadBytes);
    } else if (opcode === Opcode.ping) {
      const answer =
        payloadBytes === 0
          ? this.#emptyPong
          : clientFrame(Opcode.pong, bytes.subarray(start, start + payloadBytes));
      this.send(slot, answer);
    } else if (opcode === Opcode.close) {
      const code = payloadBytes >= 2 ? bytes.readUInt16BE(start) : 1005;
      const state = this.table.states[slot];
      if (state === ClientState.greeting) this.#fail(slot, `close ${code}`);
      else if (state === ClientState.open)
        this.#beginClose(slot, String(code), bytes.subarray(start, start + Math.min(payloadBytes, 2)));
    }
  }

  #message(slot: number, bytes: Buffer, start: number, length: number): void {
    const state = this.table.states[slot];
    if (state === ClientState.open) this.#events.message(slot, bytes, start, length);
    else if (state === ClientState.greeting && this.#isAwaited(bytes, start, length)) this.#open(slot);
  }

  #isAwaited(bytes: Buffer, start: number, length: number): boolean {
    return this.#awaits !== null && startsWith(bytes, start, length, this.#awaits);
  }

  #beginClose(slot: number, code: string | null, payload: Uint8Array): void {
    this.#leave(slot, code);
    this.table.states[slot] = ClientState.closing;
    this.table.since[slot] = performance.now();
    const frame = clientFrame(Opcode.close, payload);
    if (!this.#transport.send(slot, frame)) this.#end(slot);
  }

  /** Says that an open client is open no more. */
  #leave(slot: number, code: string | null): void {
    if (this.table.states[slot] === ClientState.open) this.#events.closing(slot, code);
  }

  /** The TCP connection of a client that has its 101 cannot be used any more. */
  #lose(slot: number, reason: string): void {
    if (this.table.states[slot] === ClientState.greeting) {
      this.#fail(slot, reason);
      return;
    }
    this.#leave(slot, reason);
    this.#end(slot);
  }

  #fail(slot: number, reason: string): void {
    this.#events.failed(slot, reason);
    this.#free(slot);
  }

  #end(slot: number, endedInTime = true): void {
    this.#events.gone(slot, endedInTime);
    this.#free(slot);
  }

  #free(slot: number): void {
    this.#partial.delete(slot);
    this.#transport.close(slot);
    this.table.release(slot);
  }

  #keep(slot: number, bytes: Buffer, start: number, end: number): void {
    const kept = Buffer.allocUnsafeSlow(end - start);
    bytes.copy(kept, 0, start, end);
    this.#partial.set(slot, kept);
  }

  #sweep(): void {
    const { states, since, capacity } = this.table;
    const now = performance.now();
    for (let slot = 0; slot < capacity; slot++) {
      const state = states[slot];
      if (state === ClientState.free || state === ClientState.open) continue;
      const age = now - (since[slot] ?? now);
      if (state === ClientState.closing) {
        if (age > CLOSE_TIMEOUT_MS) this.#end(slot, false);
      } else if (age > this.#handshakeTimeoutMs) {
        this.#fail(slot, 'timeout');
      }
    }
    this.#events.batchEnded();
  }
}
