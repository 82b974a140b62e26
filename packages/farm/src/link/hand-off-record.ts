import { ADDRESS_BYTES, MAX_DESCRIPTORS_PER_MESSAGE } from '@roost/poller';

/**
 * What travels with the descriptors of one hand-off message (a SOCK_SEQPACKET record, little endian):
 *
 *     u32  batch number      u16  count      u16  0
 *     then for each descriptor, 32 bytes:
 *     f64  connection number   18 bytes  peer address and port   u8  flags   5 bytes  0
 *
 * and what the worker answers, before it reads the first byte of any of them: `u32 batch number, u16 arrived, u16 0`.
 */
const HEADER_BYTES = 8;
const ENTRY_BYTES = 32;
const FLAGS_OFFSET = 8 + ADDRESS_BYTES;

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

export class HandOffRecord {
  /** Room for a whole batch; {@link bytes} is the part in use. */
  readonly buffer: Buffer;

  constructor(buffer: Buffer = Buffer.alloc(MAX_RECORD_BYTES)) {
    this.buffer = buffer;
  }

  get batch(): number {
    return this.buffer.readUInt32LE(0);
  }

  get count(): number {
    return this.buffer.readUInt16LE(4);
  }

  get bytes(): Buffer {
    return this.buffer.subarray(0, HEADER_BYTES + this.count * ENTRY_BYTES);
  }

  begin(batch: number): void {
    this.buffer.writeUInt32LE(batch, 0);
    this.buffer.writeUInt32LE(0, 4);
  }

  /** Appends one socket; `address` is read from `addressOffset` on. */
  add(connectionNumber: number, address: Uint8Array, addressOffset: number, flags: number): void {
    const index = this.count;
    const at = HEADER_BYTES + index * ENTRY_BYTES;
    this.buffer.writeDoubleLE(connectionNumber, at);
    this.buffer.set(address.subarray(addressOffset, addressOffset + ADDRESS_BYTES), at + 8);
    this.buffer[at + FLAGS_OFFSET] = flags;
    this.buffer.writeUInt16LE(index + 1, 4);
  }

  connectionNumber(index: number): number {
    return this.buffer.readDoubleLE(HEADER_BYTES + index * ENTRY_BYTES);
  }

  /** Where the address of a socket begins in {@link buffer}. */
  addressOffset(index: number): number {
    return HEADER_BYTES + index * ENTRY_BYTES + 8;
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
