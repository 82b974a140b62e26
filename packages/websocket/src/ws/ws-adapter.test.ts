// The leading underscores are ws's.
/* oxlint-disable no-underscore-dangle */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { describe, expect, it } from 'vitest';
import { PerMessageDeflate } from 'ws';

import { AwakeSocket } from './awake-socket.ts';
import {
  createServerSide,
  detach,
  heldBytes,
  inflateError,
  isAtMessageBoundary,
  isOpen,
  isProtocolList,
  type InflateCallback,
  type ReceiverInflate,
  type ServerSideListeners,
  type ServerSideOptions,
  type ServerSideWebSocket,
} from './ws-adapter.ts';

const OPTIONS: ServerSideOptions = {
  allowSynchronousEvents: true,
  autoPong: true,
  closeTimeout: 5000,
  maxBufferedChunks: 50,
  maxFragments: 40,
  maxPayload: 300,
  maxPendingAutoPongs: 7,
  skipUTF8Validation: false,
};

const LISTENERS: ServerSideListeners<string[]> = {
  onMessage: (owner, data, isBinary) => owner.push(`message ${data.toString('hex')} ${isBinary}`),
  onPing: (owner) => owner.push('ping'),
  onPong: (owner) => owner.push('pong'),
  onError: (owner) => owner.push('error'),
  onClose: (owner, code) => owner.push(`close ${code}`),
};

interface Rig {
  readonly seen: string[];
  readonly socket: AwakeSocket<string[]>;
  readonly webSocket: ServerSideWebSocket<string[]>;
  readonly receive: (hex: string) => void;
}

function openServerSide(inflate?: ReceiverInflate): Rig {
  const seen: string[] = [];
  const socket = new AwakeSocket(
    {
      onWrite: (owner: string[], frame: Buffer) => owner.push(`write ${frame.toString('hex')}`),
      onFinish: (owner: string[]) => owner.push('finish'),
    },
    seen,
  );
  const webSocket = createServerSide(socket, { ...OPTIONS, inflate }, LISTENERS, seen);
  return {
    seen,
    socket,
    webSocket,
    receive: (hex) => socket.deliver(Buffer.from(hex.replaceAll(' ', ''), 'hex')),
  };
}

function unexpected(): never {
  throw new Error('nothing was to be inflated');
}

describe('what is relied on inside ws', () => {
  it('is of the version whose sources were read', () => {
    const path = createRequire(import.meta.url).resolve('ws/package.json');
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ name: 'ws', version: '8.23.0' });
  });

  it('has the members, with the values of an idle connection', () => {
    const { webSocket } = openServerSide();
    expect(webSocket).toMatchObject({
      _isServer: true,
      _autoPong: true,
      _closeFrameSent: false,
      _closeFrameReceived: false,
      _pendingAutoPongs: 0,
      _maxPendingAutoPongs: 7,
      _closeTimeout: 5000,
      _closeTimer: null,
      _extensions: {},
    });
    expect(webSocket._receiver).toMatchObject({
      _state: 0,
      _bufferedBytes: 0,
      _buffers: [],
      _fragmented: 0,
      _fragments: [],
      _messageLength: 0,
      _errored: false,
      _allowSynchronousEvents: true,
      _binaryType: 'nodebuffer',
      _isServer: true,
      _maxBufferedChunks: 50,
      _maxFragments: 40,
      _maxPayload: 300,
      _skipUTF8Validation: false,
      writableEnded: false,
      writableLength: 0,
    });
    expect(webSocket._receiver._writableState.errorEmitted).toBe(false);
    expect(webSocket._sender).toMatchObject({ _state: 0, _queue: [], _firstFragment: true });
    expect([isOpen(webSocket), isAtMessageBoundary(webSocket), heldBytes(webSocket)]).toEqual([
      true,
      true,
      0,
    ]);
  });

  it('moves the receiver state with every part of a frame', () => {
    const { webSocket, receive } = openServerSide();
    const receiver = webSocket._receiver;
    const states: unknown[] = [];
    for (const hex of ['01', 'fe', '00', '80', '000000', '00', '61'.repeat(127), '62']) {
      receive(hex);
      states.push([receiver._state, receiver._bufferedBytes, isAtMessageBoundary(webSocket)]);
    }
    expect(states).toEqual([
      [0, 1, false],
      [1, 0, false],
      [1, 1, false],
      [3, 0, false],
      [3, 3, false],
      [4, 0, false],
      [4, 127, false],
      [0, 0, false],
    ]);
    expect(receiver).toMatchObject({ _fragmented: 1, _messageLength: 128 });
    expect(receiver._fragments).toHaveLength(1);
    expect(heldBytes(webSocket)).toBeGreaterThanOrEqual(128);
    receive('80 80 00000000');
    expect(isAtMessageBoundary(webSocket)).toBe(true);
    expect(receiver).toMatchObject({ _fragmented: 0, _fragments: [], _messageLength: 0 });
  });

  it('delivers messages and writes pongs within the call, in order', () => {
    const { seen, receive } = openServerSide();
    receive('8181 00000000 61 8982 00000000 7879 8281 00000000 62 8a80 00000000');
    expect(seen).toEqual(['message 61 false', 'write 8a027879', 'ping', 'message 62 true', 'pong']);
  });

  it('marks an error at once and reports it later', async () => {
    const { seen, webSocket, receive } = openServerSide();
    receive('83 80 00000000');
    expect(webSocket._receiver._errored).toBe(true);
    expect(webSocket._receiver._writableState.errorEmitted).toBe(false);
    expect(seen).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(webSocket._receiver._writableState.errorEmitted).toBe(true);
    expect(seen).toEqual(['write 880203ea', 'error', 'finish']);
    detach(webSocket);
  });

  it('starts its close timer after the close frame is written, and detach stops it', () => {
    const { seen, webSocket } = openServerSide();
    webSocket.close(1000, Buffer.from('bye'));
    expect(seen).toEqual(['write 880503e8627965']);
    expect(webSocket._closeFrameSent).toBe(true);
    expect(webSocket._closeTimer?.hasRef()).toBe(true);
    detach(webSocket);
    expect(webSocket._closeTimer).toBe(null);
  });

  it('asks permessage-deflate for the payloads of compressed messages, and waits to be called back', async () => {
    expect(new PerMessageDeflate({ isServer: true })).toMatchObject({
      decompress: expect.any(Function),
      cleanup: expect.any(Function),
    });
    const asked: unknown[] = [];
    let answer: InflateCallback = unexpected;
    const { seen, webSocket, receive } = openServerSide({
      decompress: (payload, isLast, callback) => {
        asked.push([payload.toString('hex'), isLast]);
        answer = callback;
      },
      cleanup: () => undefined,
    });
    receive('41 81 00000000 01  89 80 00000000  80 81 00000000 02  81 81 00000000 61');
    expect(isAtMessageBoundary(webSocket)).toBe(false);
    answer(null, Buffer.alloc(0));
    expect(isAtMessageBoundary(webSocket)).toBe(false);
    answer(null, Buffer.from('Hello'));
    expect(asked).toEqual([
      ['01', false],
      ['02', true],
    ]);
    expect(seen).toEqual(['write 8a00', 'ping', 'message 48656c6c6f false', 'message 61 false']);
    expect(isAtMessageBoundary(webSocket)).toBe(true);
    receive('c2 80 00000000');
    answer(inflateError(webSocket, true));
    expect(webSocket._receiver._errored).toBe(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen.slice(4)).toEqual(['write 880203f1', 'error', 'finish']);
    detach(webSocket);
  });

  it('parses lists of subprotocols', () => {
    expect(['a', 'a, b', 'a,,b', '', 'a, a'].map(isProtocolList)).toEqual([true, true, false, false, false]);
  });
});
