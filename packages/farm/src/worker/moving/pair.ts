import { constants } from 'node:os';
import {
  closeDescriptor,
  closeDescriptors,
  duplicateDescriptor,
  Interest,
  makeSealedFile,
  MAX_DESCRIPTORS_PER_MESSAGE,
  readSealedFile,
  receiveDescriptors,
  sealedFileBytes,
  sendDescriptors,
  type ReceivedRecord,
} from '@roost/poller';
import type { PollEvents } from '../sockets/poll-events.ts';

/**
 * What the two workers of a move say to each other, over a pair of SOCK_SEQPACKET sockets: 16 bytes, `u32 type, u32 batch, u32
 * value, u32 has a payload`, little endian; perhaps a sealed file as first descriptor, the payload; perhaps sockets behind it.
 */
export const PairMessage = {
  /** Of the target, first. */
  hello: 1,
  plan: 2,
  held: 3,
  refused: 4,
  batch: 5,
  /** `value`: sockets that have arrived. */
  taken: 6,
  tail: 7,
  drop: 8,
  leave: 9,
  left: 10,
  /** Of the target: how many it has taken over in each channel of `counted` of the plan. */
  counted: 11,
} as const;

const MESSAGE_BYTES = 16;
const RETRY_MS = 2;
const { EAGAIN, ENOBUFS, ENOMEM, ECONNRESET, EMFILE, ENFILE } = constants.errno;
/** Too many sockets are on their way; os.constants has no name for it. */
const ETOOMANYREFS = 109;
const FOR_LATER = new Set([-EAGAIN, -ENOBUFS, -ENOMEM, -ETOOMANYREFS, -EMFILE, -ENFILE]);
const NO_SOCKETS = new Int32Array(0);

export interface ReceivedMessage {
  readonly type: number;
  readonly batch: number;
  readonly value: number;
  /** Undefined also when it could not be received or read. */
  readonly payload: Buffer | undefined;
  /** The receiver's. */
  readonly sockets: Int32Array;
}

export interface PairHandlers {
  pairOnMessage(message: ReceivedMessage): void;
  /** Everything that the other side has said was received, and its process is gone. Called once. */
  pairOnDrained(): void;
}

interface Outgoing {
  readonly head: Buffer;
  readonly payload: Buffer | undefined;
  readonly sockets: Int32Array;
  readonly done: (isSent: boolean) => void;
}

/**
 * One end of the pair of a move. A worker that has no descriptors left loses those that come with a message (MSG_CTRUNC). It may lose
 * sockets, and says how many have come; but no payload, whether it receives or sends one: a place is kept for it.
 */
export class Pair {
  readonly #fd: number;
  /** What keeps the place; −1 while there is none. */
  #spare = -1;
  readonly #events: PollEvents;
  readonly #id: number;
  #handlers!: PairHandlers;
  readonly #record = Buffer.alloc(MESSAGE_BYTES);
  readonly #fds = new Int32Array(MAX_DESCRIPTORS_PER_MESSAGE);
  readonly #received: ReceivedRecord = { bytes: 0, count: 0, truncated: false };
  readonly #waiting: Outgoing[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  #isDrained = false;

  /** Takes the descriptor over. */
  constructor(fd: number, events: PollEvents) {
    this.#fd = fd;
    this.#keepPlace();
    this.#events = events;
    this.#id = events.listen(() => this.#receive());
  }

  connect(handlers: PairHandlers): void {
    this.#handlers = handlers;
    this.#events.poller.watchDescriptor(this.#fd, this.#id, Interest.readable);
  }

  /**
   * Says something: `done` is told, mostly before this returns, whether it has its place in the other side's queue, which its death
   * alone can prevent. The sockets stay ours.
   */
  send(
    type: number,
    batch: number,
    value = 0,
    payload?: Buffer,
    sockets: Int32Array = NO_SOCKETS,
    done: (isSent: boolean) => void = () => undefined,
  ): void {
    const head = Buffer.alloc(MESSAGE_BYTES);
    for (const [index, field] of [type, batch, value, payload === undefined ? 0 : 1].entries()) {
      head.writeUInt32LE(field, 4 * index);
    }
    this.#waiting.push({ head, payload, sockets, done });
    if (this.#waiting.length === 1) this.#flush();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#events.poller.unwatchDescriptor(this.#fd);
    this.#events.forget(this.#id);
    this.#givePlace();
    closeDescriptor(this.#fd);
    for (const { done } of this.#waiting.splice(0)) done(false);
  }

  #flush(): void {
    for (let next = this.#waiting[0]; next !== undefined && !this.#isClosed; next = this.#waiting[0]) {
      const outcome = this.#send(next);
      if (FOR_LATER.has(outcome)) {
        this.#timer = setTimeout(() => this.#flush(), RETRY_MS);
        return;
      }
      this.#waiting.shift();
      next.done(outcome === 0);
    }
  }

  #send({ head, payload, sockets }: Outgoing): number {
    if (payload === undefined) return sendDescriptors(this.#fd, sockets, sockets.length, head);
    this.#givePlace();
    const file = makeSealedFile(payload);
    if (file < 0) return file;
    const fds = new Int32Array(1 + sockets.length);
    fds[0] = file;
    fds.set(sockets, 1);
    const outcome = sendDescriptors(this.#fd, fds, fds.length, head);
    closeDescriptor(file);
    this.#keepPlace();
    return outcome;
  }

  #receive(): void {
    // One message may end the move.
    while (!this.#isClosed) {
      this.#givePlace();
      const received = receiveDescriptors(this.#fd, this.#fds, this.#record, this.#received);
      if (received.bytes <= 0) this.#keepPlace();
      if (received.bytes === -EAGAIN) return;
      // A side that died with something unread is reported before what it has said itself (unix(7)).
      if (received.bytes === -ECONNRESET) continue;
      if (received.bytes <= 0) {
        this.#events.poller.unwatchDescriptor(this.#fd);
        if (!this.#isDrained) {
          this.#isDrained = true;
          this.#handlers.pairOnDrained();
        }
        return;
      }
      const message = this.#read(received);
      // The payload has been read and closed, so that there is one.
      this.#keepPlace();
      this.#handlers.pairOnMessage(message);
    }
  }

  #keepPlace(): void {
    if (this.#spare < 0) this.#spare = duplicateDescriptor(this.#fd);
  }

  #givePlace(): void {
    if (this.#spare >= 0) closeDescriptor(this.#spare);
    this.#spare = -1;
  }

  #read({ bytes, count }: ReceivedRecord): ReceivedMessage {
    const field = (index: number): number =>
      bytes === MESSAGE_BYTES ? this.#record.readUInt32LE(4 * index) : 0;
    const message = { type: field(0), batch: field(1), value: field(2) };
    const fds = this.#fds.slice(0, count);
    if (field(3) === 0) return { ...message, payload: undefined, sockets: fds };
    if (count === 0) return { ...message, payload: undefined, sockets: NO_SOCKETS };
    const payload = readPayload(fds[0] ?? -1);
    closeDescriptors(fds, 1);
    return { ...message, payload, sockets: fds.slice(1) };
  }
}

/** A payload is as large as what one connection may have, and a batch beside it; of more than 2 GiB no length is told. */
function readPayload(file: number): Buffer | undefined {
  const length = sealedFileBytes(file);
  if (length < 0) return undefined;
  const payload = Buffer.allocUnsafeSlow(length);
  return readSealedFile(file, payload) === length ? payload : undefined;
}
