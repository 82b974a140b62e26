import { describe, expect, it } from 'vitest';
import {
  ACKNOWLEDGEMENT_BYTES,
  FLAG_RESERVED,
  HandOffRecord,
  MAX_RECORD_BYTES,
  writeAcknowledgement,
} from './hand-off-record.ts';

const ADDRESS = Buffer.from('00000000000000000000ffff7f0000011f90', 'hex');

describe('a hand-off record', () => {
  it('is a batch number, a count, and 32 bytes for each socket', () => {
    const record = new HandOffRecord();
    record.begin(0x01020304);
    record.add(1, ADDRESS, 0, 0);
    record.add(2 ** 33, Buffer.concat([Buffer.from('ffff', 'hex'), ADDRESS]), 2, FLAG_RESERVED);
    expect(record.bytes.toString('hex')).toBe(
      [
        '0403020102000000',
        `000000000000f03f${ADDRESS.toString('hex')}000000000000`,
        `0000000000000042${ADDRESS.toString('hex')}010000000000`,
      ].join(''),
    );
  });

  it('is read by the other side as it was written', () => {
    const sent = new HandOffRecord();
    sent.begin(7);
    for (let index = 0; index < 253; index++) {
      const address = Buffer.alloc(18, index);
      sent.add(1_000_000 + index, address, 0, index % 2);
    }
    expect(sent.bytes).toHaveLength(MAX_RECORD_BYTES);
    const received = new HandOffRecord();
    received.buffer.set(sent.bytes);
    expect([received.batch, received.count]).toEqual([7, 253]);
    for (let index = 0; index < 253; index++) {
      expect(received.connectionNumber(index)).toBe(1_000_000 + index);
      expect(received.flags(index)).toBe(index % 2);
      const at = received.addressOffset(index);
      expect(received.buffer.subarray(at, at + 18).equals(Buffer.alloc(18, index))).toBe(true);
    }
  });

  it('begins anew', () => {
    const record = new HandOffRecord();
    record.begin(1);
    record.add(1, ADDRESS, 0, FLAG_RESERVED);
    record.begin(2);
    expect([record.batch, record.count, record.bytes.toString('hex')]).toEqual([2, 0, '0200000000000000']);
    record.add(2, ADDRESS, 0, 0);
    expect(record.flags(0)).toBe(0);
  });
});

describe('an acknowledgement', () => {
  it('is the batch number, and how many arrived', () => {
    const target = Buffer.alloc(ACKNOWLEDGEMENT_BYTES);
    writeAcknowledgement(target, 0xfffffffe, 64);
    expect(target.toString('hex')).toBe('feffffff40000000');
  });
});
