import { describe } from 'vitest';
import { conforms, INVALID_PAYLOAD, sharedFarm } from './exchange.ts';
import type { Exchange } from './exchange.ts';

const farm = sharedFarm();

/** Encodings of the first and last character of each length, and of others at the edges. */
const VALID: Readonly<Record<string, string>> = {
  'U+0000': '00',
  'U+007F': '7f',
  'U+0080': 'c280',
  'U+07FF': 'dfbf',
  'U+0800': 'e0a080',
  'U+D7FF, before the surrogates': 'ed9fbf',
  'U+E000, behind the surrogates': 'ee8080',
  'U+FFFD': 'efbfbd',
  'U+FFFE, no character but valid': 'efbfbe',
  'U+FFFF, no character but valid': 'efbfbf',
  'U+FEFF, a byte order mark': 'efbbbf',
  'U+10000': 'f0908080',
  'U+1FFFE, no character but valid': 'f09fbfbe',
  'U+10FFFF, the last': 'f48fbfbf',
  'Hello-µ@ßöäüàá-UTF-8!!': '48656c6c6f2dc2b540c39fc3b6c3a4c3bcc3a0c3a12d5554462d382121',
  κόσμε: 'cebae1bdb9cf83cebcceb5',
};

const INVALID: Readonly<Record<string, string>> = {
  'a continuation byte alone': '80',
  'the last continuation byte alone': 'bf',
  'continuation bytes only': '808182838485',
  FE: 'fe',
  FF: 'ff',
  'FE FE FF FF': 'fefeffff',
  'the first byte of two, alone': 'c3',
  'the first byte of two, and ASCII': 'c320',
  'the first two bytes of three': 'e282',
  'the first two bytes of three, and ASCII': 'e28220',
  'the first three bytes of four': 'f0908d',
  'a slash of two bytes': 'c0af',
  'a slash of three bytes': 'e080af',
  'a slash of four bytes': 'f08080af',
  'a slash of five bytes': 'f8808080af',
  'a slash of six bytes': 'fc80808080af',
  'NUL of two bytes': 'c080',
  'U+007F of two bytes': 'c1bf',
  'U+07FF of three bytes': 'e09fbf',
  'U+FFFF of four bytes': 'f08fbfbf',
  'U+D800, a surrogate': 'eda080',
  'U+DFFF, a surrogate': 'edbfbf',
  'a pair of surrogates': 'eda080edb080',
  'U+110000, beyond the last': 'f4908080',
  'U+1FFFFF': 'f7bfbfbf',
  'five bytes': 'f888808080',
  'six bytes': 'fc8480808080',
  'κόσμε, a surrogate, and "edited"': 'cebae1bdb9cf83cebcceb5eda080656469746564',
};

/** The first byte of a frame header with this payload. */
function frame(first: string, payload: string): string {
  return `${first} ${(0x80 | (payload.length / 2)).toString(16)} 00000000 ${payload}`;
}

/** As a message of as many fragments as it has bytes. */
function fragments(payload: string): string {
  const bytes = payload.match(/../g) ?? [];
  return [...bytes.map((byte, index) => frame(index === 0 ? '01' : '00', byte)), '80 80 00000000'].join(' ');
}

function echo(payload: string): string {
  return `81 ${(payload.length / 2).toString(16).padStart(2, '0')} ${payload}`;
}

function exchanges(
  texts: Readonly<Record<string, string>>,
  make: (payload: string) => Pick<Exchange, 'sends' | 'answers' | 'ends'>,
): Exchange[] {
  return Object.entries(texts).map(([title, payload]) => ({ title, ...make(payload) }));
}

describe('§8.1 text in UTF-8 is served', () => {
  conforms(
    farm,
    exchanges(VALID, (payload) => ({ sends: frame('81', payload), answers: echo(payload) })),
  );
});

describe('§8.1 text in UTF-8 is served when every byte is a fragment', () => {
  conforms(
    farm,
    exchanges(VALID, (payload) => ({ sends: fragments(payload), answers: echo(payload) })),
  );
});

describe('§8.1 text that is not UTF-8 fails the connection with 1007', () => {
  conforms(
    farm,
    exchanges(INVALID, (payload) => ({
      sends: frame('81', payload),
      answers: INVALID_PAYLOAD,
      ends: true,
    })),
  );
});

describe('§8.1 text that is not UTF-8 fails the connection with 1007 when every byte is a fragment', () => {
  conforms(
    farm,
    exchanges(INVALID, (payload) => ({ sends: fragments(payload), answers: INVALID_PAYLOAD, ends: true })),
  );
});

describe('§5.6 binary is not looked at', () => {
  conforms(
    farm,
    exchanges(INVALID, (payload) => ({
      sends: frame('82', payload),
      answers: echo(payload).replace('81', '82'),
    })),
  );
});

describe('§8.1 a text behind others', () => {
  conforms(farm, [
    {
      title: 'that is not UTF-8 fails the connection after those before it were served',
      sends: '81 82 00000000 6869 81 81 00000000 ff 81 82 00000000 6869',
      answers: `81 02 6869 ${INVALID_PAYLOAD}`,
      ends: true,
    },
    {
      title: 'that begins with the rest of a character is not UTF-8: messages stand alone',
      sends: '81 81 00000000 c3 81 81 00000000 a9',
      answers: INVALID_PAYLOAD,
      ends: true,
    },
    {
      title: 'of 200 bytes with one that is wrong at its end',
      sends: `81 fe 00c8 00000000 ${'2a'.repeat(199)} ff`,
      answers: INVALID_PAYLOAD,
      ends: true,
    },
    {
      title: 'of 200 bytes beyond ASCII, masked',
      sends: `81 fe 00c8 c3a9c3a9 ${'00000000'.repeat(50)}`,
      answers: `81 7e 00c8 ${'c3a9c3a9'.repeat(50)}`,
    },
  ]);
});
