import { describe } from 'vitest';
import { conforms, PROTOCOL_ERROR, sharedFarm } from './exchange.ts';

const farm = sharedFarm();

describe('§5.5.2 ping', () => {
  conforms(farm, [
    { title: 'an empty ping gets an empty pong', sends: '89 80 00000000', answers: '8a 00' },
    {
      title: 'the pong has the payload of its ping',
      sends: '89 8d 00000000 48656c6c6f2c20776f726c6421',
      answers: '8a 0d 48656c6c6f2c20776f726c6421',
    },
    {
      title: 'a payload that is no text',
      sends: '89 88 00000000 00fffefdfcfb00ff',
      answers: '8a 08 00fffefdfcfb00ff',
    },
    {
      title: 'a payload of 125 bytes, masked',
      sends: `89 fd 01010101 ${'ff'.repeat(125)}`,
      answers: `8a 7d ${'fe'.repeat(125)}`,
    },
    {
      title: 'ten pings get ten pongs, in their order',
      sends: Array.from({ length: 10 }, (_, index) => `89 81 00000000 3${index}`).join(' '),
      answers: Array.from({ length: 10 }, (_, index) => `8a 01 3${index}`).join(' '),
    },
    {
      title: 'the answer to a message stands before the pong of a later ping',
      sends: '81 81 00000000 61 89 81 00000000 62 81 81 00000000 63',
      answers: '81 01 61 8a 01 62 81 01 63',
    },
  ]);
});

describe('§5.5.3 pong', () => {
  conforms(farm, [
    { title: 'an unsolicited pong is not answered', sends: '8a 80 00000000', answers: '' },
    { title: 'nor is one with a payload', sends: '8a 85 00000000 48656c6c6f', answers: '' },
    {
      title: 'a ping behind it is',
      sends: '8a 85 00000000 48656c6c6f 89 82 00000000 6869',
      answers: '8a 02 6869',
    },
  ]);
});

describe('§5.5 control frames', () => {
  conforms(farm, [
    {
      title: 'a ping of 126 bytes fails the connection',
      sends: `89 fe 007e 00000000 ${'00'.repeat(126)}`,
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'a ping with a length of 64 bits fails the connection',
      sends: '89 ff 0000000000000001 00000000 00',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'a pong of 126 bytes fails the connection',
      sends: `8a fe 007e 00000000 ${'00'.repeat(126)}`,
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'a close frame of 126 bytes fails the connection',
      sends: `88 fe 007e 00000000 03e8 ${'2a'.repeat(124)}`,
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'a fragmented ping fails the connection',
      sends: '09 81 00000000 61 80 81 00000000 62',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'a fragmented pong fails the connection',
      sends: '0a 81 00000000 61 80 81 00000000 62',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
    {
      title: 'a fragmented close frame fails the connection',
      sends: '08 82 00000000 03e8',
      answers: PROTOCOL_ERROR,
      ends: true,
    },
  ]);
});
