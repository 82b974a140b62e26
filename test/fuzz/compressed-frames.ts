import { constants, deflateRawSync, type ZlibOptions } from 'node:zlib';
import type { Dice } from './dice.ts';
import { BINARY, CLOSE, CONTINUATION, FIN, frame, goodPayload, noText, PING, TEXT } from './frames.ts';

const RSV1 = 0x40;

/** What a client may offer, each of which both servers take. */
const OFFERS = [
  'permessage-deflate',
  'permessage-deflate; client_max_window_bits',
  'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
  'permessage-deflate; server_max_window_bits=12',
  'x-other, permessage-deflate; client_max_window_bits=15',
];

/** Usually one of them. */
export function offer(dice: Dice): string {
  return dice.percent(10) ? '' : dice.pick(OFFERS);
}

/** The payload of a compressed message, with the tail cut off (RFC 7692 §7.2.1), in one of the forms that DEFLATE has. */
function deflated(dice: Dice, payload: Buffer): Buffer {
  const options: ZlibOptions = {
    level: dice.below(10),
    windowBits: dice.between(9, 15),
    strategy: dice.pick([constants.Z_DEFAULT_STRATEGY, constants.Z_HUFFMAN_ONLY, constants.Z_FIXED]),
  };
  // With a final block, and the empty one behind it that §7.2.3.4 asks for.
  if (dice.percent(10)) return Buffer.concat([deflateRawSync(payload, options), Buffer.from([0])]);
  return deflateRawSync(payload, { ...options, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
}

/** One compressed message, whole or in fragments. */
export function compressedMessage(dice: Dice, size: number): Buffer[] {
  const isBinary = dice.percent(50);
  // A final block and more behind it; whole, since ws loses what stands behind one in a fragment.
  if (dice.percent(5)) {
    const text = goodPayload(dice, isBinary, size);
    const cut = dice.below(size + 1);
    const payload = Buffer.concat([
      deflateRawSync(text.subarray(0, cut)),
      deflated(dice, text.subarray(cut)),
    ]);
    return [frame(dice, { first: FIN | RSV1 | (isBinary ? BINARY : TEXT), payload })];
  }
  // Half of them repeat themselves, so that there is something to compress.
  const text = dice.percent(50)
    ? goodPayload(dice, isBinary, size)
    : Buffer.alloc(size, dice.pick(['e', '.', 'ab']));
  return inFrames(dice, isBinary ? BINARY : TEXT, deflated(dice, text));
}

function inFrames(dice: Dice, opcode: number, bytes: Buffer): Buffer[] {
  if (dice.percent(70)) return [frame(dice, { first: FIN | RSV1 | opcode, payload: bytes })];
  const cut = dice.below(bytes.length + 1);
  const units = [frame(dice, { first: RSV1 | opcode, payload: bytes.subarray(0, cut) })];
  if (dice.percent(30)) units.push(frame(dice, { first: FIN | PING, payload: dice.bytes(3) }));
  units.push(frame(dice, { first: FIN | CONTINUATION, payload: bytes.subarray(cut) }));
  return units;
}

/** Something about compression that must not be. */
export function badCompression(dice: Dice, limit: number): Buffer[] {
  const whole = (opcode: number, payload: Buffer): Buffer[] => [
    frame(dice, { first: FIN | RSV1 | opcode, payload }),
  ];
  switch (dice.below(8)) {
    case 0: // a little too large
      return whole(BINARY, deflated(dice, Buffer.alloc(limit + dice.between(1, 3), 'x')));
    case 1: // a bomb
      return whole(
        BINARY,
        deflateRawSync(Buffer.alloc(2 ** 20), { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, limit),
      );
    case 2: // no DEFLATE
      return whole(dice.pick([TEXT, BINARY]), dice.bytes(dice.between(1, 40)));
    case 3: // no UTF-8
      return whole(TEXT, deflated(dice, noText(dice, Math.min(limit, 40))));
    case 4: {
      // cut short, or at the end of a final block
      const payload = deflated(dice, dice.percent(50) ? dice.bytes(30) : Buffer.alloc(limit, 'abc'));
      return whole(BINARY, payload.subarray(0, dice.below(payload.length)));
    }
    case 5: // a compressed control frame
      return whole(dice.pick([CLOSE, PING]), Buffer.alloc(0));
    case 6: // a compressed continuation
      return [
        frame(dice, { first: RSV1 | TEXT, payload: Buffer.alloc(0) }),
        frame(dice, { first: FIN | RSV1 | CONTINUATION, payload: Buffer.from([0]) }),
      ];
    default: // broken, in fragments
      return inFrames(dice, BINARY, dice.bytes(dice.between(1, 40)));
  }
}
