import { crc32 } from 'node:zlib';
import { ADDRESS_BYTES } from '@roost/poller';

/**
 * What travels beside the sockets of one batch, little endian, parts aligned to 8 bytes:
 *
 *     header, 64 B    u32 magic 'RMV1'   u16 format   u16 oldest format whose readers may read it   u32 batch   u32 rows
 *                     u32 channels   u32 apps   u32 bytes of the record   u32 CRC-32 of all behind the header
 *                     u64 CLOCK_MONOTONIC ns when reading stopped   u64 when this was written   16 B 0
 *     channels        each u16 length, bytes; every name once a batch
 *     apps            each u8 length, name
 *     rows            each a fixed part of 96 B:
 *        0   u32 bytes of the row   u16 0   u8 state (0 open, 1 handshake)   u8 app
 *        8   f64 number   18 B address and port   u16 flags of the row
 *        36  u32 silent ticks   u32 ticks until it expires, 0xffffffff never   u32 ms until its message rate is full
 *        48  u32 subscriptions   u32 chunks   u32 bytes of them   u32 inbound bytes   u32 bytes required
 *        68  u32 bytes of the open message   u32 of the attachment   u32 of the options
 *        80  u32 position sent   u32 position received (0xffffffff twice: not asked)   8 B 0
 *      then  u32 channel × subscriptions, in their order; {u32 bytes, u32 frames} × chunks; their bytes; inbound bytes; open message;
 *            attachment (v8.serialize); options, each u16 tag, u16 length, bytes
 *
 * A reader takes no notice of an option with an even tag that it does not know, and refuses the row for an odd one.
 */
export interface MoveRow {
  /** An open connection, or one whose request head has not wholly come. */
  readonly state: 'open' | 'handshake';
  readonly app: string;
  readonly number: number;
  /** ADDRESS_BYTES. */
  readonly address: Uint8Array;
  readonly flags: number;
  readonly silentTicks: number;
  /** Undefined: it does not expire. */
  readonly ticksLeft: number | undefined;
  readonly rateAheadMs: number;
  /** In the order in which they were subscribed. */
  readonly channels: readonly string[];
  /** What waits to be sent, each with its number of frames. */
  readonly chunks: readonly (readonly [bytes: Uint8Array, frames: number])[];
  readonly inbound: Uint8Array;
  readonly requiredBytes: number;
  readonly openMessage: Uint8Array;
  /** As v8.serialize made it; empty for undefined. */
  readonly attachment: Uint8Array;
  readonly user: string | undefined;
  readonly session: Uint8Array | undefined;
  readonly members: readonly (readonly [channel: string, user: string])[];
  /** Of the stream, modulo 2^32; undefined when they were not asked for. */
  readonly positions: readonly [sent: number, received: number] | undefined;
}

export interface MoveRecord {
  readonly batch: number;
  readonly frozenAtNs: bigint;
  readonly capturedAtNs: bigint;
  /** A sentence in place of a row that cannot be taken. */
  readonly rows: readonly (MoveRow | string)[];
}

const MAGIC = 0x31_56_4d_52;
/** What is written here, and the oldest that is read. */
export const RECORD_FORMATS = { written: 1, oldest: 1 } as const;
const HEADER_BYTES = 64;
const ROW_BYTES = 96;
const NEVER = 0xffff_ffff;
const NOT_ASKED = 0xffff_ffff;
const Tag = { user: 1, session: 3, member: 5 } as const;
const STATES = ['open', 'handshake'] as const;

/** Writes a record row by row. Used again for every batch. */
export class MoveRecordWriter {
  readonly #channels = new Names(2);
  readonly #apps = new Names(1);
  #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #used = 0;
  #rows = 0;

  begin(): void {
    this.#channels.clear();
    this.#apps.clear();
    this.#used = 0;
    this.#rows = 0;
  }

  /** Bytes of the rows so far. */
  get bytes(): number {
    return this.#used;
  }

  add(row: MoveRow): void {
    const { chunks, inbound, openMessage, attachment, channels } = row;
    const chunkBytes = chunks.reduce((sum, [bytes]) => sum + bytes.length, 0);
    const options = this.#optionsOf(row);
    const length = align(
      ROW_BYTES +
        4 * channels.length +
        8 * chunks.length +
        chunkBytes +
        inbound.length +
        openMessage.length +
        attachment.length +
        options.length,
    );
    const at = this.#reserve(length);
    const buffer = this.#buffer;
    buffer.fill(0, at, at + ROW_BYTES);
    buffer.writeUInt32LE(length, at);
    buffer[at + 6] = STATES.indexOf(row.state);
    buffer[at + 7] = this.#apps.indexOf(row.app);
    buffer.writeDoubleLE(row.number, at + 8);
    buffer.set(row.address, at + 16);
    buffer.writeUInt16LE(row.flags, at + 34);
    const { ticksLeft = NEVER, positions = [NOT_ASKED, NOT_ASKED] } = row;
    let field = at + 36;
    for (const value of [
      row.silentTicks,
      ticksLeft,
      row.rateAheadMs,
      channels.length,
      chunks.length,
      chunkBytes,
      inbound.length,
      row.requiredBytes,
      openMessage.length,
      attachment.length,
      options.length,
      ...positions,
    ]) {
      field = buffer.writeUInt32LE(value >>> 0, field);
    }
    let end = at + ROW_BYTES;
    for (const channel of channels) end = buffer.writeUInt32LE(this.#channels.indexOf(channel), end);
    for (const [bytes, frames] of chunks) {
      end = buffer.writeUInt32LE(frames, buffer.writeUInt32LE(bytes.length, end));
    }
    for (const [bytes] of chunks) end = put(buffer, end, bytes);
    for (const bytes of [inbound, openMessage, attachment, options]) end = put(buffer, end, bytes);
    buffer.fill(0, end, at + length);
    this.#rows++;
  }

  /** The record, in memory of its own. */
  finish(batch: number, frozenAtNs: bigint, capturedAtNs: bigint): Buffer {
    const channels = this.#channels.bytes();
    const apps = this.#apps.bytes();
    const total = HEADER_BYTES + channels.length + apps.length + this.#used;
    const record = Buffer.allocUnsafeSlow(total);
    record.fill(0, 0, HEADER_BYTES);
    put(record, put(record, put(record, HEADER_BYTES, channels), apps), this.#buffer.subarray(0, this.#used));
    record.writeUInt32LE(MAGIC, 0);
    record.writeUInt16LE(RECORD_FORMATS.written, 4);
    record.writeUInt16LE(RECORD_FORMATS.oldest, 6);
    const counts = [batch, this.#rows, this.#channels.count, this.#apps.count, total];
    for (const [index, value] of counts.entries()) record.writeUInt32LE(value, 8 + 4 * index);
    record.writeUInt32LE(crc32(record.subarray(HEADER_BYTES)), 28);
    record.writeBigUInt64LE(frozenAtNs, 32);
    record.writeBigUInt64LE(capturedAtNs, 40);
    return record;
  }

  #optionsOf({ user, session, members }: MoveRow): Uint8Array {
    if (user === undefined && session === undefined && members.length === 0) return NOTHING;
    const options: Uint8Array[] = [];
    if (user !== undefined) options.push(option(Tag.user, Buffer.from(user)));
    if (session !== undefined) options.push(option(Tag.session, session));
    for (const [channel, name] of members) {
      const index = Buffer.alloc(4);
      index.writeUInt32LE(this.#channels.indexOf(channel));
      options.push(option(Tag.member, Buffer.concat([index, Buffer.from(name)])));
    }
    return Buffer.concat(options);
  }

  #reserve(bytes: number): number {
    const at = this.#used;
    this.#used += bytes;
    if (this.#used > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(2 * this.#buffer.length, this.#used));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer = larger;
    }
    return at;
  }
}

/** Reads a record. A sentence when it is none, or of a format that is not read here. The rows are views of its bytes. */
export function readMoveRecord(record: Buffer): MoveRecord | string {
  if (record.length < HEADER_BYTES || record.readUInt32LE(0) !== MAGIC) return 'it is no record of a move';
  const oldest = record.readUInt16LE(6);
  if (oldest > RECORD_FORMATS.written || record.readUInt16LE(4) < RECORD_FORMATS.oldest) {
    return `its format is ${record.readUInt16LE(4)}, ${RECORD_FORMATS.oldest} to ${RECORD_FORMATS.written} are read here`;
  }
  if (record.readUInt32LE(24) !== record.length) return 'it is not complete';
  if (record.readUInt32LE(28) !== crc32(record.subarray(HEADER_BYTES))) return 'its checksum is wrong';
  const cursor = { at: HEADER_BYTES };
  try {
    const channels = readNames(record, cursor, record.readUInt32LE(16), 2);
    const apps = readNames(record, cursor, record.readUInt32LE(20), 1);
    const rows: (MoveRow | string)[] = [];
    for (let index = record.readUInt32LE(12); index > 0; index--) {
      const length = record.readUInt32LE(cursor.at);
      if (length < ROW_BYTES) return 'a row is too short';
      rows.push(readRow(slice(record, cursor, length), channels, apps));
    }
    return {
      batch: record.readUInt32LE(8),
      frozenAtNs: record.readBigUInt64LE(32),
      capturedAtNs: record.readBigUInt64LE(40),
      rows,
    };
  } catch (error) {
    if (error instanceof RangeError) return 'it ends in the middle of something';
    throw error;
  }
}

function readRow(row: Buffer, channelNames: readonly string[], apps: readonly string[]): MoveRow | string {
  const u32 = (at: number): number => row.readUInt32LE(at);
  const [subscriptions, chunkCount] = [u32(48), u32(52)];
  const cursor = { at: ROW_BYTES };
  const channels: string[] = [];
  for (let index = 0; index < subscriptions; index++) {
    channels.push(nameAt(channelNames, slice(row, cursor, 4).readUInt32LE()));
  }
  const lengths: [number, number][] = [];
  for (let index = 0; index < chunkCount; index++) {
    const chunk = slice(row, cursor, 8);
    lengths.push([chunk.readUInt32LE(0), chunk.readUInt32LE(4)]);
  }
  const chunks = lengths.map(([bytes, frames]) => [slice(row, cursor, bytes), frames] as const);
  const inbound = slice(row, cursor, u32(60));
  const openMessage = slice(row, cursor, u32(68));
  const attachment = slice(row, cursor, u32(72));
  const options = readOptions(slice(row, cursor, u32(76)), channelNames);
  if (typeof options === 'string') return options;
  const ticksLeft = u32(40);
  return {
    state: STATES[row[6] ?? 0] ?? 'open',
    app: nameAt(apps, row[7] ?? 0),
    number: row.readDoubleLE(8),
    address: row.subarray(16, 16 + ADDRESS_BYTES),
    flags: row.readUInt16LE(34),
    silentTicks: u32(36),
    ticksLeft: ticksLeft === NEVER ? undefined : ticksLeft,
    rateAheadMs: u32(44),
    channels,
    chunks,
    inbound,
    requiredBytes: u32(64),
    openMessage,
    attachment,
    ...options,
    positions: u32(80) === NOT_ASKED && u32(84) === NOT_ASKED ? undefined : [u32(80), u32(84)],
  };
}

function readOptions(
  options: Buffer,
  channels: readonly string[],
): Pick<MoveRow, 'user' | 'session' | 'members'> | string {
  const cursor = { at: 0 };
  let user: string | undefined;
  let session: Uint8Array | undefined;
  const members: [string, string][] = [];
  while (cursor.at < options.length) {
    const head = slice(options, cursor, 4);
    const tag = head.readUInt16LE(0);
    const value = slice(options, cursor, head.readUInt16LE(2));
    if (tag === Tag.user) user = value.toString();
    else if (tag === Tag.session) session = value;
    else if (tag === Tag.member)
      members.push([nameAt(channels, value.readUInt32LE(0)), value.toString('utf8', 4)]);
    else if (tag % 2 === 1) return `it has an option ${tag}, which is not known here`;
  }
  return { user, session, members };
}

/** Names of which each is written once. */
class Names {
  readonly #lengthBytes: 1 | 2;
  readonly #indexes = new Map<string, number>();

  constructor(lengthBytes: 1 | 2) {
    this.#lengthBytes = lengthBytes;
  }

  get count(): number {
    return this.#indexes.size;
  }

  clear(): void {
    this.#indexes.clear();
  }

  indexOf(name: string): number {
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    const index = this.#indexes.size;
    this.#indexes.set(name, index);
    return index;
  }

  bytes(): Buffer {
    const parts: Buffer[] = [];
    let total = 0;
    for (const name of this.#indexes.keys()) {
      const part = Buffer.allocUnsafe(this.#lengthBytes + Buffer.byteLength(name));
      part.writeUIntLE(part.length - this.#lengthBytes, 0, this.#lengthBytes);
      part.write(name, this.#lengthBytes);
      parts.push(part);
      total += part.length;
    }
    return Buffer.concat([...parts, Buffer.alloc(align(total) - total)]);
  }
}

function readNames(record: Buffer, cursor: Cursor, count: number, lengthBytes: 1 | 2): string[] {
  const start = cursor.at;
  const names: string[] = [];
  for (let index = 0; index < count; index++) {
    const length = slice(record, cursor, lengthBytes).readUIntLE(0, lengthBytes);
    names.push(slice(record, cursor, length).toString());
  }
  cursor.at = start + align(cursor.at - start);
  return names;
}

interface Cursor {
  at: number;
}

function slice(bytes: Buffer, cursor: Cursor, length: number): Buffer {
  const start = cursor.at;
  if (start + length > bytes.length) throw new RangeError('out of bounds');
  cursor.at = start + length;
  return bytes.subarray(start, start + length);
}

function nameAt(names: readonly string[], index: number): string {
  const name = names[index];
  if (name === undefined) throw new RangeError('out of bounds');
  return name;
}

function option(tag: number, value: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(tag, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, value]);
}

function put(target: Buffer, at: number, bytes: Uint8Array): number {
  if (bytes.length > 0) target.set(bytes, at);
  return at + bytes.length;
}

function align(bytes: number): number {
  return (bytes + 7) & ~7;
}

const NOTHING = new Uint8Array(0);
