import { seededRandom } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import {
  encodeEnvelope,
  parseEnvelope,
  wrapPublication,
  type Envelope,
  type PublicationKind,
} from './envelope.ts';

const MARK = 'ff524f4f5354fe01';
const NO_VERSION = '30303030303030303030303030303030';

/** Hexadecimal digits, with spaces between the parts. */
function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(' ', ''), 'hex');
}

const KINDS: readonly [PublicationKind, ...PublicationKind[]] = [
  'publication',
  'join',
  'leave',
  'count',
  'mark',
];
const TEXTS: readonly [undefined, ...string[]] = [undefined, 'a', '1.2', 'né', '🐔', 'x'.repeat(300)];

function randomEnvelope(next: (below: number) => number): Envelope {
  const pick = <Item>(items: readonly [Item, ...Item[]]): Item => items[next(items.length)] ?? items[0];
  const [event, except, user] = [pick(TEXTS), pick(TEXTS), pick(TEXTS)];
  return {
    kind: pick(KINDS),
    version: pick([0, 1, next(2 ** 50), Number.MAX_SAFE_INTEGER]),
    payload: Buffer.from(Array.from({ length: next(40) }, () => next(256))),
    ...(event !== undefined && { event }),
    ...(except !== undefined && { except }),
    ...(user !== undefined && { user }),
  };
}

describe('an envelope', () => {
  it.each<[string, Envelope, string]>([
    [
      'a publication with an event, an exception and a user',
      {
        kind: 'publication',
        version: 0,
        event: 'greet',
        except: '12.34',
        user: 'u1',
        payload: Buffer.from('{}'),
      },
      `${MARK} 70 ${NO_VERSION} 0005 6772656574 0005 31322e3334 0002 7531 7b7d`,
    ],
    [
      'a join at a version',
      { kind: 'join', version: 1_700_000_000_000_123, user: 'né', payload: Buffer.from('{"name":"Ada"}') },
      `${MARK} 6a 31373030303030303030303030313233 0000 0000 0003 6ec3a9 7b226e616d65223a22416461227d`,
    ],
    [
      'a leave',
      { kind: 'leave', version: 7, user: 'u1', payload: Buffer.alloc(0) },
      `${MARK} 6c 30303030303030303030303030303037 0000 0000 0002 7531`,
    ],
    [
      'a count',
      { kind: 'count', version: 0, payload: Buffer.from('42') },
      `${MARK} 63 ${NO_VERSION} 0000 0000 0000 3432`,
    ],
    [
      'a mark at the last version',
      { kind: 'mark', version: Number.MAX_SAFE_INTEGER, payload: Buffer.alloc(0) },
      `${MARK} 6d 39303037313939323534373430393931 0000 0000 0000`,
    ],
  ])('has these bytes for %s', (_what, envelope, hex) => {
    const { payload, ...rest } = envelope;
    expect(encodeEnvelope(payload, rest)).toEqual(bytesOf(hex));
    expect(parseEnvelope(bytesOf(hex))).toEqual(envelope);
  });

  it('is read as it was written, whatever it holds', () => {
    const next = seededRandom(1);
    for (let round = 0; round < 2000; round++) {
      const envelope = randomEnvelope(next);
      const { payload, ...rest } = envelope;
      expect(parseEnvelope(encodeEnvelope(payload, rest))).toEqual(envelope);
    }
  });

  it('cut anywhere before its payload is none', () => {
    const payload = Buffer.from('payload');
    const whole = encodeEnvelope(payload, {
      kind: 'join',
      version: 12,
      event: 'e',
      except: '1.2',
      user: 'u',
    });
    for (let length = 0; length < whole.length - payload.length; length++) {
      expect(parseEnvelope(whole.subarray(0, length)), `${length} bytes`).toBeUndefined();
    }
    expect(parseEnvelope(whole.subarray(0, -1))?.payload).toEqual(payload.subarray(0, -1));
  });

  it('of random bytes, behind the mark or not, is none or is written the same way', () => {
    const next = seededRandom(2);
    const mark = bytesOf(MARK);
    let envelopes = 0;
    for (let round = 0; round < 20_000; round++) {
      const whole = encodeEnvelope(Buffer.from('x'), { version: 3, event: 'ev', user: 'u' });
      // Most are an envelope in which one byte is another.
      if (round % 4 === 0) whole.fill(next(256), mark.length);
      else whole[next(whole.length)] = next(256);
      const parsed = parseEnvelope(whole);
      if (parsed === undefined) continue;
      envelopes++;
      expect(encodeEnvelope(parsed.payload, parsed)).toEqual(whole);
    }
    expect(envelopes).toBeGreaterThan(1000);
  });

  it.each([
    ['no bytes', ''],
    ['text', '68656c6c6f'],
    ['the mark alone', MARK],
    ['another version of the format', `ff524f4f5354fe02 70 ${NO_VERSION} 0000 0000 0000`],
    ['an unknown kind', `${MARK} 78 ${NO_VERSION} 0000 0000 0000`],
    ['a version with a letter', `${MARK} 70 3030303030303030303030303030303a 0000 0000 0000`],
    ['a version beyond 2^53', `${MARK} 70 39303037313939323534373430393932 0000 0000 0000`],
    ['a field that is longer than the rest', `${MARK} 70 ${NO_VERSION} 0000 0000 0002 75`],
    ['an event that is not UTF-8', `${MARK} 70 ${NO_VERSION} 0001 ff 0000 0000`],
  ])('is not made of %s', (_what, hex) => {
    expect(parseEnvelope(bytesOf(hex))).toBeUndefined();
  });

  it('refuses what has no place in it', () => {
    expect(() => encodeEnvelope(Buffer.alloc(0), { user: 'x'.repeat(65_536) })).toThrow(
      'an attribute of a publication has at most 65535 bytes, got 65536',
    );
    expect(() => encodeEnvelope(Buffer.alloc(0), { version: 2 ** 53 })).toThrow(RangeError);
    expect(() => encodeEnvelope(Buffer.alloc(0), { version: -1 })).toThrow(RangeError);
    expect(() => encodeEnvelope(Buffer.alloc(0), { version: 0.5 })).toThrow(RangeError);
    expect(encodeEnvelope(Buffer.alloc(0), { user: 'x'.repeat(65_535) })).toHaveLength(31 + 65_535);
  });
});

describe('wrapPublication', () => {
  it('leaves alone what has no attributes', () => {
    const payload = Buffer.from('hello');
    expect(wrapPublication(payload, undefined)).toBe(payload);
  });

  it('wraps what has attributes', () => {
    const wrapped = Buffer.from(wrapPublication(Buffer.from('hello'), { event: 'greet' }));
    expect(parseEnvelope(wrapped)).toEqual({
      kind: 'publication',
      version: 0,
      event: 'greet',
      payload: Buffer.from('hello'),
    });
  });

  it('wraps a payload that would be taken for an envelope, or might one day', () => {
    const forged = encodeEnvelope(Buffer.alloc(0), { kind: 'leave', version: 9, user: 'somebody' });
    for (const payload of [forged, bytesOf(MARK), bytesOf(`${MARK} 78`)]) {
      const parsed = parseEnvelope(Buffer.from(wrapPublication(payload, undefined)));
      expect(parsed).toEqual({ kind: 'publication', version: 0, payload });
    }
  });
});
