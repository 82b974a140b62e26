import { clientFrame, Opcode } from '../clients/client-frames.ts';
import { ClientState } from '../clients/client-table.ts';
import type { Clients } from '../clients/clients.ts';
import { hexDigits, readHex, writeHex } from '../clients/hex-digits.ts';
import type { MessageTemplate } from '../message-template.ts';
import { Latencies } from '../report/latencies.ts';

/** Connection number, sequence number and the time it was due, eight hexadecimal digits each and sixteen for the time. */
export const MIN_ECHO_BYTES = 32;
const NUMBER_AT = 0;
const SEQUENCE_AT = 8;
const TIME_AT = 16;
/** How long answers are awaited when the time is over. */
const TAIL_MS = 5000;
const PACE_TICK_MS = 2;

export interface EchoPlan {
  /** How many of the open connections take part. */
  readonly connections: number;
  readonly milliseconds: number;
  /** Of the data in a message. 32 to 65,535. */
  readonly payloadBytes: number;
  /** Text by default, as most clients send: the server has to check it as UTF-8. */
  readonly isBinary: boolean;
  /** Messages a second of all the connections together, whether they are answered or not; 0: a closed loop. */
  readonly perSecond: number;
}

/** What an echo run of one process found. Plain data. */
export interface EchoFindings {
  readonly connections: number;
  readonly echoes: number;
  /** Answers that were not what the connection had sent next. */
  readonly wrong: number;
  /** Messages that waited in vain for their answer. */
  readonly unanswered: number;
  /** See Latencies.encode. */
  readonly latencies: string;
}

/**
 * Echoes for a time, in one of two ways.
 *
 * In a *closed loop* each connection sends a message, waits for its echo, and sends the next: the load gives way when the
 * server is slow, and the latencies are those of a server that is never asked more than it answers. With a *rate* messages are sent
 * when they are due, by the connections in turn, whether earlier ones were answered or not; a latency counts from when the
 * message was due, not from when it could be sent, so that a server (or a load process) that stalls shows in every
 * message that was due meanwhile. That is what clients see who do not know of each other (no coordinated omission).
 */
export class EchoRun {
  readonly #clients: Clients;
  readonly #plan: EchoPlan;
  /** Slots that take part, in the order of their turns. */
  readonly #slots: Int32Array;
  readonly #isEchoing: Uint8Array;
  /** Answers of each slot. */
  readonly #answered: Uint32Array;
  readonly #template: MessageTemplate;
  readonly #frame: Buffer;
  /** Of the whole message, with what the template adds. */
  readonly #messageBytes: number;
  readonly #messageStart: number;
  readonly #latencies = new Latencies();
  readonly #interval: Latencies;
  #connections = 0;
  #turn = 0;
  #outstanding = 0;
  #echoes = 0;
  #wrong = 0;
  #startedAt = 0;
  #endsAt = 0;
  #ticker: NodeJS.Timeout | undefined;
  #finish: () => void = () => {};

  /** `interval` is told every latency, too: of the progress line. */
  constructor(
    clients: Clients,
    plan: EchoPlan,
    { template, interval }: { readonly template: MessageTemplate; readonly interval: Latencies },
  ) {
    const { capacity } = clients.table;
    this.#clients = clients;
    this.#plan = plan;
    this.#interval = interval;
    this.#slots = new Int32Array(capacity);
    this.#isEchoing = new Uint8Array(capacity);
    this.#answered = new Uint32Array(capacity);
    const payload = Buffer.alloc(plan.payloadBytes, 'echo '.repeat(8));
    const message = template.wrap(payload);
    this.#template = template;
    this.#frame = clientFrame(plan.isBinary ? Opcode.binary : Opcode.text, message);
    this.#messageBytes = message.length;
    this.#messageStart = this.#frame.length - message.length;
  }

  async run(): Promise<EchoFindings> {
    const { capacity, states, sequences } = this.#clients.table;
    const { connections, milliseconds, perSecond } = this.#plan;
    for (let slot = 0; slot < capacity && this.#connections < connections; slot++) {
      if (states[slot] !== ClientState.open) continue;
      this.#slots[this.#connections++] = slot;
      this.#isEchoing[slot] = 1;
      sequences[slot] = 0;
    }
    this.#startedAt = performance.now();
    this.#endsAt = this.#startedAt + milliseconds;
    const finished = new Promise<void>((resolve) => {
      this.#finish = resolve;
    });
    const timer = setTimeout(() => this.#finish(), milliseconds + TAIL_MS);
    if (this.#connections === 0) this.#finish();
    else if (perSecond > 0) this.#ticker = setInterval(() => this.#pace(), PACE_TICK_MS);
    else
      for (let index = 0; index < this.#connections; index++)
        this.#send(this.#slots[index] ?? 0, this.#startedAt);
    await finished;
    clearTimeout(timer);
    clearInterval(this.#ticker);
    return {
      connections: this.#connections,
      echoes: this.#echoes,
      wrong: this.#wrong,
      unanswered: this.#outstanding,
      latencies: this.#latencies.encode(),
    };
  }

  /** A wrapped message of any client; others than the run's are passed over. */
  message(slot: number, bytes: Buffer, start: number, length: number): void {
    if (this.#isEchoing[slot] !== 1) return;
    const answered = this.#answered[slot] ?? 0;
    const sent = this.#clients.table.sequences[slot] ?? 0;
    const now = performance.now();
    if (this.#isExpected(slot, bytes, start, length)) {
      const micros = now * 1000 - readHex(bytes, start + this.#template.prefix.length + TIME_AT, 16);
      this.#latencies.record(micros);
      this.#interval.record(micros);
      this.#echoes++;
    } else {
      this.#wrong++;
    }
    // Nothing was asked: it answers nothing.
    if (answered === sent) return;
    this.#answered[slot] = answered + 1;
    this.#outstanding--;
    if (this.#plan.perSecond === 0 && now < this.#endsAt) this.#send(slot, now);
    else this.#finishIfDone(now);
  }

  /** A client that can echo no more. */
  closing(slot: number): void {
    if (this.#isEchoing[slot] !== 1) return;
    this.#isEchoing[slot] = 0;
    this.#outstanding -= (this.#clients.table.sequences[slot] ?? 0) - (this.#answered[slot] ?? 0);
    this.#finishIfDone(performance.now());
  }

  /** Sends all that is due. */
  #pace(): void {
    const now = Math.min(performance.now(), this.#endsAt);
    const { perSecond, milliseconds } = this.#plan;
    const due = Math.min((now - this.#startedAt) * perSecond, Math.round(milliseconds * perSecond)) / 1000;
    while (this.#turn < due) {
      const slot = this.#slots[this.#turn % this.#connections] ?? 0;
      const dueAt = this.#startedAt + (this.#turn * 1000) / perSecond;
      this.#turn++;
      if (this.#isEchoing[slot] === 1) this.#send(slot, dueAt);
    }
    if (now >= this.#endsAt) {
      clearInterval(this.#ticker);
      this.#finishIfDone(now);
    }
  }

  #finishIfDone(now: number): void {
    if (this.#outstanding === 0 && now >= this.#endsAt) this.#finish();
    // Whoever would send next is gone.
    else if (this.#plan.perSecond === 0 && this.#outstanding === 0) this.#finish();
  }

  #send(slot: number, dueAt: number): void {
    const { numbers, sequences } = this.#clients.table;
    const mask = this.#messageStart - 4;
    const data = this.#messageStart + this.#template.prefix.length;
    writeHex(this.#frame, data + NUMBER_AT, 8, numbers[slot] ?? 0, mask);
    writeHex(this.#frame, data + SEQUENCE_AT, 8, sequences[slot] ?? 0, mask);
    writeHex(this.#frame, data + TIME_AT, 16, Math.round(dueAt * 1000), mask);
    sequences[slot] = (sequences[slot] ?? 0) + 1;
    this.#outstanding++;
    this.#clients.send(slot, this.#frame);
  }

  #isExpected(slot: number, bytes: Buffer, start: number, length: number): boolean {
    const data = start + this.#template.prefix.length;
    return (
      length === this.#messageBytes &&
      hexDigits(bytes, data + NUMBER_AT, 8, this.#clients.table.numbers[slot] ?? 0) &&
      hexDigits(bytes, data + SEQUENCE_AT, 8, this.#answered[slot] ?? 0) &&
      this.#template.isWhole(bytes, start, length)
    );
  }
}
