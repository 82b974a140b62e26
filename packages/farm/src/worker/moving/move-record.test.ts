import { crc32 } from 'node:zlib';
import { seededRandom, testSeed } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { MoveRecordWriter, readMoveRecord, type MoveRow } from './move-record.ts';

const BARE: MoveRow = {
  state: 'open',
  app: 'app',
  number: 7,
  address: Uint8Array.from({ length: 18 }, (_, index) => index),
  flags: 0x1001,
  silentTicks: 5,
  ticksLeft: undefined,
  rateAheadMs: 0,
  channels: [],
  chunks: [],
  inbound: Buffer.alloc(0),
  requiredBytes: 0,
  openMessage: Buffer.alloc(0),
  attachment: Buffer.alloc(0),
  user: undefined,
  session: undefined,
  members: [],
  positions: undefined,
};

function written(...rows: readonly MoveRow[]): Buffer {
  const writer = new MoveRecordWriter();
  writer.begin();
  for (const row of rows) writer.add(row);
  return writer.finish(3, 1000n, 2000n);
}

/** The record after a change, with a checksum that is right again. */
function changed(record: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(record);
  change(copy);
  copy.writeUInt32LE(crc32(copy.subarray(64)), 28);
  return copy;
}

function rowsOf(record: Buffer): readonly (MoveRow | string)[] {
  const read = readMoveRecord(record);
  if (typeof read === 'string') throw new Error(read);
  return read.rows;
}

/** Bytes of any kind as Buffers. */
function plain(row: MoveRow | string | undefined): unknown {
  if (typeof row !== 'object') return row;
  const { address, inbound, openMessage, attachment, session, chunks } = row;
  return {
    ...row,
    address: Buffer.from(address),
    inbound: Buffer.from(inbound),
    openMessage: Buffer.from(openMessage),
    attachment: Buffer.from(attachment),
    session: session === undefined ? undefined : Buffer.from(session),
    chunks: chunks.map(([bytes, frames]) => [Buffer.from(bytes), frames]),
  };
}

describe('the record of a batch', () => {
  it('has these bytes', () => {
    const row = {
      ...BARE,
      channels: ['news'],
      inbound: Buffer.from('in'),
      requiredBytes: 9,
      user: 'ada',
      ticksLeft: 600,
    };
    expect(
      written(row)
        .toString('hex')
        .match(/.{1,32}/g),
    ).toEqual([
      // Header.
      '524d5631010001000300000001000000',
      '0100000001000000c00000007d96791f',
      'e803000000000000d007000000000000',
      '00000000000000000000000000000000',
      // Channels and apps.
      '04006e65777300000361707000000000',
      // The row.
      '70000000000000000000000000001c40',
      '000102030405060708090a0b0c0d0e0f',
      '10110110050000005802000000000000',
      '01000000000000000000000002000000',
      '09000000000000000000000007000000',
      'ffffffffffffffff0000000000000000',
      '00000000696e01000300616461000000',
    ]);
  });

  it('is read as it was written, whatever is in it', () => {
    const random = seededRandom(testSeed(1));
    const bytes = (most: number): Buffer =>
      Buffer.from(Array.from({ length: random(most) }, () => random(256)));
    for (let round = 0; round < 200; round++) {
      const rows = Array.from({ length: 1 + random(5) }, (): MoveRow => {
        const channels = Array.from({ length: random(4) }, () => `channel ${random(6)} é`);
        const session = bytes(40);
        return {
          ...BARE,
          state: random(4) === 0 ? 'handshake' : 'open',
          app: `app ${random(3)}`,
          number: random(2 ** 30) * 4096,
          address: Uint8Array.from({ length: 18 }, () => random(256)),
          flags: random(65_536),
          silentTicks: random(10_000),
          ticksLeft: random(2) === 0 ? undefined : random(1_000_000),
          rateAheadMs: random(5000),
          channels,
          chunks: Array.from({ length: random(3) }, () => [bytes(50), random(9)] as const),
          inbound: bytes(30),
          requiredBytes: random(1000),
          openMessage: bytes(30),
          attachment: bytes(60),
          user: random(2) === 0 ? undefined : `user ${random(9)} ü`,
          session: session.length === 0 ? undefined : session,
          members: channels.map((channel) => [channel, `member ${random(9)}`] as const),
          positions: random(2) === 0 ? undefined : [random(2 ** 31), random(2 ** 31)],
        };
      });
      const record = written(...rows);
      expect(readMoveRecord(record)).toMatchObject({ batch: 3, frozenAtNs: 1000n, capturedAtNs: 2000n });
      expect(rowsOf(record).map(plain)).toEqual(rows.map(plain));
    }
  });

  it('is read wherever in memory it begins', () => {
    const row = { ...BARE, number: 2 ** 40, channels: ['news'], inbound: Buffer.from('in'), user: 'ada' };
    const record = written(row, BARE);
    for (let shift = 1; shift < 8; shift++) {
      const shifted = Buffer.concat([Buffer.alloc(shift), record]).subarray(shift);
      expect(rowsOf(shifted).map(plain)).toEqual([row, BARE].map(plain));
    }
  });

  it('is refused when it is cut, changed, or nothing of the kind', () => {
    const record = written(BARE, { ...BARE, channels: ['a', 'b'] });
    expect(readMoveRecord(Buffer.from('nonsense'))).toBe('it is no record of a move');
    for (let length = 64; length < record.length; length += 8) {
      expect(readMoveRecord(record.subarray(0, length))).toBe('it is not complete');
    }
    for (let at = 64; at < record.length; at++) {
      const broken = Buffer.from(record);
      broken[at] = (broken[at] ?? 0) ^ 1;
      expect(readMoveRecord(broken)).toBe('its checksum is wrong');
    }
  });

  it('is never read beyond its end, whatever its lengths say', () => {
    const record = written({ ...BARE, channels: ['a'], user: 'ada', inbound: Buffer.from('abc') });
    for (let at = 64; at + 4 <= record.length; at++) {
      const broken = changed(record, (bytes) => bytes.writeUInt32LE(0x7fff_fff0, at));
      const read = readMoveRecord(broken);
      if (typeof read === 'string') expect(read).toMatch(/too short|in the middle/);
      else expect(read.rows).toHaveLength(1);
    }
  });

  it('may be of a later format, if that says that it can be read here', () => {
    const record = written(BARE);
    expect(rowsOf(changed(record, (bytes) => bytes.writeUInt16LE(9, 4)))).toHaveLength(1);
    const later = changed(record, (bytes) => bytes.writeUInt16LE(9, 4) && bytes.writeUInt16LE(9, 6));
    expect(readMoveRecord(later)).toBe('its format is 9, 1 to 1 are read here');
  });

  it('may have options that are not known here: rows with an odd one are refused, even ones are passed over', () => {
    const record = written({ ...BARE, user: 'ada' }, BARE);
    const at = record.indexOf(Buffer.from([1, 0, 3, 0, 0x61, 0x64, 0x61]));
    expect(at).toBeGreaterThan(0);
    const [even] = rowsOf(changed(record, (bytes) => bytes.writeUInt16LE(100, at)));
    expect(even).toMatchObject({ number: 7, user: undefined });
    const odd = rowsOf(changed(record, (bytes) => bytes.writeUInt16LE(101, at)));
    expect(odd[0]).toBe('it has an option 101, which is not known here');
    expect(odd[1]).toMatchObject({ number: 7 });
  });
});
