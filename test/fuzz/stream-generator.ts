import { badCompression, compressedMessage, offer } from './compressed-frames.ts';
import { Dice } from './dice.ts';
import {
  BAD_CODES,
  BINARY,
  CLOSE,
  closeBody,
  Command,
  CONTINUATION,
  FIN,
  frame,
  GOOD_CODES,
  goodPayload,
  noText,
  payloadSize,
  PING,
  PONG,
  text,
  TEXT,
} from './frames.ts';
import { headOf, MAX_FRAGMENTS, NO_PAUSE, PROFILES, type Pause, type Stream } from './stream.ts';

const MAX_EVERY_BYTE = 150;

/** Stream `index` of the run with this seed: always the same one. */
export function generateStream(seed: number, index: number): Stream {
  const dice = new Dice(seed, index);
  const profile = dice.below(PROFILES.length);
  const { maxMessageBytes: limit = 0, compression = false } = PROFILES[profile] ?? {};
  const offered = compression ? offer(dice) : '';
  const character = dice.below(100);
  let units = goodUnits(dice, limit);
  if (character >= 80) {
    // Hostile: several faults, noise, and good frames between them.
    const faults = dice.between(1, 4);
    for (let fault = 0; fault < faults; fault++) insert(dice, units, badUnits(dice, limit));
    if (dice.percent(20)) insert(dice, units, [dice.bytes(dice.between(1, 60))]);
  } else if (character >= 40) {
    // Nearly valid: one fault.
    if (dice.percent(75)) insert(dice, units, badUnits(dice, limit));
    else units = flipBits(dice, units);
  }
  if (compression) {
    const count = dice.below(5);
    for (let at = 0; at < count; at++) insert(dice, units, compressedMessage(dice, payloadSize(dice, limit)));
    if (dice.percent(25)) insert(dice, units, badCompression(dice, limit));
  }
  if (dice.percent(50)) units.push(goodClose(dice));
  if (dice.percent(15)) units.push(...goodUnits(dice, limit).slice(0, 3));
  if (dice.percent(20)) units = cutShort(dice, units);
  const isLateReader = dice.percent(5);
  if (limit > 60_000 && dice.percent(isLateReader ? 30 : 1)) insert(dice, units, largeEchoes(dice));
  const upgradeTurns = dice.percent(8) ? dice.between(1, 6) : 0;
  const atOpen = dice.percent(8) ? dice.pick(['greet', 'greet', 'close', 'terminate'] as const) : 'nothing';
  const stream: Stream = {
    seed,
    index,
    profile,
    units: units.filter((unit) => unit.length > 0),
    cuts: [],
    isPipelined: dice.percent(40),
    isKeptAlive: dice.percent(4),
    isLateReader,
    offer: offered,
    manners: { upgradeTurns, atOpen },
    isPatient: dice.percent(50),
    lastPause: pause(dice),
  };
  return { ...stream, cuts: cuts(dice, stream) };
}

function goodUnits(dice: Dice, limit: number): Buffer[] {
  const units: Buffer[] = [];
  if (dice.percent(4)) {
    // Many tiny frames in one piece.
    const count = dice.between(50, 300);
    for (let at = 0; at < count; at++) units.push(goodMessage(dice, dice.below(4)));
    return units;
  }
  const count = dice.below(9);
  for (let at = 0; at < count; at++) {
    const kind = dice.below(10);
    if (kind < 3) units.push(...goodFragments(dice, limit));
    else if (kind < 5) units.push(goodControl(dice));
    else units.push(goodMessage(dice, payloadSize(dice, limit)));
  }
  return units;
}

function goodMessage(dice: Dice, size: number): Buffer {
  const isBinary = dice.percent(50);
  const parts = { first: FIN | (isBinary ? BINARY : TEXT), payload: goodPayload(dice, isBinary, size) };
  // A length in more bytes than it needs: ws takes it, and so do we.
  if (dice.percent(5))
    return frame(dice, { ...parts, lengthBits: size < 65_536 && dice.percent(50) ? 16 : 64 });
  return frame(dice, parts);
}

/** More than the kernel keeps for a client that does not read. */
function largeEchoes(dice: Dice): Buffer[] {
  const count = dice.between(2, 8);
  const payload = Buffer.alloc(60_000, Command.echo);
  return Array.from({ length: count }, () => frame(dice, { first: FIN | BINARY, payload }));
}

function goodControl(dice: Dice): Buffer {
  const size = dice.percent(70) ? dice.below(12) : dice.pick([79, 80, 124, 125]);
  return frame(dice, { first: FIN | (dice.percent(70) ? PING : PONG), payload: dice.bytes(size) });
}

/** One message in fragments, some of them empty, cut anywhere in its characters, with control frames between them. */
function goodFragments(dice: Dice, limit: number): Buffer[] {
  const isBinary = dice.percent(40);
  const whole = goodPayload(dice, isBinary, payloadSize(dice, limit));
  return fragments(dice, isBinary ? BINARY : TEXT, whole);
}

function fragments(dice: Dice, opcode: number, whole: Buffer): Buffer[] {
  const count = dice.percent(2) ? dice.between(20, 200) : dice.between(2, 6);
  const ends = Array.from({ length: count - 1 }, () => dice.below(whole.length + 1)).toSorted(
    (a, b) => a - b,
  );
  const units: Buffer[] = [];
  let from = 0;
  for (let at = 0; at < count; at++) {
    const to = at === count - 1 ? whole.length : (ends[at] ?? whole.length);
    const first = (at === 0 ? opcode : CONTINUATION) | (at === count - 1 ? FIN : 0);
    units.push(frame(dice, { first, payload: whole.subarray(from, to) }));
    from = to;
    if (at < count - 1 && dice.percent(20)) units.push(goodControl(dice));
  }
  return units;
}

function goodClose(dice: Dice): Buffer {
  const first = FIN | CLOSE;
  if (dice.percent(25)) return frame(dice, { first, payload: Buffer.alloc(0) });
  const size = dice.percent(70) ? dice.below(20) : dice.pick([122, 123]);
  return frame(dice, { first, payload: closeBody(dice.pick(GOOD_CODES), text(dice, size)) });
}

const HUGE_LENGTHS = [
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 32n + 5n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];

/** Something that RFC 6455 or a limit forbids, with what may stand around it. */
function badUnits(dice: Dice, limit: number): Buffer[] {
  const small = (): Buffer => goodPayload(dice, true, Math.min(limit, dice.below(12)));
  switch (dice.below(19)) {
    case 0: // RSV bits
      return [
        frame(dice, {
          first: FIN | (dice.between(1, 7) << 4) | dice.pick([0, 1, 2, 8, 9, 10]),
          payload: small(),
        }),
      ];
    case 1: // reserved opcodes
      return [
        frame(dice, {
          first: dice.pick([0, FIN]) | dice.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]),
          payload: small(),
        }),
      ];
    case 2: // unmasked
      return [frame(dice, { first: FIN | dice.pick([1, 2, 8, 9, 10]), payload: small(), isMasked: false })];
    case 3: // control frame in fragments
      return [frame(dice, { first: dice.pick([CLOSE, PING, PONG]), payload: small() })];
    case 4: // long control frame
      return [
        frame(dice, {
          first: FIN | dice.pick([CLOSE, PING, PONG]),
          payload: closeBody(1000, text(dice, 124 + dice.below(10))),
        }),
      ];
    case 5: // control frame whose length has more bits than it may
      return [
        frame(dice, {
          first: FIN | dice.pick([CLOSE, PING, PONG]),
          payload: small(),
          lengthBits: dice.pick([16, 64]),
        }),
      ];
    case 6: // continuation of nothing
      return [frame(dice, { first: dice.pick([0, FIN]) | CONTINUATION, payload: small() })];
    case 7: // a message within a message
      return [
        frame(dice, { first: dice.pick([TEXT, BINARY]), payload: small() }),
        goodMessage(dice, Math.min(limit, dice.below(9))),
        frame(dice, { first: FIN | CONTINUATION, payload: small() }),
      ];
    case 8: // no UTF-8
      return [
        frame(dice, {
          first: FIN | TEXT,
          payload: noText(dice, Math.min(limit, dice.pick([0, 5, 90, 300]))),
        }),
      ];
    case 9: // no UTF-8, in fragments
      return fragments(dice, TEXT, noText(dice, Math.min(limit, 40)));
    case 10: // close with half a code
      return [frame(dice, { first: FIN | CLOSE, payload: dice.bytes(1) })];
    case 11: // close with a code that may not be sent
      return [
        frame(dice, {
          first: FIN | CLOSE,
          payload: closeBody(dice.pick(BAD_CODES), text(dice, dice.below(9))),
        }),
      ];
    case 12: // close with a reason that is no UTF-8
      return [
        frame(dice, { first: FIN | CLOSE, payload: closeBody(dice.pick(GOOD_CODES), noText(dice, 20)) }),
      ];
    case 13: // too large, by a little and with all of its bytes
      if (limit > 5000 && dice.percent(80)) return [];
      return [
        frame(dice, {
          first: dice.pick([0, FIN]) | dice.pick([TEXT, BINARY]),
          payload: text(dice, limit + 1 + dice.below(3)),
        }),
      ];
    case 14: // too large by far, with few of its bytes
      return [
        frame(dice, {
          first: dice.pick([0, FIN]) | dice.pick([0, 1, 2, 8, 9]),
          payload: small(),
          length: dice.pick(HUGE_LENGTHS),
          lengthBits: 64,
        }),
      ];
    case 15: // fragments that together are too large
      return [
        frame(dice, { first: BINARY, payload: dice.bytes(Math.min(limit, 3000)) }),
        frame(dice, { first: CONTINUATION, payload: dice.bytes(dice.below(Math.min(limit, 3000) + 1)) }),
        frame(dice, { first: FIN | CONTINUATION, payload: dice.bytes(1) }),
      ];
    case 16: // close within a message: legal, and the message is never seen
      return [frame(dice, { first: TEXT, payload: small() }), goodClose(dice)];
    case 17: // as many fragments as may be, or one more
      if (dice.percent(80)) return [];
      return tinyFragments(dice, MAX_FRAGMENTS + dice.between(-1, 1));
    default: // a message that is never finished
      return [
        frame(dice, {
          first: dice.pick([TEXT, BINARY]),
          payload: text(dice, Math.min(limit, dice.below(50))),
        }),
      ];
  }
}

function tinyFragments(dice: Dice, count: number): Buffer[] {
  const piece = (first: number): Buffer => frame(dice, { first, payload: Buffer.alloc(0) });
  const fragment = piece(CONTINUATION);
  return [
    piece(TEXT),
    Buffer.concat(Array.from({ length: count - 2 }, () => fragment)),
    piece(FIN | CONTINUATION),
  ];
}

function insert(dice: Dice, units: Buffer[], more: readonly Buffer[]): void {
  units.splice(dice.below(units.length + 1), 0, ...more);
}

function flipBits(dice: Dice, units: readonly Buffer[]): Buffer[] {
  const flipped = units.map((unit) => Buffer.from(unit));
  const flips = dice.between(1, 3);
  for (let flip = 0; flip < flips && flipped.length > 0; flip++) {
    const unit = dice.pick(flipped);
    // Headers are where it hurts.
    const at = dice.below(dice.percent(60) ? Math.min(unit.length, 8) : unit.length);
    unit[at] = (unit[at] ?? 0) ^ (1 << dice.below(8));
  }
  return flipped;
}

function cutShort(dice: Dice, units: readonly Buffer[]): Buffer[] {
  const last = dice.below(units.length + 1);
  const unit = units[last];
  const kept = units.slice(0, last);
  return unit === undefined ? kept : [...kept, unit.subarray(0, dice.below(unit.length))];
}

function cuts(dice: Dice, stream: Stream): { at: number; pause: Pause }[] {
  const headBytes = headOf(stream).length;
  const unitBytes = stream.units.reduce((sum, unit) => sum + unit.length, 0);
  const isInHead = dice.percent(stream.isPipelined ? 20 : 5);
  if (dice.percent(3) && unitBytes <= MAX_EVERY_BYTE) {
    return Array.from({ length: unitBytes }, (_unit, at) => ({
      at: headBytes + at,
      pause: { turns: dice.below(2), ms: 0 },
    }));
  }
  const count = dice.percent(30) ? 0 : dice.between(1, 8);
  const from = isInHead ? 1 : headBytes;
  const places = Array.from({ length: count }, () => from + dice.below(headBytes - from + unitBytes + 1));
  if (dice.percent(20)) {
    // At the borders of frames.
    let at = headBytes;
    for (const unit of stream.units.slice(0, 10)) places.push((at += unit.length));
  }
  return [...new Set(places)].toSorted((a, b) => a - b).map((at) => ({ at, pause: pause(dice) }));
}

function pause(dice: Dice): Pause {
  // Long enough to hibernate.
  if (dice.percent(6)) return { turns: 0, ms: dice.between(3, 8) };
  return quickPause(dice);
}

function quickPause(dice: Dice): Pause {
  return dice.percent(25) ? NO_PAUSE : { turns: dice.between(1, 4), ms: 0 };
}
