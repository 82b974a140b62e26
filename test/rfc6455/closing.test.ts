import { describe } from 'vitest';
import { conforms, INVALID_PAYLOAD, PROTOCOL_ERROR, sharedFarm } from './exchange.ts';

const farm = sharedFarm();

/** Two bytes of hexadecimal. */
function code(value: number): string {
  return value.toString(16).padStart(4, '0');
}

const SENDABLE = [
  1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
];
const NOT_SENDABLE = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 65_535];

describe('§5.5.1 close frames', () => {
  conforms(farm, [
    {
      title: 'an empty close frame is answered with an empty one',
      sends: '88 80 00000000',
      answers: '88 00',
      ends: true,
    },
    {
      title: 'the answer repeats code and reason',
      sends: '88 85 00000000 03e8627965',
      answers: '88 05 03e8627965',
      ends: true,
    },
    {
      title: 'the longest reason, of 123 bytes',
      sends: `88 fd 00000000 03e8 ${'2a'.repeat(123)}`,
      answers: `88 7d 03e8 ${'2a'.repeat(123)}`,
      ends: true,
    },
    {
      title: 'a reason beyond ASCII, masked',
      sends: '88 85 01010101 02e9 e39d92',
      answers: '88 05 03e8 e29c93',
      ends: true,
    },
    {
      title: 'a payload of one byte fails the connection',
      sends: '88 81 00000000 03',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'a reason that is not UTF-8 fails the connection with 1007',
      sends: '88 84 00000000 03e8 cece',
      answers: INVALID_PAYLOAD,
      ends: true,
    },
    {
      title: 'a reason that ends within a character fails the connection with 1007',
      sends: '88 84 00000000 03e8 e282',
      answers: INVALID_PAYLOAD,
      ends: true,
    },
  ]);
});

describe('§7.4 close codes that a client may send are repeated', () => {
  conforms(
    farm,
    SENDABLE.map((value) => ({
      title: String(value),
      sends: `88 82 00000000 ${code(value)}`,
      answers: `88 02 ${code(value)}`,
      ends: true,
    })),
  );
});

describe('§7.4 close codes that nobody may send fail the connection with 1002', () => {
  conforms(
    farm,
    NOT_SENDABLE.map((value) => ({
      title: String(value),
      sends: `88 82 00000000 ${code(value)}`,
      answers: PROTOCOL_ERROR,
      ends: true,
    })),
  );
});

describe('§5.5.1 and §7.1 what stands behind a close frame', () => {
  conforms(farm, [
    {
      title: 'a message before it is served',
      sends: '81 82 00000000 6869 88 82 00000000 03e8',
      answers: '81 02 6869 88 02 03e8',
      ends: true,
    },
    {
      title: 'a second close frame is not answered',
      sends: '88 82 00000000 03e8 88 82 00000000 03e9',
      answers: '88 02 03e8',
      ends: true,
    },
    {
      title: 'a ping is not answered',
      sends: '88 80 00000000 89 80 00000000',
      answers: '88 00',
      ends: true,
    },
    {
      title: 'a message is not served',
      sends: '88 80 00000000 81 82 00000000 6869',
      answers: '88 00',
      ends: true,
    },
    {
      title: 'the rest of a fragmented message is not served',
      sends: '01 81 00000000 68 88 80 00000000 80 81 00000000 69',
      answers: '88 00',
      ends: true,
    },
    {
      title: 'what is no frame does not matter any more',
      sends: `88 80 00000000 ${'ff'.repeat(64)}`,
      answers: '88 00',
      ends: true,
    },
  ]);
});
