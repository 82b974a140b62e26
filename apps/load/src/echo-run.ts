import { clientFrame, Opcode } from './client-frames.ts';
import { ClientState } from './client-table.ts';
import type { Clients } from './clients.ts';
import { LatencyHistogram } from './latency-histogram.ts';

/** Connection number and sequence number, eight hexadecimal digits each, begin every payload. */
export const MIN_ECHO_BYTES = 16;
/** How long answers are awaited when the time is over. */
const TAIL_MS = 5000;
const HEX = Buffer.from('0123456789abcdef');

export interface EchoPlan {
  /** How many of the open connections take part. */
  readonly connections: number;
  readonly milliseconds: number;
  /** 16 to 65,535. */
  readonly payloadBytes: number;
  /** Text by default, as most clients send: the server has to check it as UTF-8. */
  readonly isBinary: boolean;
}

/** What an echo run of one process found. Plain data. */
export interface EchoFindings {
  readonly connections: number;
  readonly echoes: number;
  /** Answers that were not what the connection had sent last. */
  readonly wrong: number;
  /** Connections that waited in vain for their last answer. */
  readonly unanswered: number;
  /** Pairs of LatencyHistogram. */
  readonly latencies: readonly number[];
}

/** A closed loop: each connection sends a message, waits for its echo, and sends the next, for a time. */
export class EchoRun {
  readonly #clients: Clients;
  readonly #plan: EchoPlan;
  readonly #isEchoing: Uint8Array;
  readonly #frame: Buffer;
  readonly #payloadStart: number;
  readonly #latencies = new LatencyHistogram();
  #connections = 0;
  #outstanding = 0;
  #echoes = 0;
  #wrong = 0;
  #endsAt = 0;
  #finish: () => void = () => {};

  constructor(clients: Clients, plan: EchoPlan) {
    this.#clients = clients;
    this.#plan = plan;
    this.#isEchoing = new Uint8Array(clients.table.capacity);
    const payload = Buffer.alloc(plan.payloadBytes, 'echo '.repeat(8));
    this.#frame = clientFrame(plan.isBinary ? Opcode.binary : Opcode.text, payload);
    this.#payloadStart = this.#frame.length - plan.payloadBytes;
  }

  async run(): Promise<EchoFindings> {
    const { capacity, states } = this.#clients.table;
    this.#endsAt = performance.now() + this.#plan.milliseconds;
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const timer = setTimeout(() => this.#finish(), this.#plan.milliseconds + TAIL_MS);
    for (let slot = 0; slot < capacity && this.#connections < this.#plan.connections; slot++) {
      if (states[slot] !== ClientState.open) continue;
      this.#connections++;
      this.#isEchoing[slot] = 1;
      this.#outstanding++;
      this.#send(slot);
    }
    if (this.#outstanding === 0) this.#finish();
    await finished;
    clearTimeout(timer);
    return {
      connections: this.#connections,
      echoes: this.#echoes,
      wrong: this.#wrong,
      unanswered: this.#outstanding,
      latencies: this.#latencies.toPairs(),
    };
  }

  /** A message of any client; others than the run's are passed over. */
  message(slot: number, bytes: Buffer, start: number, length: number): void {
    if (this.#isEchoing[slot] !== 1) return;
    const { since, sequences } = this.#clients.table;
    const now = performance.now();
    this.#latencies.record((now - (since[slot] ?? now)) * 1000);
    this.#echoes++;
    if (!this.#isExpected(slot, bytes, start, length)) this.#wrong++;
    sequences[slot] = (sequences[slot] ?? 0) + 1;
    if (now < this.#endsAt) this.#send(slot);
    else this.#leave(slot);
  }

  /** A client that can echo no more. */
  closing(slot: number): void {
    if (this.#isEchoing[slot] === 1) this.#leave(slot);
  }

  #send(slot: number): void {
    const { numbers, sequences, since } = this.#clients.table;
    this.#writeHex(this.#payloadStart, numbers[slot] ?? 0);
    this.#writeHex(this.#payloadStart + 8, sequences[slot] ?? 0);
    since[slot] = performance.now();
    this.#clients.send(slot, this.#frame);
  }

  #leave(slot: number): void {
    this.#isEchoing[slot] = 0;
    if (--this.#outstanding === 0) this.#finish();
  }

  /** Eight digits, masked; `at` is a multiple of four bytes into the payload. */
  #writeHex(at: number, value: number): void {
    const frame = this.#frame;
    const mask = this.#payloadStart - 4;
    for (let digit = 0; digit < 8; digit++) {
      frame[at + digit] = (HEX[(value >>> (28 - digit * 4)) & 15] ?? 0) ^ (frame[mask + (digit & 3)] ?? 0);
    }
  }

  #isExpected(slot: number, bytes: Buffer, start: number, length: number): boolean {
    if (length !== this.#plan.payloadBytes) return false;
    const { numbers, sequences } = this.#clients.table;
    const number = numbers[slot] ?? 0;
    const sequence = sequences[slot] ?? 0;
    for (let digit = 0; digit < 8; digit++) {
      const shift = 28 - digit * 4;
      if (bytes[start + digit] !== HEX[(number >>> shift) & 15]) return false;
      if (bytes[start + 8 + digit] !== HEX[(sequence >>> shift) & 15]) return false;
    }
    return true;
  }
}
