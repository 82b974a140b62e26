import { ADDRESS_BYTES, MAX_DESCRIPTORS_PER_MESSAGE } from '@roost/poller';

/**
 * What travels with the descriptors of one hand-off message (a SOCK_SEQPACKET record, little endian):
 *
 *     u32  batch number      u16  count      u16  kind
 *     then for each descriptor, 32 bytes:
 *     f64  connection number   18 bytes  peer address and port   u8  flags   5 bytes  0
 *
 * and what the worker answers, before it reads the first byte of any of them: `u32 batch number, u16 arrived, u16 0`.
 * A record of the kind {@link HandOffKind}.movePair has no entries, and the number of the move for that of the batch; its one
 * descriptor is an end of the pair over which two workers talk. It is not answered.
 */
const HEADER_BYTES = 8;
const ENTRY_BYTES = 32;
const NUMBER_BYTES = 8;
const FLAGS_OFFSET = NUMBER_BYTES + ADDRESS_BYTES;

/** Sockets per message: small enough that a worker starts on the first while the master still accepts. */
export const MAX_BATCH = 64;
export const MAX_RECORD_BYTES = HEADER_BYTES + MAX_DESCRIPTORS_PER_MESSAGE * ENTRY_BYTES;
export const ACKNOWLEDGEMENT_BYTES = 8;

/** The socket is one of `reservedConnections`: serve HTTP, refuse upgrades with 503. */
export const FLAG_RESERVED = 1;
/** The socket's address has passed a limit: answer whatever it asks for with 429. */
export const FLAG_LIMITED = 2;
/** The master counts the socket against a limit of its address, and wants to know when it has ended. */
export const FLAG_COUNTED = 4;

/** What the descriptors of a record are. */
export const HandOffKind = { sockets: 0, movePair: 1 } as const;

/** Written and read through typed arrays: both ends are on one machine, and Linux runs Node only on little-endian ones. */
export class HandOffRecord {
  /** Room for a whole batch; {@link bytes} is the part in use. */
  readonly buffer: Buffer;
  readonly #batch: Uint32Array;
  readonly #count: Uint16Array;
  /** The whole record; the number of a socket is the first of its entry. */
  readonly #numbers: Float64Array;

  /** For at most so many sockets. */
  constructor(capacity: number = MAX_DESCRIPTORS_PER_MESSAGE) {
    const memory = new ArrayBuffer(HEADER_BYTES + capacity * ENTRY_BYTES);
    this.buffer = Buffer.from(memory);
    this.#batch = new Uint32Array(memory, 0, 1);
    this.#count = new Uint16Array(memory, 4, 2);
    this.#numbers = new Float64Array(memory);
  }

  get batch(): number {
    return this.#batch[0] ?? 0;
  }

  get count(): number {
    return this.#count[0] ?? 0;
  }

  /** See {@link HandOffKind}. */
  get kind(): number {
    return this.#count[1] ?? 0;
  }

  get bytes(): Buffer {
    return this.buffer.subarray(0, HEADER_BYTES + this.count * ENTRY_BYTES);
  }

  begin(batch: number, kind: number = HandOffKind.sockets): void {
    this.#batch[0] = batch;
    this.#count[0] = 0;
    this.#count[1] = kind;
  }

  /** Appends one socket; `address` is read from `addressOffset` on. */
  add(connectionNumber: number, address: Uint8Array, addressOffset: number, flags: number): void {
    const index = this.count;
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    this.#numbers[at / NUMBER_BYTES] = connectionNumber;
    this.buffer.set(address.subarray(addressOffset, addressOffset + ADDRESS_BYTES), at + NUMBER_BYTES);
    this.buffer[at + FLAGS_OFFSET] = flags;
    this.#count[0] = index + 1;
  }

  connectionNumber(index: number): number {
    return this.#numbers[(HEADER_BYTES + index * ENTRY_BYTES) / NUMBER_BYTES] ?? 0;
  }

  /** Where the address of a socket begins in {@link buffer}. */
  addressOffset(index: number): number {
    return HEADER_BYTES + index * ENTRY_BYTES + NUMBER_BYTES;
  }

  flags(index: number): number {
    return this.buffer[HEADER_BYTES + index * ENTRY_BYTES + FLAGS_OFFSET] ?? 0;
  }
}

/** Writes an acknowledgement into `target`. */
export function writeAcknowledgement(target: Buffer, batch: number, arrived: number): void {
  target.writeUInt32LE(batch, 0);
  target.writeUInt32LE(arrived, 4);
}
