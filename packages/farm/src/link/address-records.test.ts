import { describe, expect, it } from 'vitest';
import {
  AddressNote,
  AddressRecords,
  NOTE_BYTES,
  readNotes,
  readShares,
  SHARE_BYTES,
} from './address-records.ts';

describe('notes of a worker', () => {
  it('are 9 bytes each', () => {
    const records = new AddressRecords(NOTE_BYTES);
    records.addNote(AddressNote.clientCame, 0xffff_ffff, 0xc000_0201);
    records.addNote(AddressNote.peerEnded, 0x2001_0db8, 1);
    expect(records.bytes.toString('hex')).toBe('01ffffffff010200c000b80d012001000000');
    const read: number[][] = [];
    readNotes(records.bytes, (...note) => read.push(note));
    expect(read).toEqual([
      [1, 0xffff_ffff, 0xc000_0201],
      [0, 0x2001_0db8, 1],
    ]);
  });
});

describe('what the master tells', () => {
  it('is 16 bytes an address', () => {
    const records = new AddressRecords(SHARE_BYTES);
    records.addShare(0xffff_ffff, 0x7f00_0001, 3, 0x1_0000);
    expect(records.bytes.toString('hex')).toBe('ffffffff0100007f0300000000000100');
    const read: number[][] = [];
    readShares(records.bytes, (...share) => read.push(share));
    expect(read).toEqual([[0xffff_ffff, 0x7f00_0001, 3, 0x1_0000]]);
  });
});

describe('a list of records', () => {
  it('grows, and begins anew when it is cleared', () => {
    const records = new AddressRecords(SHARE_BYTES, 2);
    for (let low = 0; low < 10_000; low++) records.addShare(1, low, 0, 0);
    expect(records.count).toBe(10_000);
    let next = 0;
    readShares(records.bytes, (_high, low) => expect(low).toBe(next++));
    expect(next).toBe(10_000);
    records.clear();
    expect([records.count, records.bytes.length]).toEqual([0, 0]);
    records.addShare(1, 2, 3, 4);
    expect(records.count).toBe(1);
  });
});
