import { once } from 'node:events';
import { connect } from 'node:net';

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocketServer } from 'ws';

import { AwakeConnection, type AwakeHandlers, type AwakeOptions } from './awake-connection.ts';
import { WebSocketArgumentError } from '../errors.ts';
import { MessageInflater } from '../deflate/message-inflater.ts';

const OPTIONS: AwakeOptions = { maxMessageBytes: 100, closeTimeoutMs: 60_000 };

const opened: AwakeConnection[] = [];

/** No connection may leave a timer: ws starts one with each closing handshake. */
function watchTimers(): void {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  });

  afterEach(() => {
    for (const awake of opened.splice(0)) awake.destroy();
    const count = vi.getTimerCount();
    vi.useRealTimers();
    expect(count).toBe(0);
  });
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll(/\s/g, ''), 'hex');
}

interface Awake {
  readonly awake: AwakeConnection;
  /** What the handlers were told, as words. */
  readonly seen: string[];
  readonly receive: (hex: string) => void;
}

function wake(hex = '', changes: Partial<AwakeHandlers> = {}, options = OPTIONS): Awake {
  const seen: string[] = [];
  const note = (slot: number, generation: number, text: string): void => {
    expect([slot, generation]).toEqual([7, 3]);
    seen.push(text);
  };
  const handlers: AwakeHandlers = {
    awakeOnWrite: (slot, generation, frame) => note(slot, generation, `write ${frame.toString('hex')}`),
    awakeOnMessage: (slot, generation, data, isBinary) =>
      note(slot, generation, `${isBinary ? 'binary' : 'text'} ${data.toString()}`),
    awakeOnPing: (slot, generation) => note(slot, generation, 'ping'),
    awakeOnPong: (slot, generation) => note(slot, generation, 'pong'),
    awakeOnFinish: (slot, generation) => note(slot, generation, 'finish'),
    awakeOnClose: (slot, generation, code, reason) =>
      note(slot, generation, `close ${code} ${reason.toString()}`.trim()),
    ...changes,
  };
  const awake = new AwakeConnection(handlers, 7, 3, options, bytesOf(hex));
  opened.push(awake);
  return { awake, seen, receive: (later) => awake.receive(bytesOf(later)) };
}

/** Lets every tick that is on its way pass. */
async function ticks(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('AwakeConnection', () => {
  watchTimers();

  it('puts a fragmented message together, with pings answered in between, within the calls', () => {
    const { awake, seen, receive } = wake('01 81 00000000 61');
    expect(awake.isAtBoundary()).toBe(false);
    receive('89 82 01020304 7170');
    expect(seen).toEqual(['write 8a027072', 'ping']);
    expect(awake.isAtBoundary()).toBe(false);
    receive('00 82 01020304 6361  8a 80 00000000  80 81 00000000 64');
    expect(seen.slice(2)).toEqual(['pong', 'text abcd']);
    expect(awake.isAtBoundary()).toBe(true);
    expect(awake.bufferedBytes).toBe(0);
  });

  it('inflates compressed messages, whole and in fragments, within the call and in order', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 100 });
    const inflated: number[] = [];
    const { awake, seen, receive } = wake(
      '',
      { awakeOnInflate: (_slot, _generation, bytes) => inflated.push(bytes) },
      { ...OPTIONS, inflater },
    );
    // The example of RFC 7692 §7.2.3.1 whole, then in two fragments with a ping between, then plain messages.
    receive('c1 87 00000000 f248cdc9c90700  41 83 00000000 f248cd');
    expect(seen).toEqual(['text Hello']);
    expect(awake.isAtBoundary()).toBe(false);
    expect(awake.bufferedBytes).toBeGreaterThanOrEqual(3);
    // The inflater is shared: another connection's message comes between.
    expect(inflater.inflate(bytesOf('f248cdc9c90700'), 0, 7)).toBe(5);
    receive('89 80 00000000  00 80 00000000  80 84 00000000 c9c90700  82 81 00000000 61  c2 81 00000000 00');
    expect(seen.slice(1)).toEqual(['write 8a00', 'ping', 'text Hello', 'binary a', 'binary ']);
    expect(inflated).toEqual([5, 5, 0]);
    expect([awake.isAtBoundary(), awake.bufferedBytes]).toEqual([true, 0]);
  });

  it.each([
    ['RSV1 where compression was not agreed on with 1002', false, 'c1 87 00000000 f248cdc9c90700', 1002],
    ['RSV1 on a continuation with 1002', true, '41 83 00000000 f248cd  c0 84 00000000 c9c90700', 1002],
    ['a compressed ping with 1002', true, 'c9 80 00000000', 1002],
    ['a compressed close frame with 1002', true, 'c8 80 00000000', 1002],
    ['RSV2 with 1002', true, 'a1 80 00000000', 1002],
    ['corrupt data with 1007', true, 'c1 81 00000000 ff', 1007],
    ['corrupt data in fragments with 1007', true, '41 81 00000000 f2  80 81 00000000 ff', 1007],
    ['text that inflates to invalid UTF-8 with 1007', true, 'c1 83 00000000 fa0f00', 1007],
    ['a bomb with 1009', true, 'c2 8b 00000000 4a4c1c05a360140c770000', 1009],
    ['a bomb in fragments with 1009', true, '42 84 00000000 4a4c1c05  80 87 00000000 a360140c770000', 1009],
    ['too much compressed data with 1009', true, 'c2 fe 0065 00000000', 1009],
  ])('closes %s', async (_name, isDeflated, hex, code) => {
    const inflater = isDeflated ? new MessageInflater({ maxMessageBytes: 100 }) : undefined;
    const { awake, seen, receive } = wake('', {}, { ...OPTIONS, inflater });
    receive(hex);
    expect(awake.isAtBoundary()).toBe(false);
    // The end comes at once behind it, as with a client that dies: the close frame is sent all the same.
    awake.end();
    await ticks();
    expect(seen[0]).toBe(`write 8802${code.toString(16).padStart(4, '0')}`);
    expect(seen.filter((word) => word.startsWith('text') || word.startsWith('binary'))).toEqual([]);
  });

  it('stops inflating when a message ends the connection', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 100 });
    const seen: string[] = [];
    const { awake, receive } = wake(
      '',
      {
        awakeOnMessage: (_slot, _generation, data) => {
          seen.push(data.toString());
          awake.destroy();
        },
      },
      { ...OPTIONS, inflater },
    );
    receive('c1 87 00000000 f248cdc9c90700'.repeat(3));
    expect(seen).toEqual(['Hello']);
    expect(awake.bufferedBytes).toBe(0);
  });

  it('hands over message after message within the call', () => {
    const { seen } = wake('81 81 00000000 61  82 81 00000000 62  81 80 00000000  82 81 00000000 63');
    expect(seen).toEqual(
      ['text a', 'binary b', 'text', 'binary c'].map((word) => (word === 'text' ? 'text ' : word)),
    );
  });

  it('answers many pings in one piece, without a tick between them', () => {
    const { awake, seen } = wake('8980 00000000'.repeat(100));
    expect(seen.filter((word) => word === 'write 8a00')).toHaveLength(100);
    expect(awake.isAtBoundary()).toBe(true);
  });

  it('reads messages of more than a stream buffers, in one piece and in many', () => {
    const payload = Buffer.alloc(60_000, 'x');
    const header = bytesOf('82 fe ea60 00000000');
    const frame = Buffer.concat([header, payload]);
    const { awake, seen } = wake('', {}, { ...OPTIONS, maxMessageBytes: 60_000 });
    awake.receive(Buffer.concat([frame, frame]));
    for (let at = 0; at < frame.length; at += 1000) {
      awake.receive(Buffer.from(frame.subarray(at, at + 1000)));
      if (at === 30_000) expect(awake.bufferedBytes).toBeGreaterThan(30_000);
    }
    expect(seen).toEqual(Array.from({ length: 3 }, () => `binary ${payload.toString()}`));
    expect(awake.isAtBoundary()).toBe(true);
  });

  it('is at a boundary exactly when nothing is open', () => {
    const states: [string, boolean][] = [
      ['', true],
      ['81', false],
      ['82', false],
      ['00000000', false],
      ['61', false],
      ['62', true],
      ['02 80 00000000', false],
      ['89 80 00000000', false],
      ['80 80 00000000', true],
      ['89 80 00000000', true],
    ];
    const { awake, receive } = wake();
    for (const [hex, isAtBoundary] of states) {
      receive(hex);
      expect([hex, awake.isAtBoundary()]).toEqual([hex, isAtBoundary]);
    }
  });

  it('knows the open message, its fragments added up, and whether it goes on', async () => {
    const states: [string, boolean, number][] = [
      ['01 82 00000000 6161', true, 2],
      ['89 81 00000000 61', true, 2],
      ['00 81 00000000 61', true, 3],
      ['80 81 00000000 61', false, 0],
      ['81 81 00000000 61', false, 0],
    ];
    const { awake, receive } = wake();
    for (const [hex, isInMessage, messageBytes] of states) {
      receive(hex);
      expect([hex, awake.isInMessage, awake.messageBytes]).toEqual([hex, isInMessage, messageBytes]);
      expect(awake.isOpen).toBe(true);
    }
    receive('80 80 00000000');
    expect(awake.isOpen).toBe(false);
    await ticks();
    expect(awake.isOpen).toBe(false);
    expect(wake('88 80 00000000').awake.isOpen).toBe(false);
  });

  it('takes 64 bytes a fragment for honest, however large messages may be', () => {
    const size = 1024 * 1024;
    const { awake, seen } = wake('', {}, { ...OPTIONS, maxMessageBytes: size });
    const fragments = size / 64;
    for (let index = 0; index < fragments; index++) {
      const first = index === 0 ? '02' : index === fragments - 1 ? '80' : '00';
      awake.receive(bytesOf(`${first} c0 00000000 ${'61'.repeat(64)}`));
    }
    expect(seen).toEqual([`binary ${'a'.repeat(size)}`]);
  });

  it('is at no boundary inside a handler, nor after an error, a close or the end', async () => {
    const inside: boolean[] = [];
    const look = (): void => {
      inside.push(subject.awake.isAtBoundary());
    };
    const subject = wake('', { awakeOnMessage: look, awakeOnWrite: look, awakeOnPing: look });
    subject.receive('81 80 00000000 89 80 00000000');
    expect(inside).toEqual([false, false, false]);
    expect(subject.awake.isAtBoundary()).toBe(true);

    const failed = wake('83 80 00000000');
    expect(failed.awake.isAtBoundary()).toBe(false);
    await ticks();
    expect(failed.awake.isAtBoundary()).toBe(false);

    const closed = wake('88 80 00000000');
    expect(closed.awake.isAtBoundary()).toBe(false);

    const ended = wake();
    ended.awake.end();
    expect(ended.awake.isAtBoundary()).toBe(false);

    const destroyed = wake();
    destroyed.awake.destroy();
    expect(destroyed.awake.isAtBoundary()).toBe(false);
  });
});

describe('closing of an AwakeConnection', () => {
  watchTimers();

  it('answers the close frame of the client at once, finishes, and closes with its code at the end', async () => {
    const { awake, seen, receive } = wake('88 85 00000000 0fa1 627965');
    expect(seen).toEqual(['write 88050fa1627965']);
    receive('81 81 00000000 61');
    await ticks();
    expect(seen.slice(1)).toEqual(['finish']);
    awake.end();
    await ticks();
    expect(seen.slice(2)).toEqual(['close 4001 bye']);
    awake.end();
    receive('81 81 00000000 61');
    await ticks();
    expect(seen).toHaveLength(3);
  });

  it('closes with 1005 after a close frame without a code', async () => {
    const { awake, seen } = wake('88 80 00000000');
    await ticks();
    awake.end();
    await ticks();
    expect(seen).toEqual(['write 8800', 'finish', 'close 1005']);
  });

  it('closes with 1006 when the client ends without a close frame, also inside a message', async () => {
    for (const hex of ['', '01 81 00000000 61', '81 85 00000000 61']) {
      const { awake, seen } = wake(hex);
      awake.end();
      await ticks();
      expect(seen).toEqual(['finish', 'close 1006']);
    }
  });

  it('closes when closeTimeoutMs is over and the client has not ended', async () => {
    const { seen } = wake('88 82 00000000 03e8');
    await ticks();
    vi.advanceTimersByTime(60_000);
    await ticks();
    expect(seen).toEqual(['write 880203e8', 'finish', 'close 1000']);
  });

  it.each([
    ['a reserved opcode', '83 80 00000000', 1002],
    ['RSV1', 'c1 80 00000000', 1002],
    ['RSV2', 'a1 80 00000000', 1002],
    ['an unmasked frame', '81 01 61', 1002],
    ['a continuation of nothing', '80 80 00000000', 1002],
    ['a message inside a message', '01 80 00000000 81 80 00000000', 1002],
    ['a fragmented ping', '09 80 00000000', 1002],
    ['a ping that is too long', '89 fe 007e', 1002],
    ['a close frame of one byte', '88 81 00000000 03', 1002],
    ['a close code that may not be sent', '88 82 00000000 03ed', 1002],
    ['a text in invalid UTF-8', '81 81 00000000 ff', 1007],
    ['fragments that make invalid UTF-8', '01 81 00000000 c3 80 81 00000000 28', 1007],
    ['a close reason in invalid UTF-8', '88 83 00000000 03e8 ff', 1007],
    ['a message above maxMessageBytes', '82 e5 00000000', 1009],
    ['fragments above maxMessageBytes', `02 e4 00000000 ${'00'.repeat(100)} 80 81 00000000 00`, 1009],
    ['a length above 2^53', '82 ff ffffffffffffffff', 1009],
    ['too many fragments', `01 80 00000000 ${'00 80 00000000'.repeat(4)}`, 1008],
  ])('answers %s with its code, and closes with 1006', async (_name, hex, code) => {
    const { awake, seen, receive } = wake(hex, {}, { ...OPTIONS, maxFragments: 4 });
    await ticks();
    expect(seen).toEqual([`write 8802${code.toString(16).padStart(4, '0')}`, 'finish']);
    receive('81 81 00000000 61');
    awake.end();
    await ticks();
    expect(seen.slice(2)).toEqual(['close 1006']);
  });

  it('answers a frame in too many pieces with 1008', async () => {
    const { seen, receive } = wake('', {}, { ...OPTIONS, maxBufferedChunks: 5 });
    receive('81 90 00000000');
    for (let count = 0; count < 6; count++) receive('61');
    await ticks();
    expect(seen).toEqual(['write 880203f0', 'finish']);
  });

  it('sends the close frame of an error although the client ended with it', async () => {
    const { awake, seen } = wake('83 80 00000000');
    awake.end();
    await ticks();
    expect(seen).toEqual(['write 880203ea', 'finish', 'close 1006']);
  });

  it('delivers what came before the error, and nothing behind it', async () => {
    const { seen, receive } = wake('81 81 00000000 61  83 80 00000000  81 81 00000000 62');
    receive('81 81 00000000 63');
    await ticks();
    expect(seen).toEqual(['text a', 'write 880203ea', 'finish']);
  });

  it('refuses limits that are not positive integers', () => {
    expect(() => wake('', {}, { ...OPTIONS, maxMessageBytes: 0 })).toThrow(WebSocketArgumentError);
    expect(() => wake('', {}, { ...OPTIONS, closeTimeoutMs: Number.POSITIVE_INFINITY })).toThrow(
      WebSocketArgumentError,
    );
  });
});

describe('destroy of an AwakeConnection', () => {
  watchTimers();

  it.each([
    ['idle', ''],
    ['inside a message', '01 81 00000000 61'],
    ['with an error on its way', '83 80 00000000'],
    ['after a close frame', '88 80 00000000'],
  ])('tells nobody anything more when it is %s', async (_name, hex) => {
    const { awake, seen, receive } = wake(hex);
    const before = seen.length;
    awake.destroy();
    awake.destroy();
    receive('81 81 00000000 61 88 80 00000000');
    awake.end();
    await ticks();
    expect(seen).toHaveLength(before);
    expect(awake.bufferedBytes).toBe(0);
  });

  it.each(['88 82 00000000 03e8', '89 80 00000000', '83 80 00000000'])(
    'may be called while ws writes its answer to %s, and leaves no timer',
    async (hex) => {
      let count = 0;
      const { awake, seen, receive } = wake('', {
        awakeOnWrite: () => {
          count++;
          awake.destroy();
        },
      });
      receive(`${hex} 81 81 00000000 61`);
      await ticks();
      expect(count).toBe(1);
      expect(seen).toEqual([]);
      expect(vi.getTimerCount()).toBe(0);
    },
  );

  it('may be called by the handler of a message; what stands behind it is not delivered', async () => {
    const texts: string[] = [];
    const { awake, receive } = wake('', {
      awakeOnMessage: (_slot, _generation, data) => {
        texts.push(data.toString());
        awake.destroy();
      },
    });
    receive('81 81 00000000 61  81 81 00000000 62  88 80 00000000');
    await ticks();
    expect(texts).toEqual(['a']);
  });
});

/** The bytes that a server of ws with the same limits writes after its 101, and the messages it saw. */
async function askServer(bytes: Buffer): Promise<{ written: string; messages: string[] }> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 100 });
  const messages: string[] = [];
  server.on('connection', (webSocket) => {
    webSocket.on('error', () => undefined);
    webSocket.on('message', (data: Buffer, isBinary) => {
      messages.push(`${isBinary ? 'binary' : 'text'} ${data.toString()}`);
    });
  });
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  const socket = connect(port, '127.0.0.1');
  socket.write(
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  let answer = Buffer.alloc(0);
  socket.on('data', (piece) => (answer = Buffer.concat([answer, piece])));
  await once(socket, 'data');
  socket.write(bytes);
  await once(socket, 'close');
  server.close();
  await once(server, 'close');
  return { written: answer.subarray(answer.indexOf('\r\n\r\n') + 4).toString('hex'), messages };
}

describe('AwakeConnection beside a server of ws', () => {
  const streams = [
    '01 81 00000000 61  89 82 00000000 7879  80 81 00000000 62  88 82 00000000 03e8',
    '81 81 00000000 61  81 81 00000000 ff  81 81 00000000 62',
    '82 e5 00000000',
    '82 83 01020304 616161  88 80 00000000',
    '01 81 00000000 61  02 80 00000000',
    '89 81 00000000 61  8a 80 00000000  c1 80 00000000',
    '88 83 00000000 03e8 ff',
    '81 05',
  ];

  it.each(streams)('gives the same answer to %s in one piece and in single bytes', async (hex) => {
    const expected = await askServer(bytesOf(hex));
    for (const step of [1, 1000]) {
      const { awake, seen } = wake('', { awakeOnPing: () => undefined });
      const bytes = bytesOf(hex);
      for (let at = 0; at < bytes.length; at += step)
        awake.receive(Buffer.from(bytes.subarray(at, at + step)));
      await ticks();
      const written = seen.filter((word) => word.startsWith('write ')).map((word) => word.slice(6));
      expect(written.join('')).toBe(expected.written);
      expect(seen.filter((word) => /^(text|binary) /.test(word))).toEqual(expected.messages);
      expect(seen.at(-1)).toBe('finish');
    }
  });
});

describe('the fragments of an open message', () => {
  watchTimers();

  it.each([
    ['a text', '018100000000 61 008100000000 62', '01820000000061 62', '808100000000 63', 'text abc'],
    [
      'with a ping in between',
      '018100000000 61 898000000000 008100000000 62',
      '01820000000061 62',
      '808100000000 63',
      'text abc',
    ],
    ['bytes', '028100000000 61', '02810000000061', '808100000000 62', 'binary ab'],
    ['nothing yet', '018000000000', '018000000000', '808100000000 62', 'text b'],
  ])('go on with another reader: %s', (_what, received, frame, rest, message) => {
    const { awake } = wake('');
    awake.receive(bytesOf(received));
    const open = awake.openMessage();
    expect(open?.toString('hex')).toBe(frame.replaceAll(' ', ''));
    awake.destroy();
    const next = wake(open?.toString('hex'));
    next.receive(rest);
    expect(next.seen).toContain(message);
  });

  it.each([125, 126, 65_535, 65_536])('go on with another reader, %i bytes of them', (bytes) => {
    const text = 'abcdefghijklmnopqrstuvwxyz'.repeat(3000).slice(0, bytes);
    const options = { ...OPTIONS, maxMessageBytes: 100_000 };
    const { awake } = wake('', {}, options);
    for (let at = 0; at < bytes; at += 100) {
      const fragment = Buffer.from(text.slice(at, at + 100));
      awake.receive(Buffer.from([at === 0 ? 1 : 0, 0x80 | fragment.length, 0, 0, 0, 0, ...fragment]));
    }
    const next = wake(awake.openMessage()?.toString('hex'), {}, options);
    next.receive('808000000000');
    expect(next.seen).toEqual([`text ${text}`]);
  });

  it('are compressed as they came', () => {
    const inflater = new MessageInflater({ maxMessageBytes: 100 });
    const options = { ...OPTIONS, inflater };
    // "Hello" of RFC 7692 §7.2.3.1, in two fragments.
    const { awake } = wake('', {}, options);
    awake.receive(bytesOf('418300000000 f248cd'));
    const open = awake.openMessage();
    expect(open?.toString('hex')).toBe('418300000000f248cd');
    const next = wake(open?.toString('hex'), {}, options);
    next.receive('808400000000 c9c90700');
    expect(next.seen).toEqual(['text Hello']);
  });

  it('are none between two messages, and not to be had when ws ends the connection', () => {
    const { awake, receive } = wake('818100000000 61');
    expect(awake.openMessage()).toHaveLength(0);
    receive('888000000000');
    expect(awake.openMessage()).toBeUndefined();
  });
});
