import { crc32 } from 'node:zlib';
import { ownedCopy } from '@roost/broker';
import { ADDRESS_BYTES } from '@roost/poller';
import { EMPTY } from '../rows/empty.ts';
import { align, Memory, Names } from './record-parts.ts';

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
  #memory = new Memory(Buffer.allocUnsafeSlow(64 * 1024));
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
    const { chunks, inbound, openMessage, attachment, channels, positions } = row;
    let chunkBytes = 0;
    for (const [bytes] of chunks) chunkBytes += bytes.length;
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
    // Several times as fast as the methods of a Buffer, and less for V8 to compile: a move is over after some thousand rows.
    const { bytes: buffer, words } = this.#memory;
    const word = at >>> 2;
    words.fill(0, word, word + ROW_BYTES / 4);
    words[word] = length;
    buffer[at + 6] = row.state === 'open' ? 0 : 1;
    buffer[at + 7] = this.#apps.indexOf(row.app);
    this.#memory.doubles[(at >>> 3) + 1] = row.number;
    buffer.set(row.address, at + 16);
    this.#memory.halves[(at >>> 1) + 17] = row.flags;
    words[word + 9] = row.silentTicks;
    words[word + 10] = row.ticksLeft ?? NEVER;
    words[word + 11] = row.rateAheadMs;
    words[word + 12] = channels.length;
    words[word + 13] = chunks.length;
    words[word + 14] = chunkBytes;
    words[word + 15] = inbound.length;
    words[word + 16] = row.requiredBytes;
    words[word + 17] = openMessage.length;
    words[word + 18] = attachment.length;
    words[word + 19] = options.length;
    words[word + 20] = positions === undefined ? NOT_ASKED : positions[0];
    words[word + 21] = positions === undefined ? NOT_ASKED : positions[1];
    let next = word + ROW_BYTES / 4;
    for (const channel of channels) words[next++] = this.#channels.indexOf(channel);
    for (const [bytes, frames] of chunks) {
      words[next++] = bytes.length;
      words[next++] = frames;
    }
    let end = next * 4;
    for (const [bytes] of chunks) end = put(buffer, end, bytes);
    end = put(buffer, put(buffer, end, inbound), openMessage);
    end = put(buffer, put(buffer, end, attachment), options);
    while (end < at + length) buffer[end++] = 0;
    this.#rows++;
  }

  /** The record, in memory of its own. */
  finish(batch: number, frozenAtNs: bigint, capturedAtNs: bigint): Buffer {
    const channels = this.#channels.bytes();
    const apps = this.#apps.bytes();
    const total = HEADER_BYTES + channels.length + apps.length + this.#used;
    const record = Buffer.allocUnsafeSlow(total);
    record.fill(0, 0, HEADER_BYTES);
    put(
      record,
      put(record, put(record, HEADER_BYTES, channels), apps),
      this.#memory.bytes.subarray(0, this.#used),
    );
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
    const { bytes: buffer } = this.#memory;
    if (this.#used > buffer.length) {
      const larger = Buffer.allocUnsafeSlow(align(Math.max(2 * buffer.length, this.#used)));
      buffer.copy(larger, 0, 0, at);
      this.#memory = new Memory(larger);
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
  const isAligned = record.byteOffset % 8 === 0;
  // A copy begins at a multiple of 8.
  const memory = new Memory(isAligned ? record : ownedCopy(record));
  const cursor = { at: HEADER_BYTES };
  try {
    const channels = readNames(record, cursor, record.readUInt32LE(16), 2);
    const apps = readNames(record, cursor, record.readUInt32LE(20), 1);
    const count = record.readUInt32LE(12);
    const rows: (MoveRow | string)[] = [];
    let { at } = cursor;
    for (let index = 0; index < count; index++) {
      if (at + ROW_BYTES > record.length) throw new RangeError('out of bounds');
      const length = memory.words[at >>> 2] ?? 0;
      if (length < ROW_BYTES || length % 8 !== 0) return 'a row is too short, or not aligned';
      if (at + length > record.length) throw new RangeError('out of bounds');
      rows.push(readRow(memory, at, at + length, channels, apps));
      at += length;
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

/** The row from `at` to `end`. What most rows do not have costs them no object. */
function readRow(
  { bytes, words, halves, doubles }: Memory,
  at: number,
  end: number,
  channelNames: readonly string[],
  apps: readonly string[],
): MoveRow | string {
  const word = at >>> 2;
  const u32 = (index: number): number => words[word + index] ?? 0;
  const [subscriptions, chunkCount] = [u32(12), u32(13)];
  let next = at + ROW_BYTES;
  const take = (length: number): Buffer => {
    if (length === 0) return EMPTY;
    const start = next;
    next = start + length;
    if (next > end) throw new RangeError('out of bounds');
    return bytes.subarray(start, next);
  };
  if (next + 4 * subscriptions + 8 * chunkCount > end) throw new RangeError('out of bounds');
  const channels: string[] = [];
  for (let index = 0; index < subscriptions; index++) {
    channels.push(nameAt(channelNames, words[next >>> 2] ?? 0));
    next += 4;
  }
  const lengths = next >>> 2;
  next += 8 * chunkCount;
  const chunks: [Buffer, number][] = [];
  for (let index = 0; index < chunkCount; index++) {
    chunks.push([take(words[lengths + 2 * index] ?? 0), words[lengths + 2 * index + 1] ?? 0]);
  }
  const inbound = take(u32(15));
  const openMessage = take(u32(17));
  const attachment = take(u32(18));
  const options = u32(19) === 0 ? NO_OPTIONS : readOptions(take(u32(19)), channelNames);
  if (typeof options === 'string') return options;
  const ticksLeft = u32(10);
  const [sent, received] = [u32(20), u32(21)];
  return {
    state: STATES[bytes[at + 6] ?? 0] ?? 'open',
    app: nameAt(apps, bytes[at + 7] ?? 0),
    number: doubles[(at >>> 3) + 1] ?? 0,
    address: bytes.subarray(at + 16, at + 16 + ADDRESS_BYTES),
    flags: halves[(at >>> 1) + 17] ?? 0,
    silentTicks: u32(9),
    ticksLeft: ticksLeft === NEVER ? undefined : ticksLeft,
    rateAheadMs: u32(11),
    channels,
    chunks,
    inbound,
    requiredBytes: u32(16),
    openMessage,
    attachment,
    user: options.user,
    session: options.session,
    members: options.members,
    positions: sent === NOT_ASKED && received === NOT_ASKED ? undefined : [sent, received],
  };
}

type Options = Pick<MoveRow, 'user' | 'session' | 'members'>;

const NO_OPTIONS: Options = { user: undefined, session: undefined, members: [] };

function readOptions(options: Buffer, channels: readonly string[]): Options | string {
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

function readNames(record: Buffer, cursor: Cursor, count: number, lengthBytes: 1 | 2): string[] {
  const start = cursor.at;
  const names: string[] = [];
  for (let index = 0; index < count; index++) {
    let at = cursor.at + lengthBytes;
    const length = (record[at - lengthBytes] ?? 0) + (lengthBytes === 1 ? 0 : 256 * (record[at - 1] ?? 0));
    if (at + length > record.length) throw new RangeError('out of bounds');
    names.push(record.toString('utf8', at, (at += length)));
    cursor.at = at;
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

const NOTHING = new Uint8Array(0);
