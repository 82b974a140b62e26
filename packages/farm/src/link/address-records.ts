/**
 * What a worker reports of the addresses of its sockets, in the order of events; 9 bytes each, little endian:
 *
 *     u8  what happened      u32  high word of the key      u32  low word
 *
 * (with a batch of a move: for each of its connections that counts, what will be noted at its end),
 * and what the master reports of the rest of the farm; 16 bytes each:
 *
 *     u32  high word   u32  low word   u32  connections of the address elsewhere   u32  arrivals there since the last
 */
export const NOTE_BYTES = 9;
export const SHARE_BYTES = 16;

/** What a worker notes of an address. */
export const AddressNote = {
  /** A socket that the master counted has ended. */
  peerEnded: 0,
  /** A client behind a trusted proxy was let in. */
  clientCame: 1,
  /** It has ended. */
  clientEnded: 2,
} as const;

export type AddressNoteKind = (typeof AddressNote)[keyof typeof AddressNote];

const MAX_KEPT_BYTES = 64 * 1024;

/** A growing list of records for one message; {@link bytes} are valid until it is cleared. */
export class AddressRecords {
  readonly #recordBytes: number;
  #buffer: Buffer;
  #used = 0;

  constructor(recordBytes: number, expected = 64) {
    this.#recordBytes = recordBytes;
    this.#buffer = Buffer.allocUnsafeSlow(recordBytes * expected);
  }

  get count(): number {
    return this.#used / this.#recordBytes;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#used);
  }

  addNote(kind: AddressNoteKind, high: number, low: number): void {
    const at = this.#grow();
    this.#buffer[at] = kind;
    this.#buffer.writeUInt32LE(high, at + 1);
    this.#buffer.writeUInt32LE(low, at + 5);
  }

  addShare(high: number, low: number, elsewhere: number, arrivals: number): void {
    const at = this.#grow();
    this.#buffer.writeUInt32LE(high, at);
    this.#buffer.writeUInt32LE(low, at + 4);
    this.#buffer.writeUInt32LE(elsewhere, at + 8);
    this.#buffer.writeUInt32LE(arrivals, at + 12);
  }

  clear(): void {
    this.#used = 0;
    // What a storm needed is not kept.
    if (this.#buffer.length > MAX_KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(MAX_KEPT_BYTES);
  }

  #grow(): number {
    const at = this.#used;
    this.#used += this.#recordBytes;
    if (this.#used > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(this.#buffer.length * 2);
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    return at;
  }
}

/** Calls `onNote` for each record of a worker's message. */
export function readNotes(payload: Buffer, onNote: (kind: number, high: number, low: number) => void): void {
  for (let at = 0; at + NOTE_BYTES <= payload.length; at += NOTE_BYTES) {
    onNote(payload[at] ?? 0, payload.readUInt32LE(at + 1), payload.readUInt32LE(at + 5));
  }
}

/** Calls `onShare` for each record of the master's message. */
export function readShares(
  payload: Buffer,
  onShare: (high: number, low: number, elsewhere: number, arrivals: number) => void,
): void {
  for (let at = 0; at + SHARE_BYTES <= payload.length; at += SHARE_BYTES) {
    onShare(
      payload.readUInt32LE(at),
      payload.readUInt32LE(at + 4),
      payload.readUInt32LE(at + 8),
      payload.readUInt32LE(at + 12),
    );
  }
}
