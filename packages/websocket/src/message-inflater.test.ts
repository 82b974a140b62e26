import { constants, deflateRawSync } from 'node:zlib';

import { describe, expect, it } from 'vitest';

import { WebSocketArgumentError } from './errors.ts';
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

  it('begins anew in the fragment behind one with a final block, as ws does', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 100 });
    const text = (...fragments: string[]): string | number => {
      const length = inflater.inflateFragments(fragments.map(bytesOf));
      return length < 0 ? length : inflater.output.toString('latin1', 0, length);
    };
    // RFC 7692 §7.2.3.4, cut anywhere: the block, and the byte that the sender adds.
    expect(text('f3 48 cd c9 c9 07 00 00')).toBe('Hello');
    expect(text('f3 48 cd c9 c9 07 00', '00')).toBe('Hello');
    expect(text('f3', '', '48 cd c9 c9', '07 00 00')).toBe('Hello');
    expect(text('f3 48 cd c9 c9 07 00', 'f3 48 cd c9 c9 07 00 00')).toBe('HelloHello');
    // What stands behind the final block in its own fragment is ignored; in the next it must be a stream.
    expect(text('f3 48 cd c9 c9 07 00 ff ff', '00')).toBe('Hello');
    expect(text('03 74 91 d1', '42 09 10 d5 ca')).toBe(InflateFailure.corrupt);
    expect(text('f3 48 cd c9 c9 07 00', '')).toBe('Hello');
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
