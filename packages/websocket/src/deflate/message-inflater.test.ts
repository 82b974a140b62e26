import { constants, deflateRawSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { EMPTY } from '../empty.ts';
import { WebSocketArgumentError } from '../errors.ts';
import { InflateFailure, MessageInflater } from './message-inflater.ts';

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

/** As a sender does it: deflated, flushed, without the tail. */
function deflated(payload: Buffer, level = 6): Buffer {
  return deflateRawSync(payload, { level, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

function inflate(inflater: MessageInflater, payload: Buffer): Buffer | number {
  // With other bytes around it, which are not looked at.
  const bytes = Buffer.concat([Buffer.from('ee', 'hex'), payload, Buffer.from('dd', 'hex')]);
  const length = inflater.inflate(bytes, 1, 1 + payload.length);
  return length < 0 ? length : Buffer.from(inflater.output.subarray(0, length));
}

describe('MessageInflater', () => {
  it.each([
    ['§7.2.3.1, compressed', 'f2 48 cd c9 c9 07 00'],
    ['§7.2.3.3, a block without compression', '00 05 00 fa ff 48 65 6c 6c 6f 00'],
    ['§7.2.3.4, a final block', 'f3 48 cd c9 c9 07 00 00'],
    ['§7.2.3.5, two blocks', 'f2 48 05 00 00 00 ff ff ca c9 c9 07 00'],
  ])('inflates the Hello of RFC 7692 %s', (_name, hex) => {
    expect(inflate(new MessageInflater({ maxMessageBytes: 5 }), bytesOf(hex)).toString()).toBe('Hello');
  });

  // Each Hello of RFC 7692 §7.2.3; `f3` begins one with a final block.
  it.each([
    ['a final block and the byte that the sender adds', ['f348cdc9c9070000'], 'Hello'],
    ['the same, cut behind the block', ['f348cdc9c90700', '00'], 'Hello'],
    ['the same, cut within the block', ['f3', '', '48cdc9c9', '070000'], 'Hello'],
    ['a final block and nothing behind it', ['f348cdc9c90700'], 'Hello'],
    ['a final block and an empty fragment', ['f348cdc9c90700', ''], 'Hello'],
    ['a final block before another', ['f348cdc9c90700f348cdc9c9070000'], 'HelloHello'],
    ['a final block before another, in fragments', ['f348cdc9c90700', 'f348cdc9c9070000'], 'HelloHello'],
    ['a final block before others that are not', ['f348cdc9c90700f248cdc9c90700'], 'HelloHello'],
    ['a final block of Hel before lo', ['f348cd0100cac90700'], 'Hello'],
    ['an empty final block before Hello', ['0300f248cdc9c90700'], 'Hello'],
    ['no bytes', [], ''],
    ['no bytes in fragments', ['', ''], ''],
    ['an empty block', ['00'], ''],
    ['two empty blocks', ['000000ffff00'], ''],
  ])('inflates all of a message of %s', (_name, fragments, expected) => {
    const inflater = new MessageInflater({ maxMessageBytes: 100 });
    const length = inflater.inflateFragments(fragments.map(bytesOf));
    expect([length, inflater.output.toString('latin1', 0, length)]).toEqual([expected.length, expected]);
    expect(inflate(inflater, bytesOf(fragments.join(''))).toString()).toBe(expected);
  });

  it.each([
    ['without its last byte', ['f248cdc9c907']],
    ['without its last letter', ['f248cdc9c9']],
    ['without anything but a header', ['f2']],
    ['without the end of stored bytes', ['000500faff48656c']],
    ['without the header of stored bytes', ['000500']],
    ['without the block behind a final one', ['f348cdc9c90700f248cdc9c9']],
    ['with no block behind a final one', ['f348cdc9c90700ffff']],
    ['with no block behind a final one, in fragments', ['f348cdc9c90700ffff', '00']],
    ['with no block in the last fragment', ['037491d1', '420910d5ca']],
    ['with what its sender must cut off', ['f248cdc9c907000000ffff']],
  ])('takes no part of a message for the whole: a Hello %s is corrupt', (_name, fragments) => {
    const inflater = new MessageInflater({ maxMessageBytes: 100 });
    expect(inflater.inflateFragments(fragments.map(bytesOf))).toBe(InflateFailure.corrupt);
    expect(inflate(inflater, bytesOf(fragments.join('')))).toBe(InflateFailure.corrupt);
    expect(inflate(inflater, bytesOf('f248cdc9c90700')).toString()).toBe('Hello');
  });

  it('takes no message that was cut anywhere', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 10_000 });
    const text = Buffer.from(
      Array.from({ length: 700 }, (_, index) => 97 + ((index * index * 31 + index) % 23)),
    );
    for (const level of [0, 1, 6, 9]) {
      const whole = deflated(text, level);
      expect(inflate(inflater, whole)).toEqual(text);
      for (let end = 1; end < whole.length; end++) {
        // The first byte of what is stored is an empty message.
        const expected = whole[0] === 0 && end === 1 ? EMPTY : InflateFailure.corrupt;
        expect([level, end, inflate(inflater, whole.subarray(0, end))]).toEqual([level, end, expected]);
      }
    }
  });

  it('begins anew behind as many final blocks as there may be fragments, and behind no more', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 100 });
    const blocks = (count: number): Buffer => bytesOf('0300'.repeat(count));
    expect(inflate(inflater, Buffer.concat([blocks(4096), bytesOf('f248cdc9c90700')])).toString()).toBe(
      'Hello',
    );
    expect(inflate(inflater, Buffer.concat([blocks(4097), bytesOf('f248cdc9c90700')]))).toBe(
      InflateFailure.corrupt,
    );
  });

  it('knows nothing of the message before: the second Hello of RFC 7692 §7.2.3.2 is corrupt', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 100 });
    expect(inflate(inflater, bytesOf('f2 48 cd c9 c9 07 00')).toString()).toBe('Hello');
    expect(inflate(inflater, bytesOf('f2 00 11 00 00'))).toBe(InflateFailure.corrupt);
    expect(inflate(inflater, bytesOf('f2 48 cd c9 c9 07 00')).toString()).toBe('Hello');
  });

  it('inflates messages of every size around its buffers, one after the other', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 200_000 });
    const random = Buffer.from(Array.from({ length: 200_000 }, (_, index) => (index * index * 7919) >> 5));
    for (const length of [0, 1, 4095, 4096, 4097, 65_536, 65_537, 65_538, 3, 131_072, 200_000, 5]) {
      for (const level of [0, 1, 9]) {
        const payload = random.subarray(0, length);
        const result = inflate(inflater, deflated(payload, level));
        expect([length, level, Buffer.isBuffer(result) && result.equals(payload)]).toEqual([
          length,
          level,
          true,
        ]);
      }
    }
    // What the large ones needed is not kept.
    expect(inflater.output.length).toBeLessThanOrEqual(65_537);
  });

  it('takes a message of maxMessageBytes and none of a byte more', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 70_000 });
    expect(inflate(inflater, deflated(Buffer.alloc(70_000)))).toHaveLength(70_000);
    expect(inflate(inflater, deflated(Buffer.alloc(70_001)))).toBe(InflateFailure.tooLarge);
    expect(inflate(inflater, deflated(Buffer.alloc(70_000)))).toHaveLength(70_000);
  });

  it('stops a bomb one byte beyond maxMessageBytes', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 100_000 });
    const bomb = deflated(Buffer.alloc(32 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(40_000);
    expect(inflate(inflater, bomb)).toBe(InflateFailure.tooLarge);
    expect(inflater.output.length).toBe(100_001);
  });

  it.each(['ff', 'f248cdc9c907ff', '00 05 00 00 00 48 65 6c 6c 6f 00', '06 06 06'])(
    'says that %s is corrupt',
    (hex) => {
      expect(inflate(new MessageInflater({ maxMessageBytes: 100 }), bytesOf(hex))).toBe(
        InflateFailure.corrupt,
      );
    },
  );

  it('refuses to be unlimited', () => {
    expect(() => new MessageInflater({ maxMessageBytes: 0 })).toThrow(WebSocketArgumentError);
  });
});
