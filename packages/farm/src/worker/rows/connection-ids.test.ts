import { seededRandom } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { newConnectionIdSecret } from '../../link/connection-id-secret.ts';
import { ConnectionIds } from './connection-ids.ts';
import { halfSipHash } from './half-sip-hash.ts';

const LARGEST = 2 ** 42 - 1;
/** Of 1, 2, 3 and the largest number, computed by another program. */
const VECTORS = [
  '305419896.1260934170912',
  '305419896.1396198949356',
  '305419896.1094868659829',
  '305419896.343930617191',
];
const SECRET = { tag: 305_419_896, key: [0x03020100, 0x07060504] } as const;

describe('the hash', () => {
  it('is HalfSipHash-2-4: the vector of four bytes of its authors', () => {
    // Key 00 to 07, message 00 01 02 03: 2a 6e 46 89.
    expect(halfSipHash([0x03020100, 0x07060504], 0x03020100)).toBe(0x89466e2a);
  });
});

describe('the id of a connection', () => {
  const ids = new ConnectionIds(SECRET);

  it('has the tag of its farm and a number of at most 13 digits', () => {
    expect([1, 2, 3, LARGEST].map((number) => ids.idOf(number))).toEqual(VECTORS);
    for (const id of VECTORS) expect(id).toMatch(/^305419896\.\d{1,13}$/);
  });

  it('belongs to one number, there and back', () => {
    const random = seededRandom(42);
    const seen = new Set<number>();
    const numbers = new Set([0, 1, 2 ** 21 - 1, 2 ** 21, LARGEST]);
    for (let number = 2; number < 20_000; number++) numbers.add(number);
    while (numbers.size < 40_000) numbers.add(random(2 ** 21) * 2 ** 21 + random(2 ** 21));
    for (const number of numbers) {
      const scrambled = ids.scramble(number);
      if (!Number.isInteger(scrambled) || scrambled < 0 || scrambled > LARGEST) expect.unreachable();
      if (ids.unscramble(scrambled) !== number || ids.scramble(ids.unscramble(number)) !== number) {
        expect.unreachable(`${number} does not come back`);
      }
      seen.add(scrambled);
    }
    expect(seen.size).toBe(numbers.size);
  });

  it('says nothing of its neighbours: each bit changes as often as not', () => {
    const changes = Array.from({ length: 42 }, () => 0);
    const rounds = 4000;
    for (let number = 1; number <= rounds; number++) {
      const [one, next] = [BigInt(ids.scramble(number)), BigInt(ids.scramble(number + 1))];
      for (let bit = 0; bit < 42; bit++)
        changes[bit] = (changes[bit] ?? 0) + Number(((one ^ next) >> BigInt(bit)) & 1n);
    }
    for (const count of changes) expect(Math.abs(count / rounds - 0.5)).toBeLessThan(0.05);
  });

  it('is another one under another key', () => {
    const other = new ConnectionIds({ ...SECRET, key: [SECRET.key[0] ^ 1, SECRET.key[1]] });
    const same = Array.from({ length: 1000 }, (_, number) => number).filter(
      (number) => ids.scramble(number) === other.scramble(number),
    );
    expect(same).toEqual([]);
  });

  it('is found only if it is of this farm, and written as it was given', () => {
    const id = ids.idOf(7);
    expect(ids.numberOf(id)).toBe(7);
    const [tag = '', scrambled = ''] = id.split('.');
    for (const foreign of [
      `305419897.${scrambled}`,
      `0${tag}.${scrambled}`,
      `${tag}.0${scrambled}`,
      `${tag}.${2 ** 42}`,
      `${tag}.9999999999999999`,
      `${tag}.-1`,
      tag,
      `${tag}.${scrambled}.1`,
      '7',
      '',
    ]) {
      expect(ids.numberOf(foreign), foreign).toBeUndefined();
    }
  });
});

describe('the secret of a farm', () => {
  it('is 96 random bits', () => {
    const secrets = Array.from({ length: 100 }, newConnectionIdSecret);
    expect(new Set(secrets.map(({ tag }) => tag)).size).toBe(100);
    for (const { tag, key } of secrets) {
      for (const part of [tag, ...key]) expect(part >>> 0).toBe(part);
    }
  });
});
