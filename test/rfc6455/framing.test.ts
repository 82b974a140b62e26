import { describe } from 'vitest';
import { conforms, PROTOCOL_ERROR, sharedFarm } from './exchange.ts';

const farm = sharedFarm();

/** So many bytes of `*`. */
function stars(count: number): string {
  return '2a'.repeat(count);
}

describe('§5.2 payload length', () => {
  conforms(farm, [
    { title: 'an empty text message', sends: '81 80 00000000', answers: '81 00' },
    { title: 'an empty binary message', sends: '82 80 00000000', answers: '82 00' },
    {
      title: 'a text of 125 bytes, the most with a length of 7 bits',
      sends: `81 fd 00000000 ${stars(125)}`,
      answers: `81 7d ${stars(125)}`,
    },
    {
      title: 'a text of 126 bytes, the least with a length of 16 bits',
      sends: `81 fe 007e 00000000 ${stars(126)}`,
      answers: `81 7e 007e ${stars(126)}`,
    },
    {
      title: 'a text of 127 bytes',
      sends: `81 fe 007f 00000000 ${stars(127)}`,
      answers: `81 7e 007f ${stars(127)}`,
    },
    {
      title: 'a text of 128 bytes',
      sends: `81 fe 0080 00000000 ${stars(128)}`,
      answers: `81 7e 0080 ${stars(128)}`,
    },
    {
      title: 'binary of 125, 126, 127 and 128 bytes, one behind the other',
      sends: `82 fd 00000000 ${stars(125)} 82 fe 007e 00000000 ${stars(126)} 82 fe 007f 00000000 ${stars(127)} 82 fe 0080 00000000 ${stars(128)}`,
      answers: `82 7d ${stars(125)} 82 7e 007e ${stars(126)} 82 7e 007f ${stars(127)} 82 7e 0080 ${stars(128)}`,
    },
    {
      title: 'a length that is not written in the fewest bytes is taken, as ws takes it',
      sends: '81 fe 0002 00000000 6869 81 ff 0000000000000002 00000000 6869',
      answers: '81 02 6869 81 02 6869',
    },
    {
      title: 'a length with its highest bit set is larger than any message',
      sends: '82 ff ffffffffffffffff 00000000',
      answers: '88 02 03f1',
      ends: true,
    },
    {
      title: 'a hundred messages in one read are a hundred messages',
      sends: '81 82 00000000 6869'.repeat(100),
      answers: '81 02 6869'.repeat(100),
    },
  ]);
});

describe('§5.3 masking', () => {
  conforms(farm, [
    {
      title: "the RFC's own example: a masked Hello",
      sends: '81 85 37fa213d 7f9f4d5158',
      answers: '81 05 48656c6c6f',
    },
    {
      title: 'every octet of the mask is used in turn',
      sends: '82 88 01020304 0000000000000000',
      answers: '82 08 0102030401020304',
    },
    {
      title: 'a mask of its own for each frame',
      sends: '82 82 ffffffff feff 82 82 00ff00ff 0100',
      answers: '82 02 0100 82 02 01ff',
    },
    {
      title: 'long payloads are unmasked to their last byte',
      sends: `82 fe 0101 a5a5a5a5 ${'a5'.repeat(257)}`,
      answers: `82 7e 0101 ${'00'.repeat(257)}`,
    },
    {
      title: 'an unmasked text message fails the connection (§5.1)',
      sends: '81 05 48656c6c6f',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    { title: 'an unmasked ping fails the connection', sends: '89 00', answers: PROTOCOL_ERROR, ends: true },
    {
      title: 'an unmasked close frame fails the connection',
      sends: '88 02 03e8',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'an unmasked frame behind a good one: the good one is served first',
      sends: '81 82 00000000 6869 81 02 6869',
      answers: `81 02 6869 ${PROTOCOL_ERROR}`,
      ends: true,
    },
  ]);
});

describe('§5.2 reserved bits, of which no extension was negotiated', () => {
  conforms(farm, [
    ...['91', 'a1', 'b1', 'c1', 'd1', 'e1', 'f1'].map((first) => ({
      title: `a text frame that begins with ${first} fails the connection`,
      sends: `${first} 82 00000000 6869`,
      answers: PROTOCOL_ERROR,
      ends: true,
    })),
    ...['92', 'a2', 'c2'].map((first) => ({
      title: `a binary frame that begins with ${first} fails the connection`,
      sends: `${first} 80 00000000`,
      answers: PROTOCOL_ERROR,
      ends: true,
    })),
    ...['99', 'a9', 'c9', 'fa', 'b8', 'c8', 'f8'].map((first) => ({
      title: `a control frame that begins with ${first} fails the connection`,
      sends: `${first} 80 00000000`,
      answers: PROTOCOL_ERROR,
      ends: true,
    })),
    {
      title: 'a reserved bit behind a good message: the message is served, the ping behind it is not',
      sends: '81 82 00000000 6869 a1 82 00000000 6869 89 80 00000000',
      answers: `81 02 6869 ${PROTOCOL_ERROR}`,
      ends: true,
    },
    {
      title: 'a reserved bit on a continuation fails the connection',
      sends: '01 81 00000000 68 c0 81 00000000 69',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
  ]);
});

describe('§5.2 reserved opcodes', () => {
  conforms(farm, [
    ...['83', '84', '85', '86', '87'].map((first) => ({
      title: `the opcode of ${first}, reserved for data, fails the connection`,
      sends: `${first} 80 00000000`,
      answers: PROTOCOL_ERROR,
      ends: true,
    })),
    ...['8b', '8c', '8d', '8e', '8f'].map((first) => ({
      title: `the opcode of ${first}, reserved for control, fails the connection`,
      sends: `${first} 80 00000000`,
      answers: PROTOCOL_ERROR,
      ends: true,
    })),
    ...['03', '07', '0b', '0f'].map((first) => ({
      title: `the opcode of ${first}, reserved and not final, fails the connection`,
      sends: `${first} 80 00000000`,
      answers: PROTOCOL_ERROR,
      ends: true,
    })),
    {
      title: 'a reserved opcode with a payload, behind a message and before a ping',
      sends: '81 82 00000000 6869 85 82 00000000 6869 89 80 00000000',
      answers: `81 02 6869 ${PROTOCOL_ERROR}`,
      ends: true,
    },
  ]);
});
