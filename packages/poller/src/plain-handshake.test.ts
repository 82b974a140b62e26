import { createHash, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PlainHandshake } from './plain-handshake.ts';

const HEAD = [
  'GET /chat?room=1 HTTP/1.1',
  'Host: example.com:8080',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];

const handshake = new PlainHandshake();

function request(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** With other bytes around it, as in a slab. */
function read(text: string): number {
  const bytes = Buffer.from(`\r\n${text}\x81\x80`, 'latin1');
  return handshake.read(bytes, 2, bytes.length);
}

function without(line: number): string[] {
  return HEAD.filter((_, index) => index !== line);
}

function replaced(from: string, to: string): string {
  const text = request(...HEAD);
  expect(text).toContain(from);
  return text.replace(from, to);
}

describe('a plain handshake', () => {
  it('is recognised, and its 101 is that of RFC 6455 §1.3', () => {
    const text = request(...HEAD);
    expect(read(text)).toBe(text.length);
    expect(handshake.response.toString('latin1')).toBe(
      'HTTP/1.1 101 Switching Protocols\r\n' +
        'Upgrade: websocket\r\n' +
        'Connection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n' +
        '\r\n',
    );
    expect([handshake.targetStart, handshake.targetEnd]).toEqual([2 + 4, 2 + 4 + '/chat?room=1'.length]);
    expect(handshake.offersExtensions).toBe(false);
  });

  it('has the accept that node:crypto computes, for any key', () => {
    for (let turn = 0; turn < 500; turn++) {
      const key = randomBytes(16).toString('base64');
      expect(read(replaced('dGhlIHNhbXBsZSBub25jZQ==', key))).toBeGreaterThan(0);
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      expect(handshake.response.toString('latin1')).toContain(`Sec-WebSocket-Accept: ${accept}\r\n`);
    }
  });

  it.each<[string, string]>([
    [
      'the headers of a browser',
      request(...HEAD, 'Origin: http://a', 'User-Agent: Mozilla/5.0 (X11)', 'Cookie: a=\xe9'),
    ],
    ['names and values in other capitals', replaced('Upgrade: websocket', 'UPGRADE: WebSocket')],
    ['keep-alive beside Upgrade', replaced('n: Upgrade', 'n: keep-alive, Upgrade')],
    ['blanks around values', replaced('Host: example.com:8080', 'Host: \t a  ')],
    ['an empty Host', replaced('Host: example.com:8080', 'Host:')],
    ['a hundred headers', request(...HEAD, ...Array.from({ length: 95 }, (_, index) => `a${index}: b`))],
  ])('may have %s', (_name, text) => {
    expect(read(text)).toBe(text.length);
  });

  it('tells that extensions are offered', () => {
    expect(read(request(...HEAD, 'sec-websocket-extensions: permessage-deflate'))).toBeGreaterThan(0);
    expect(handshake.offersExtensions).toBe(true);
    expect(read(request(...HEAD))).toBeGreaterThan(0);
    expect(handshake.offersExtensions).toBe(false);
  });

  it('is whole with its last byte, and not before', () => {
    const bytes = Buffer.from(request(...HEAD, 'Origin: http://a'), 'latin1');
    for (let end = 0; end < bytes.length; end++)
      expect([end, handshake.read(bytes, 0, end)]).toEqual([end, 0]);
    expect(handshake.read(bytes, 0, bytes.length)).toBe(bytes.length);
  });

  it.each<[string, string]>([
    ['another method', replaced('GET ', 'PUT ')],
    ['an absolute target', replaced('/chat', 'http://a/chat')],
    ['a fragment', replaced('room=1', 'room#1')],
    ['a target outside ASCII', replaced('room=1', 'room=\xe9')],
    ['HTTP/1.0', replaced('HTTP/1.1', 'HTTP/1.0')],
    ['an empty line before it', `\r\n${request(...HEAD)}`],
    ['a bare LF', replaced('8080\r\n', '8080\n')],
    ['a control character', request(...HEAD, 'A: \x1b')],
    ['DEL', request(...HEAD, 'A: \x7f')],
    ['a folded line', request(...HEAD, 'A: b', ' c')],
    ['a space before a colon', request(...HEAD, 'A : b')],
    ['a line without a colon', request(...HEAD, 'A')],
    ['an empty name', request(...HEAD, ': b')],
    ['a name outside ASCII', request(...HEAD, '\xe9: b')],
    ['a tab behind a value', request(...HEAD, 'A: b\t')],
    ['no Host', request(...without(1))],
    ['no Upgrade', request(...without(2))],
    ['no Connection', request(...without(3))],
    ['no key', request(...without(4))],
    ['no version', request(...without(5))],
    ...[1, 2, 3, 4, 5].map((line): [string, string] => [
      `two of line ${line}`,
      request(...HEAD, HEAD[line] ?? ''),
    ]),
    ['two authorizations', request(...HEAD, 'Authorization: a', 'authorization: a')],
    ['a Host with a path', replaced('8080', '8080/b')],
    ['an upgrade to something else', replaced('websocket', 'h2c')],
    ['a list of upgrades', replaced('websocket', 'h2c, websocket')],
    ['Connection: close', replaced('n: Upgrade', 'n: close')],
    ['a short key', replaced('dGhl', 'dGh')],
    ['a key that is no base64', replaced('dGhl', 'dG-l')],
    ['a key without padding', replaced('ZQ==', 'ZQAA')],
    ['version 8', replaced('Version: 13', 'Version: 8')],
    ['version 013', replaced('Version: 13', 'Version: 013')],
    ['a subprotocol', request(...HEAD, 'Sec-WebSocket-Protocol: chat')],
    ['a length', request(...HEAD, 'Content-Length: 0')],
    ['chunks', request(...HEAD, 'Transfer-Encoding: chunked')],
    ['__proto__ as a name', request(...HEAD, '__proto__: a')],
    ['constructor as a name', request(...HEAD, 'Constructor: a')],
    ['prototype as a name', request(...HEAD, 'prototype: a')],
    ['101 headers', request(...HEAD, ...Array.from({ length: 96 }, (_, index) => `a${index}: b`))],
  ])('has not %s', (_name, text) => {
    expect(read(text)).toBe(0);
  });

  it('is not read past the end of the bytes, or before their beginning', () => {
    const bytes = Buffer.from(request(...HEAD));
    expect(() => handshake.read(bytes, 0, bytes.length + 1)).toThrow(TypeError);
    expect(() => handshake.read(bytes, 5, 4)).toThrow(TypeError);
    expect(() => handshake.read(bytes, -1, 4)).toThrow(TypeError);
  });
});
