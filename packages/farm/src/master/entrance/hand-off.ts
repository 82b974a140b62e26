import { constants } from 'node:os';
import {
  ADDRESS_BYTES,
  closeDescriptor,
  closeDescriptors,
  receiveDescriptors,
  sendDescriptors,
  terminateDescriptor,
  type ReceivedRecord,
} from '@roost/poller';
import {
  ACKNOWLEDGEMENT_BYTES,
  FLAG_LIMITED,
  HandOffKind,
  HandOffRecord,
  MAX_BATCH,
} from '../../link/hand-off-record.ts';
import type { Guard } from '../guard.ts';

/** A socket on its way to a worker, owned by the master until that worker has acknowledged it. */
export interface AcceptedSocket {
  readonly fd: number;
  readonly number: number;
  /** Peer address and port, ADDRESS_BYTES. */
  readonly address: Uint8Array;
  readonly flags: number;
}

/** Accepted sockets that go to one worker together: `count` of `fds` from index `from` on. */
export interface SocketRun {
  readonly fds: Int32Array;
  readonly from: number;
  readonly count: number;
  /** ADDRESS_BYTES for each of `fds`. */
  readonly addresses: Uint8Array;
  /** Of the first; those of the others follow it. */
  readonly firstNumber: number;
  readonly flags: number;
}

/** Over a limit of its address: the worker only answers it. */
export function isLimited({ flags }: AcceptedSocket): boolean {
  return (flags & FLAG_LIMITED) !== 0;
}

interface Batch {
  id: number;
  readonly record: HandOffRecord;
  readonly fds: Int32Array;
  sentAt: number;
  isRefused: boolean;
}

export interface HandOffHooks {
  /** The worker has taken this many, so long after they were sent. */
  acknowledged(count: number, seconds: number): void;
  /** It has not taken these, for lack of descriptors. */
  returned(sockets: readonly AcceptedSocket[]): void;
  /** The kernel cannot pass sockets on at this moment; they wait. Called once per batch. */
  refused(errno: number): void;
  /** The kernel will never pass these on: they have no owner any more, and must be ended. */
  lost(sockets: readonly AcceptedSocket[], errno: number): void;
}

const { EAGAIN, ECONNREFUSED, ECONNRESET, EMFILE, ENFILE, ENOBUFS, ENOMEM, ENOTCONN, EPIPE } =
  constants.errno;
/** Linux's own (asm-generic/errno.h), which Node has no name for. */
const ETOOMANYREFS = 109;
/** It does not read, or is dying: its end will return what it has not taken. */
const OF_THE_WORKER = new Set([EAGAIN, ECONNREFUSED, ECONNRESET, ENOTCONN, EPIPE]);
/** A shortage of memory, or too many descriptors in flight (which poll(2) does not report): not the worker's fault. */
const OF_THE_SYSTEM = new Set([EMFILE, ENFILE, ENOBUFS, ENOMEM, ETOOMANYREFS]);
const RETRY_MS = 5;
const MAX_SPARE_BATCHES = 16;
const NO_DESCRIPTORS = new Int32Array(0);

/**
 * The master's side of the hand-off to one worker: a question with an answer. Sockets are collected into batches, sent
 * with a record, and kept open here until the worker has acknowledged the batch, before it reads a byte of any of them.
 *
 *     open ─► waiting (the socket is full) ─► sent ─► acknowledged: our copies are closed
 *            │                                     └─► returned: the worker died, or had no descriptor left
 *            └─► lost: the kernel will never take them
 *
 * After the worker's death {@link end} reads its last acknowledgements to EOF; what is left then was never read by
 * anybody and may be given to another worker.
 */
export class HandOff {
  readonly #socket: number;
  readonly #maxUnacknowledged: number;
  readonly #guard: Guard;
  readonly #hooks: HandOffHooks;
  readonly #waiting: Batch[] = [];
  /** In the order of sending. */
  readonly #sent = new Map<number, Batch>();
  /** Batches that were answered, to be used again: in a storm of connections they would be most of the garbage. */
  readonly #spare: Batch[] = [];
  readonly #acknowledgement = Buffer.alloc(ACKNOWLEDGEMENT_BYTES);
  readonly #received: ReceivedRecord = { bytes: 0, count: 0, truncated: false };
  /** Ends of pairs that wait. */
  readonly #pairs: { readonly move: number; readonly end: number }[] = [];
  #open: Batch | undefined;
  #lastId = 0;
  #unacknowledged = 0;
  #retryTimer: NodeJS.Timeout | undefined;

  /** `socket` is the master's end of the descriptor socket pair. */
  constructor(socket: number, maxUnacknowledged: number, guard: Guard, hooks: HandOffHooks) {
    this.#socket = socket;
    this.#maxUnacknowledged = maxUnacknowledged;
    this.#guard = guard;
    this.#hooks = hooks;
  }

  /** Sockets that it may still be given now. */
  get room(): number {
    return this.#maxUnacknowledged - this.#unacknowledged;
  }

  get unacknowledged(): number {
    return this.#unacknowledged;
  }

  /**
   * When the oldest unanswered batch was sent, or the worker did not take it for the first time, by performance.now();
   * undefined when it owes no answer.
   */
  get oldestSentAt(): number | undefined {
    for (const batch of this.#sent.values()) return batch.sentAt;
    // One that it did not take is owed an answer since the first try.
    return this.#waiting[0]?.sentAt || undefined;
  }

  /** Takes the socket over. It travels with the next {@link flush}, or when the batch is full. */
  add(socket: AcceptedSocket, address: Uint8Array = socket.address, addressOffset = 0): void {
    this.#add(socket.fd, socket.number, address, addressOffset, socket.flags);
  }

  /** As {@link add}, for each socket of the run: of a storm, each would otherwise be an object. */
  addRun({ fds, from, count, addresses, firstNumber, flags }: SocketRun): void {
    for (let index = 0; index < count; index++) {
      const at = from + index;
      this.#add(fds[at] ?? -1, firstNumber + index, addresses, at * ADDRESS_BYTES, flags);
    }
  }

  #add(fd: number, number: number, address: Uint8Array, addressOffset: number, flags: number): void {
    this.#open ??= this.#newBatch();
    const { record, fds } = this.#open;
    const index = record.count;
    fds[index] = fd;
    record.add(number, address, addressOffset, flags);
    this.#unacknowledged++;
    if (index === MAX_BATCH - 1) this.flush();
  }

  /** Takes over one end of the pair of a move, and passes it on as soon as the kernel takes it. It may overtake sockets. */
  addPair(move: number, end: number): void {
    this.#pairs.push({ move, end });
    if (this.#retryTimer === undefined) this.#send();
  }

  flush(): void {
    if (this.#open !== undefined) {
      this.#waiting.push(this.#open);
      this.#open = undefined;
    }
    if (this.#retryTimer === undefined) this.#send();
  }

  /** The descriptor socket is readable. */
  readAcknowledgements(): void {
    for (let hasReset = false; ;) {
      const result = receiveDescriptors(this.#socket, NO_DESCRIPTORS, this.#acknowledgement, this.#received);
      if (result.bytes === -constants.errno.ECONNRESET && !hasReset) {
        // The worker died with sockets unread. The kernel says so once, before it gives out what is still queued.
        hasReset = true;
        continue;
      }
      if (result.bytes !== ACKNOWLEDGEMENT_BYTES) return;
      this.#acknowledged(this.#acknowledgement.readUInt32LE(0), this.#acknowledgement.readUInt32LE(4));
    }
  }

  /** The worker has been reaped. Answers the sockets that it never acknowledged; the descriptor socket is closed. */
  end(): AcceptedSocket[] {
    this.readAcknowledgements();
    clearTimeout(this.#retryTimer);
    if (this.#open !== undefined) this.#waiting.push(this.#open);
    this.#open = undefined;
    const returned = [...this.#sent.values(), ...this.#waiting].flatMap((batch) => socketsOf(batch, 0));
    this.#sent.clear();
    this.#waiting.length = 0;
    for (const { end } of this.#pairs.splice(0)) closeDescriptor(end);
    this.#unacknowledged = 0;
    closeDescriptor(this.#socket);
    return returned;
  }

  /** Ends the sockets that no worker will take. */
  static drop(sockets: readonly AcceptedSocket[]): void {
    for (const { fd } of sockets) terminateDescriptor(fd);
  }

  #newBatch(): Batch {
    this.#lastId = (this.#lastId + 1) >>> 0;
    const batch = this.#spare.pop() ?? {
      id: 0,
      record: new HandOffRecord(MAX_BATCH),
      fds: new Int32Array(MAX_BATCH),
      sentAt: 0,
      isRefused: false,
    };
    batch.id = this.#lastId;
    batch.sentAt = 0;
    batch.isRefused = false;
    batch.record.begin(this.#lastId);
    return batch;
  }

  #send(): void {
    this.#retryTimer = undefined;
    if (!this.#sendPairs()) {
      this.#retryTimer = this.#guard.after(RETRY_MS, 'handing off', () => this.#send());
      return;
    }
    for (let batch = this.#waiting[0]; batch !== undefined; batch = this.#waiting[0]) {
      const outcome = sendDescriptors(this.#socket, batch.fds, batch.record.count, batch.record.bytes);
      if (outcome < 0 && !this.#isUnsendable(batch, -outcome)) {
        this.#retryTimer = this.#guard.after(RETRY_MS, 'handing off', () => this.#send());
        return;
      }
      this.#waiting.shift();
      if (outcome < 0) {
        this.#unacknowledged -= batch.record.count;
        this.#hooks.lost(socketsOf(batch, 0), -outcome);
        continue;
      }
      batch.sentAt = performance.now();
      this.#sent.set(batch.id, batch);
    }
  }

  /** False when one was not taken, and may be later. */
  #sendPairs(): boolean {
    for (let pair = this.#pairs[0]; pair !== undefined; pair = this.#pairs[0]) {
      const record = new HandOffRecord(0);
      record.begin(pair.move, HandOffKind.movePair);
      const outcome = sendDescriptors(this.#socket, Int32Array.of(pair.end), 1, record.bytes);
      if (outcome < 0 && (OF_THE_WORKER.has(-outcome) || OF_THE_SYSTEM.has(-outcome))) return false;
      this.#pairs.shift();
      closeDescriptor(pair.end);
    }
    return true;
  }

  /** The kernel did not take it. False: it may, later. */
  #isUnsendable(batch: Batch, errno: number): boolean {
    if (OF_THE_WORKER.has(errno)) {
      batch.sentAt ||= performance.now();
      return false;
    }
    if (!OF_THE_SYSTEM.has(errno)) return true;
    if (!batch.isRefused) this.#hooks.refused(errno);
    batch.isRefused = true;
    return false;
  }

  #acknowledged(id: number, arrived: number): void {
    const batch = this.#sent.get(id);
    if (batch === undefined) return;
    this.#sent.delete(id);
    const { count } = batch.record;
    const seconds = (performance.now() - batch.sentAt) / 1000;
    this.#unacknowledged -= count;
    closeDescriptors(batch.fds, Math.min(arrived, count));
    const returned = arrived < count ? socketsOf(batch, arrived) : undefined;
    if (this.#spare.length < MAX_SPARE_BATCHES) this.#spare.push(batch);
    try {
      this.#hooks.acknowledged(Math.min(arrived, count), seconds);
    } finally {
      if (returned !== undefined) this.#hooks.returned(returned);
    }
  }
}

/** The sockets of a batch from an index on. */
function socketsOf({ record, fds }: Batch, from: number): AcceptedSocket[] {
  return Array.from({ length: record.count - from }, (_, offset) => {
    const index = from + offset;
    const at = record.addressOffset(index);
    return {
      fd: fds[index] ?? -1,
      number: record.connectionNumber(index),
      // A copy: the batch will be used again.
      address: Uint8Array.from(record.buffer.subarray(at, at + ADDRESS_BYTES)),
      flags: record.flags(index),
    };
  });
}
