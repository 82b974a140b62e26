import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';

import { WebSocketArgumentError } from '../errors.ts';
import { parseRequestHead, type RequestHead } from './request-head.ts';
import { looksLikeHandshake, Upgrader } from './upgrader.ts';

setFlagsFromString('--expose-gc');
// A new context has `gc`, as the flag says.
// oxlint-disable-next-line no-unsafe-type-assertion
const collectGarbage = runInNewContext('gc') as () => void;

const GOOD: Readonly<Record<string, string>> = {
  Host: 'example.com',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
};

/** A handshake with some headers replaced, or removed by `undefined`. */
function handshake(changes: Readonly<Record<string, string | undefined>> = {}, method = 'GET'): string {
  const lines = Object.entries({ ...GOOD, ...changes })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}`);
  return `${[`${method} / HTTP/1.1`, ...lines].join('\r\n')}\r\n\r\n`;
}

function headOf(text: string): RequestHead {
  const bytes = Buffer.from(text, 'latin1');
  const result = parseRequestHead(bytes, 0, bytes.length, { maxHeadBytes: 8192 });
  if (result.kind !== 'complete') throw new Error(`not complete: ${JSON.stringify(result)}`);
  return result.head;
}

const HANDSHAKES: [string, string][] = [
  ['the example of RFC 6455', handshake()],
  ['version 8', handshake({ 'Sec-WebSocket-Version': '8' })],
  ['Upgrade in other letters', handshake({ Upgrade: 'WebSocket' })],
  ['extensions', handshake({ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' })],
  ['broken extensions', handshake({ 'Sec-WebSocket-Extensions': 'a;;' })],
  ['subprotocols', handshake({ 'Sec-WebSocket-Protocol': 'a, b' })],
  ['no key', handshake({ 'Sec-WebSocket-Key': undefined })],
  ['an empty key', handshake({ 'Sec-WebSocket-Key': '' })],
  ['a short key', handshake({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZQ==' })],
  ['a key with another character', handshake({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZ!==' })],
  ['no version', handshake({ 'Sec-WebSocket-Version': undefined })],
  ['a repeated subprotocol', handshake({ 'Sec-WebSocket-Protocol': 'a, a' })],
  ['a subprotocol that is no token', handshake({ 'Sec-WebSocket-Protocol': 'a b' })],
];

describe('Upgrader beside a server of ws', () => {
  const server = createServer();
  let port = 0;

  beforeAll(async () => {
    // As the Upgrader without a protocol: none is selected.
    const webSockets = new WebSocketServer({ noServer: true, handleProtocols: () => false });
    server.on('upgrade', (request, socket, head) => {
      webSockets.handleUpgrade(request, socket, head, (webSocket) => webSocket.terminate());
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  });

  afterAll(async () => {
    server.close();
    await once(server, 'close');
  });

  async function askServer(text: string): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    let answer = '';
    socket.setEncoding('latin1').on('data', (piece: string) => (answer += piece));
    socket.write(text, 'latin1');
    await once(socket, 'close');
    return answer;
  }

  it.each(HANDSHAKES)('answers %s with the same bytes', async (_name, text) => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    const head = headOf(text);
    const result = upgrader.upgrade(head);
    expect(result.response).toBe(await askServer(text));
    expect(result.response).toMatch(/^HTTP\/1\.1 (101|400) /);
    expect(result.accepted).toBe(result.response.startsWith('HTTP/1.1 101 '));
    expect(looksLikeHandshake(head)).toBe(result.accepted);
  });
});

function negotiate(offers: string): { readonly status: string; readonly extensions: string | undefined } {
  const upgrader = new Upgrader({ maxMessageBytes: 1024, compression: true });
  const head = headOf(handshake({ 'Sec-WebSocket-Extensions': offers }));
  const { accepted, isDeflated, response } = upgrader.upgrade(head);
  const extensions = /\r\nSec-WebSocket-Extensions: ([^\r]*)\r\n/.exec(response)?.[1];
  expect(accepted).toBe(response.startsWith('HTTP/1.1 101 '));
  expect(isDeflated).toBe(extensions !== undefined);
  return { status: response.slice(9, 12), extensions };
}

describe('Upgrader with compression', () => {
  const AGREED = 'permessage-deflate; client_no_context_takeover';

  it('answers the example of RFC 6455 §1.3 with an offer', () => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024, compression: true });
    const head = headOf(
      handshake({ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }),
    );
    expect(upgrader.upgrade(head, { headers: { A: 'b' } })).toEqual({
      accepted: true,
      isDeflated: true,
      response:
        'HTTP/1.1 101 Switching Protocols\r\n' +
        'Upgrade: websocket\r\n' +
        'Connection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n' +
        `Sec-WebSocket-Extensions: ${AGREED}\r\n` +
        'A: b\r\n' +
        '\r\n',
    });
    // Nothing of it stays for the next.
    expect(upgrader.upgrade(headOf(handshake()))).toMatchObject({ accepted: true, isDeflated: false });
  });

  it.each([
    ['of Firefox', 'permessage-deflate', ''],
    ['of Chromium and ws', 'permessage-deflate; client_max_window_bits', ''],
    [
      "of Python's websockets",
      'permessage-deflate; server_max_window_bits=12; client_max_window_bits=12',
      'server_max_window_bits=12',
    ],
    [
      'of the largest windows',
      'permessage-deflate; server_max_window_bits=15; client_max_window_bits="15"',
      'server_max_window_bits=12',
    ],
    // Both of them end the connection on any parameter but these two; gorilla wants both in the answer.
    [
      'of gorilla and nhooyr.io/websocket',
      'permessage-deflate; client_no_context_takeover; server_no_context_takeover',
      'server_no_context_takeover',
    ],
    [
      'of everything',
      'permessage-deflate;server_max_window_bits="13" ; server_no_context_takeover;client_max_window_bits=9',
      'server_no_context_takeover; server_max_window_bits=12',
    ],
  ])('answers an offer %s with what it has, and client_no_context_takeover', (_name, offers, answered) => {
    const { status, extensions } = negotiate(offers);
    expect(status).toBe('101');
    expect(new Set(extensions?.split('; '))).toEqual(
      new Set([...AGREED.split('; '), ...(answered === '' ? [] : answered.split('; '))]),
    );
  });

  it.each([
    ['beside other extensions', 'x-webkit-deflate-frame, permessage-deflate'],
    [
      'behind an extension of which ws would take no value',
      'bbf-usp-protocol; eid="os::1-a,b", permessage-deflate',
    ],
    ['behind one of a smaller window', 'permessage-deflate; server_max_window_bits=9, permessage-deflate'],
    ['behind one that is not to be accepted', 'permessage-deflate; a, permessage-deflate'],
    ['behind one that is malformed', 'permessage-deflate;;, permessage-deflate'],
    ['behind what is no token', '@, "permessage-deflate", permessage-deflate'],
    ['between empty elements', ', ,permessage-deflate,'],
  ])('takes the first offer that can be met, %s', (_name, offers) => {
    expect(negotiate(offers)).toEqual({ status: '101', extensions: AGREED });
  });

  // RFC 7692 §7.1 lists what a server must decline; of what is malformed it says nothing.
  it.each([
    ['of a window smaller than ours', 'permessage-deflate; server_max_window_bits=11'],
    [
      'of small windows only',
      'permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9',
    ],
    ['of other extensions', 'permessage-bzip2, x-webkit-deflate-frame; a="b"'],
    ['of another extension with a value that is no token', 'bbf-usp-protocol; eid="os::0123-abcd"'],
    ['with an unknown parameter', 'permessage-deflate; window=3'],
    ['with a value where none belongs', 'permessage-deflate; server_no_context_takeover=1'],
    ['without a value where one belongs', 'permessage-deflate; server_max_window_bits'],
    ['of a window that there is not', 'permessage-deflate; client_max_window_bits=16'],
    ['of a window with a leading sign', 'permessage-deflate; server_max_window_bits=-9'],
    ['of a window with a leading zero', 'permessage-deflate; server_max_window_bits=012'],
    ['of a window in hexadecimal', 'permessage-deflate; client_max_window_bits=0xf'],
    ['with a repeated parameter', 'permessage-deflate; client_max_window_bits=9; client_max_window_bits=9'],
    ['that is no list of extensions', 'permessage-deflate;;'],
    ['whose quotes do not end', 'permessage-deflate; client_max_window_bits="9, permessage-deflate'],
    ['that is empty', ''],
    ['that has empty elements only', ' ,, '],
  ])('declines an offer %s, and the connection goes on uncompressed', (_name, offers) => {
    expect(negotiate(offers)).toEqual({ status: '101', extensions: undefined });
  });

  it('agrees on nothing when it is off', () => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    for (const offers of ['permessage-deflate', 'permessage-deflate;;']) {
      const result = upgrader.upgrade(headOf(handshake({ 'Sec-WebSocket-Extensions': offers })));
      expect(result).toMatchObject({ accepted: true, isDeflated: false });
      expect(result.response).not.toContain('Sec-WebSocket-Extensions');
    }
  });
});

describe('Upgrader', () => {
  it('answers the example of RFC 6455 §1.3', () => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    expect(upgrader.upgrade(headOf(handshake()))).toEqual({
      accepted: true,
      isDeflated: false,
      response:
        'HTTP/1.1 101 Switching Protocols\r\n' +
        'Upgrade: websocket\r\n' +
        'Connection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n' +
        '\r\n',
    });
  });

  it.each(['12', '14', '013', '+13', '0xd', '13.0', '13a', '13, 8', ''])(
    'answers version %j with those that it speaks (RFC 6455 §4.4)',
    (version) => {
      const upgrader = new Upgrader({ maxMessageBytes: 1024 });
      const head = headOf(handshake({ 'Sec-WebSocket-Version': version }));
      expect(looksLikeHandshake(head)).toBe(false);
      expect(upgrader.upgrade(head)).toEqual({
        accepted: false,
        isDeflated: false,
        response:
          'HTTP/1.1 426 Upgrade Required\r\n' +
          'Connection: close, Upgrade\r\n' +
          'Content-Type: text/plain; charset=utf-8\r\n' +
          'Content-Length: 50\r\n' +
          'Upgrade: websocket\r\n' +
          'Sec-WebSocket-Version: 13, 8\r\n' +
          '\r\n' +
          'This server speaks versions 13 and 8 of WebSocket.',
      });
    },
  );

  it('answers another method with the one that is allowed (RFC 9110 §15.5.6)', () => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    const head = headOf(handshake({}, 'POST'));
    expect(looksLikeHandshake(head)).toBe(false);
    expect(upgrader.upgrade(head)).toEqual({
      accepted: false,
      isDeflated: false,
      response:
        'HTTP/1.1 405 Method Not Allowed\r\n' +
        'Connection: close\r\n' +
        'Content-Type: text/plain; charset=utf-8\r\n' +
        'Content-Length: 36\r\n' +
        'Allow: GET\r\n' +
        '\r\n' +
        'A WebSocket handshake must be a GET.',
    });
  });

  it.each(['h2c, websocket', 'websocket, h2c', 'WebSocket,', ' ,websocket'])(
    'takes Upgrade: %s, which is a list (RFC 9110 §7.8)',
    (value) => {
      const upgrader = new Upgrader({ maxMessageBytes: 1024 });
      for (const extra of [{}, { 'Sec-WebSocket-Protocol': 'a' }]) {
        const head = headOf(handshake({ Upgrade: value, ...extra }));
        expect(looksLikeHandshake(head)).toBe(true);
        const { accepted, response } = upgrader.upgrade(head, { protocol: 'a' });
        expect(accepted).toBe(true);
        expect(response).toContain('\r\nUpgrade: websocket\r\n');
      }
    },
  );

  it.each([
    ['', undefined],
    [',', undefined],
    ['chat,', 'chat'],
    [', chat', 'chat'],
    ['other, , chat', 'chat'],
  ])('ignores the empty elements of Sec-WebSocket-Protocol: %j', (value, selected) => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    const head = headOf(handshake({ 'Sec-WebSocket-Protocol': value }));
    expect(looksLikeHandshake(head)).toBe(true);
    const { accepted, response } = upgrader.upgrade(head, { protocol: 'chat' });
    expect(accepted).toBe(true);
    expect(/\r\nSec-WebSocket-Protocol: (.*)\r\n/.exec(response)?.[1]).toBe(selected);
    expect(upgrader.upgrade(head).response).not.toContain('Sec-WebSocket-Protocol');
  });

  it('selects the wanted subprotocol when it was offered, and none otherwise', () => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    const head = headOf(handshake({ 'Sec-WebSocket-Protocol': 'a, b' }));
    expect(upgrader.upgrade(head, { protocol: 'b' }).response).toContain('\r\nSec-WebSocket-Protocol: b\r\n');
    for (const protocol of ['c', '', undefined]) {
      const { accepted, response } = upgrader.upgrade(head, { protocol });
      expect(accepted).toBe(true);
      expect(response).not.toContain('Sec-WebSocket-Protocol');
    }
    expect(upgrader.upgrade(headOf(handshake()), { protocol: 'a' }).response).not.toContain('Protocol:');
  });

  it('adds headers to the answer that they were given for, and to no other', () => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    const head = headOf(handshake());
    expect(upgrader.upgrade(head, { headers: { 'Set-Cookie': 'a=b', 'X-Node': '1' } }).response).toMatch(
      /\r\nSet-Cookie: a=b\r\nX-Node: 1\r\n\r\n$/,
    );
    expect(upgrader.upgrade(head).response).not.toContain('Set-Cookie');
    const refused = upgrader.upgrade(headOf(handshake({}, 'POST')), { headers: { A: 'b' } });
    expect(refused.response).not.toContain('A: b');
  });

  it.each<[string, Record<string, string>]>([
    ['that forges lines', { A: 'b\r\nC: d' }],
    ['of the handshake', { 'sec-websocket-accept': 'a' }],
    ['that selects an extension', { 'Sec-WebSocket-Extensions': 'permessage-deflate' }],
    ['that frames a body', { 'Content-Length': '0' }],
  ])('refuses a header %s, and serves the next handshake', (_name, headers) => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    const head = headOf(handshake());
    expect(() => upgrader.upgrade(head, { headers })).toThrow(WebSocketArgumentError);
    expect(upgrader.upgrade(head).response.match(/HTTP\/1\.1 101/g)).toHaveLength(1);
  });

  it('keeps no request alive', async () => {
    const upgrader = new Upgrader({ maxMessageBytes: 1024 });
    // In a function of its own, whose frame is gone when the garbage is collected.
    const references = (() =>
      [handshake({}, 'POST'), handshake()].map((text) => {
        const head = headOf(text);
        upgrader.upgrade(head, { headers: { A: 'b' } });
        return new WeakRef(head);
      }))();
    // A WeakRef holds its target until the end of the turn that made it.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(references.map((reference) => reference.deref())).toEqual([undefined, undefined]);
    expect(upgrader.upgrade(headOf(handshake())).accepted).toBe(true);
  });
});
