import { describe } from 'vitest';
import { conforms, PROTOCOL_ERROR, sharedFarm } from './exchange.ts';

const farm = sharedFarm();

describe('§5.4 fragmentation', () => {
  conforms(farm, [
    {
      title: "the RFC's own example: Hel and lo are Hello",
      sends: '01 83 00000000 48656c 80 82 00000000 6c6f',
      answers: '81 05 48656c6c6f',
    },
    {
      title: 'a binary message in three fragments, each with a mask of its own',
      sends: '02 81 01010101 00 00 81 02020202 00 80 81 03030303 00',
      answers: '82 03 010203',
    },
    {
      title: 'a message of empty fragments is empty',
      sends: '01 80 00000000 00 80 00000000 80 80 00000000',
      answers: '81 00',
    },
    {
      title: 'empty fragments around one that is not',
      sends: '01 80 00000000 00 82 00000000 6869 80 80 00000000',
      answers: '81 02 6869',
    },
    {
      title: 'a ping between fragments is answered before the message is',
      sends: '01 81 00000000 68 89 81 00000000 70 80 81 00000000 69',
      answers: '8a 01 70 81 02 6869',
    },
    {
      title: 'pongs between fragments are no part of the message',
      sends: '01 81 00000000 68 8a 83 00000000 787878 80 81 00000000 69',
      answers: '81 02 6869',
    },
    {
      title: 'five fragments with pings after the first, the third and the fifth',
      sends:
        '01 81 00000000 61 89 81 00000000 31 00 81 00000000 62 00 81 00000000 63 89 81 00000000 32 00 81 00000000 64 80 81 00000000 65 89 81 00000000 33',
      answers: '8a 01 31 8a 01 32 81 05 6162636465 8a 01 33',
    },
    {
      title: 'a fragmented message, a whole one, and a fragmented one again',
      sends: '01 81 00000000 61 80 81 00000000 62 82 81 00000000 63 01 81 00000000 64 80 81 00000000 65',
      answers: '81 02 6162 82 01 63 81 02 6465',
    },
    {
      title: 'a hundred fragments of one byte',
      sends: `01 81 00000000 2a ${'00 81 00000000 2a'.repeat(98)} 80 81 00000000 2a`,
      answers: `81 64 ${'2a'.repeat(100)}`,
    },
    {
      title: 'a final continuation with nothing to continue fails the connection',
      sends: '80 85 00000000 48656c6c6f',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'so does one that is not final',
      sends: '00 85 00000000 48656c6c6f',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'and one behind a whole message, which is served first',
      sends: '81 82 00000000 6869 80 82 00000000 6869',
      answers: `81 02 6869 ${PROTOCOL_ERROR}`,
      ends: true,
    },
    {
      title: 'and one behind a fragmented message that is complete',
      sends: '01 81 00000000 68 80 81 00000000 69 00 81 00000000 78 81 81 00000000 79',
      answers: `81 02 6869 ${PROTOCOL_ERROR}`,
      ends: true,
    },
    {
      title: 'a new text message inside a fragmented one fails the connection',
      sends: '01 81 00000000 68 81 81 00000000 69',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'so does a first fragment inside one',
      sends: '01 81 00000000 68 01 81 00000000 69',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'and a binary message inside a fragmented text',
      sends: '01 81 00000000 68 82 81 00000000 69',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'what a fragment says before its message is complete is not served when the client closes',
      sends: '01 81 00000000 68 88 82 00000000 03e8',
      answers: '88 02 03e8',
      ends: true,
    },
  ]);
});
