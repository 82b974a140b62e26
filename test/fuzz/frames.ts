import { buildFrame } from '@roost/testing';
import type { Dice } from './dice.ts';

export const FIN = 0x80;
export const CONTINUATION = 0;
export const TEXT = 1;
export const BINARY = 2;
export const CLOSE = 8;
export const PING = 9;
export const PONG = 10;

export interface FrameParts {
  /** FIN, RSV and opcode. */
  readonly first: number;
  readonly payload: Buffer;
  /** Default true. */
  readonly isMasked?: boolean;
  /** 7, 16 or 64 bits of length; default the fewest that hold it. */
  readonly lengthBits?: 7 | 16 | 64;
  /** Default the payload's. */
  readonly length?: bigint;
}

/** Any frame, well-formed or not. */
export function frame(dice: Dice, parts: FrameParts): Buffer {
  const { first, payload, isMasked = true, lengthBits, length } = parts;
  return buildFrame(first, payload, { mask: isMasked ? maskOf(dice) : undefined, lengthBits, length });
}

/** A mask of zeroes is legal, and a case of its own in ws. */
function maskOf(dice: Dice): Buffer {
  return dice.percent(5) ? Buffer.alloc(4) : dice.bytes(4);
}

/** What the applications on both sides do with a message, by its first byte; everything else is only recorded. */
export const Command = { echo: 0x65, close: 0x63, terminate: 0x74 } as const;

const COMMANDS: readonly number[] = [
  ...Array.from({ length: 20 }, () => Command.echo),
  ...Array.from({ length: 20 }, () => 0x2e),
  Command.close,
  Command.close,
  Command.terminate,
];

/** Payload sizes at which something changes, and some between. */
export function payloadSize(dice: Dice, maxMessageBytes: number): number {
  const edges = [0, 1, 2, 3, 7, 79, 80, 124, 125, 126, 127, 128, 255, 256];
  const size = dice.percent(50) ? dice.below(40) : dice.pick(edges);
  if (dice.percent(3)) return Math.max(0, maxMessageBytes - dice.below(2));
  if (dice.percent(2)) return Math.min(maxMessageBytes, dice.pick([4095, 4096, 65_535, 65_536]));
  return Math.min(size, maxMessageBytes);
}

/** Valid UTF-8 of `size` bytes, with characters of all lengths. */
export function text(dice: Dice, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  const isAscii = dice.percent(40);
  let at = 0;
  while (at < size) {
    const room = size - at;
    const width = isAscii || room === 1 ? 1 : Math.min(room, dice.between(1, 4));
    if (width === 1) bytes[at++] = dice.between(0x20, 0x7e);
    else at += bytes.write(character(dice, width), at);
  }
  return bytes;
}

function character(dice: Dice, width: number): string {
  if (width === 2) return String.fromCodePoint(dice.between(0x80, 0x7ff));
  if (width === 4) return String.fromCodePoint(dice.between(0x1_00_00, 0x10_ff_ff));
  const code = dice.between(0x800, 0xffff);
  return String.fromCodePoint(code >= 0xd800 && code <= 0xdfff ? 0x20_ac : code);
}

/** The payload of a good message, which begins with a command for the application. */
export function goodPayload(dice: Dice, isBinary: boolean, size: number): Buffer {
  if (size === 0) return Buffer.alloc(0);
  const rest = isBinary ? dice.bytes(size - 1) : text(dice, size - 1);
  return Buffer.concat([Buffer.from([dice.pick(COMMANDS)]), rest]);
}

export const GOOD_CODES = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999,
];
export const BAD_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];

export function closeBody(code: number, reason: Buffer): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), reason]);
}

/** Sequences that are no UTF-8: stray and missing continuations, overlong forms, surrogates, beyond U+10FFFF. */
const NO_UTF8 = [
  '80',
  'bf',
  'c3',
  'c328',
  'c0af',
  'c1bf',
  'e28228',
  'e282',
  'e08080',
  'eda080',
  'edbfbf',
].concat(['f09f98', 'f0808080', 'f4908080', 'f5808080', 'f8888080', 'fe', 'ff', 'ce', 'f09f9828']);

/** Text with one such sequence in it. */
export function noText(dice: Dice, size: number): Buffer {
  const good = text(dice, dice.below(size + 1));
  return Buffer.concat([good, Buffer.from(dice.pick(NO_UTF8), 'hex'), text(dice, dice.below(4))]);
}
