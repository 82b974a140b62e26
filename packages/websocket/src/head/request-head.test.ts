import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { absoluteForm } from './absolute-form.ts';
import {
  findHeadEnd,
  copyHeaders,
  hasRepeatedHeader,
  parseRequestHead,
  type RequestHead,
  type RequestHeadResult,
} from './request-head.ts';

const HANDSHAKE = [
  'GET /chat?room=1 HTTP/1.1',
  'Host: example.com:8080',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
];

function request(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function get(...headers: string[]): string {
  return request('GET / HTTP/1.1', 'Host: a', ...headers);
}

function handshake(...headers: string[]): string {
  return request(...HANDSHAKE, ...headers);
}

function parse(text: string, maxHeadBytes = 8192): RequestHeadResult {
  // With foreign bytes around it, as in a slab.
  const bytes = Buffer.from(`\r\n\r${text}\n\r\n\r\n`, 'latin1');
  return parseRequestHead(bytes, 3, bytes.length - 5, { maxHeadBytes });
}

function headOf(text: string): RequestHead {
  const result = parse(text);
  if (result.kind !== 'complete') throw new Error(`not complete: ${JSON.stringify(result)}`);
  return result.head;
}

function statusOf(result: RequestHeadResult): number | string {
  return result.kind === 'refused' ? result.status : result.kind;
}

describe('findHeadEnd', () => {
  it('finds the end at every alignment, and no other order of CR and LF', () => {
    for (let length = 0; length < 12; length++) {
      for (const filler of ['a', '\r', '\n', '\t']) {
        const prefix = filler.repeat(length);
        const bytes = Buffer.from(`${prefix}\r\n\r\nrest`);
        expect(findHeadEnd(bytes, 0, bytes.length)).toBe(length + 4);
        expect(findHeadEnd(bytes, 0, length + 3)).toBe(-1);
      }
    }
    for (const text of ['\r\n\n\r\n', '\n\r\n\r\r\n', '\r\r\n\n', 'a\n\nb', '\r\n\r', '']) {
      expect(findHeadEnd(Buffer.from(text), 0, text.length)).toBe(-1);
    }
  });

  it('answers the first of several', () => {
    const bytes = Buffer.from('a\r\n\r\n\r\n\r\n');
    expect(findHeadEnd(bytes, 0, bytes.length)).toBe(5);
    expect(findHeadEnd(bytes, 2, bytes.length)).toBe(7);
  });
});

describe('parseRequestHead', () => {
  it('reads a handshake and leaves what follows it', () => {
    const text = handshake('Origin: http://example.com');
    const bytes = Buffer.from(`${text}\x81\x80`, 'latin1');
    const result = parseRequestHead(bytes, 0, bytes.length, { maxHeadBytes: 8192 });
    expect(result).toEqual({
      kind: 'complete',
      head: {
        method: 'GET',
        target: '/chat?room=1',
        headBytes: text.length,
        isUpgrade: true,
        headers: {
          host: 'example.com:8080',
          upgrade: 'websocket',
          connection: 'Upgrade',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'sec-websocket-version': '13',
          origin: 'http://example.com',
        },
      },
    });
  });

  it('gives headers without a prototype', () => {
    expect(Object.getPrototypeOf(headOf(get()).headers)).toBe(null);
  });

  it('trims the space around values and keeps what is inside', () => {
    const { headers } = headOf(get('A:b', 'C: \t d\te  f \t', 'E:', 'F:   ', 'G: \xe9'));
    expect(headers).toEqual({ host: 'a', a: 'b', c: 'd\te  f', e: '', f: '', g: '\xe9' });
  });

  it.each([
    ['GET http://b:80/c?d HTTP/1.1', '/c?d', 'b:80'],
    ['GET https://b HTTP/1.1', '/', 'b'],
    ['GET http://[::1]:8?d HTTP/1.1', '/?d', '[::1]:8'],
    ['GET /http://b/c HTTP/1.1', '/http://b/c', 'a'],
    ['OPTIONS * HTTP/1.1', '*', 'a'],
  ])('takes the target and the host of %s from an absolute form (RFC 9112 §3.2.2)', (text, target, host) => {
    expect(headOf(request(text, 'Host: a'))).toMatchObject({ target, headers: { host } });
  });

  it.each(['\r\n', '\r\n\r\n\r\n'])('skips empty lines before the request line: %j', (lines) => {
    const text = `${lines}${handshake()}`;
    expect(headOf(text)).toEqual({ ...headOf(handshake()), headBytes: text.length });
    for (let length = 0; length < text.length; length++) {
      expect([length, statusOf(parse(text.slice(0, length)))]).toEqual([length, 'incomplete']);
    }
    // They count.
    expect(statusOf(parse(text, text.length - 1))).toBe(431);
  });

  it('joins repeated headers, or keeps the first, as Node does', () => {
    const { headers } = headOf(
      get('Cookie: a=1', 'X: 1', 'User-Agent: first', 'cookie: b=2', 'x: 2', 'USER-AGENT: second'),
    );
    expect(headers).toEqual({ host: 'a', cookie: 'a=1; b=2', x: '1, 2', 'user-agent': 'first' });
  });

  it.each([
    ['names websocket', handshake(), true],
    ['names it in other letters', handshake().replace('websocket', 'WebSocket'), true],
    ['names it in a list', handshake().replace('websocket', 'h2c, websocket'), true],
    ['has Connection: keep-alive, Upgrade', handshake('Connection: keep-alive'), true],
    ['has a Content-Length of 0', handshake('Content-Length: 0'), true],
    ['has two Upgrade lines', handshake('Upgrade: h2c'), true],
    ['names h2c', get('Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: a'), false],
    ['names websockets', get('Connection: Upgrade', 'Upgrade: websockets'), false],
    ['names it in absolute form', handshake().replace('/chat', 'http://a/chat'), true],
    ['has no Upgrade header', get(), false],
    ['is HTTP/1.0 without Host', request('GET / HTTP/1.0'), false],
    ['posts a body', `${request('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3')}abc`, false],
    ['posts chunks', request('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked'), false],
    ['is in absolute form', request('GET http://a:80/b?c HTTP/1.1', 'Host: a'), false],
    ['asks about everything', request('OPTIONS * HTTP/1.1', 'Host: a'), false],
  ])('tells whether a request that %s is an upgrade', (_name, text, isUpgrade) => {
    expect(headOf(text).isUpgrade).toBe(isUpgrade);
  });

  it.each<[string, string, number]>([
    ['a leading bare LF', `\n${get()}`, 400],
    ['a leading bare CR', `\r${get()}`, 400],
    ['a leading blank', ` \r\n${get()}`, 400],
    ['half an empty line before a letter', '\rG', 400],
    ['a method in small letters', request('get / HTTP/1.1', 'Host: a'), 400],
    ['a method that is no token', request('G@T / HTTP/1.1', 'Host: a'), 400],
    ['an endless method', 'A'.repeat(40), 400],
    ['a missing target', request('GET HTTP/1.1', 'Host: a'), 400],
    ['two spaces', request('GET  / HTTP/1.1', 'Host: a'), 400],
    ['a tab for a space', request('GET\t/ HTTP/1.1', 'Host: a'), 400],
    ['a space in the target', request('GET /a b HTTP/1.1', 'Host: a'), 400],
    ['a space behind the version', request('GET / HTTP/1.1 ', 'Host: a'), 400],
    ['a fragment', request('GET /a#b HTTP/1.1', 'Host: a'), 400],
    ['a target outside ASCII', request('GET /\xe9 HTTP/1.1', 'Host: a'), 400],
    ['NUL in the target', request('GET /\0 HTTP/1.1', 'Host: a'), 400],
    ['DEL in the target', request('GET /\x7f HTTP/1.1', 'Host: a'), 400],
    ['a relative target', request('GET a HTTP/1.1', 'Host: a'), 400],
    ['a target of another scheme', request('GET ftp://a/ HTTP/1.1', 'Host: a'), 400],
    ['an absolute target without host', request('GET http:/// HTTP/1.1', 'Host: a'), 400],
    ['user information in the target', request('GET http://u@a/ HTTP/1.1', 'Host: a'), 400],
    ['an asterisk for GET', request('GET * HTTP/1.1', 'Host: a'), 400],
    ['CONNECT', request('CONNECT a:80 HTTP/1.1', 'Host: a'), 501],
    ['an unknown method', request('FOO / HTTP/1.1', 'Host: a'), 501],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    ['HTTP/2.0', request('GET / HTTP/2.0', 'Host: a'), 505],
    ['HTTP/1.2', request('GET / HTTP/1.2', 'Host: a'), 505],
    ['HTTP/0.9', 'GET /\r\n\r\n', 400],
    ['another protocol', request('GET / HTCPCP/1.0', 'Host: a'), 400],
    ['a version in small letters', request('GET / http/1.1', 'Host: a'), 400],
    ['a bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 400],
    ['a bare LF after a header', 'GET / HTTP/1.1\r\nHost: a\nA: b\r\n\r\n', 400],
    ['a bare CR in a value', get('A: b\rc'), 400],
    ['a folded line', get('A: b', ' c'), 400],
    ['a folded line with a tab', get('A: b', '\tc'), 400],
    ['a space before the first header', request('GET / HTTP/1.1', ' Host: a'), 400],
    ['a space before the colon', get('A : b'), 400],
    ['an empty name', get(': b'), 400],
    ['a line without a colon', get('A'), 400],
    ['a name that is no token', get('A(b): c'), 400],
    ['a name outside ASCII', get('\xe9: c'), 400],
    ['NUL in a value', get('A: b\0'), 400],
    ['a control character in a value', get('A: \x1b[31m'), 400],
    ['DEL in a value', get('A: \x7f'), 400],
    ['__proto__ as a name', get('__proto__: a'), 400],
    ['constructor as a name', get('Constructor: a'), 400],
    ['no Host', request('GET / HTTP/1.1', 'A: b'), 400],
    ['no header at all', request('GET / HTTP/1.1'), 400],
    ['a Host with a path', request('GET / HTTP/1.1', 'Host: a/b'), 400],
    ['a Host with two names', request('GET / HTTP/1.1', 'Host: a, b'), 400],
    ['two Hosts', get('Host: a'), 400],
    ['two authorizations', get('Authorization: a', 'authorization: a'), 400],
    ['two keys', handshake('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 400],
    ['two versions', handshake('Sec-WebSocket-Version: 13'), 400],
    ['two lengths', get('Content-Length: 1', 'Content-Length: 1'), 400],
    ['two encodings', get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 400],
    ['a length beside an encoding', get('Content-Length: 1', 'Transfer-Encoding: chunked'), 400],
    ['a length that is no number', get('Content-Length: 1a'), 400],
    ['a signed length', get('Content-Length: +1'), 400],
    ['an empty length', get('Content-Length:'), 400],
    ['a list of lengths', get('Content-Length: 1, 1'), 400],
    ['an endless length', get(`Content-Length: ${'9'.repeat(20)}`), 400],
    ['a tab behind a length', get('Content-Length: 0\t'), 400],
    ['a tab behind an encoding', get('Transfer-Encoding: chunked \t'), 400],
    ['an unknown encoding', get('Transfer-Encoding: gzip, chunked'), 400],
    ['an encoding in HTTP/1.0', request('POST / HTTP/1.0', 'Transfer-Encoding: chunked'), 400],
    ['an upgrade with a body', handshake('Content-Length: 1'), 400],
    ['an upgrade with chunks', handshake('Transfer-Encoding: chunked'), 400],
    ['an upgrade in HTTP/1.0', handshake().replace('HTTP/1.1', 'HTTP/1.0'), 505],
    ['an upgrade without Connection', handshake().replace('Connection', 'X'), 400],
    ['an upgrade with Connection: close', handshake().replace('n: Upgrade', 'n: close'), 400],
    ['an upgrade with a tab behind Connection', handshake().replace('n: Upgrade', 'n: Upgrade\t'), 400],
    ['an upgrade with a tab in Connection', handshake().replace('n: Upgrade', 'n: Upgrade\t, a'), 400],
    ['an upgrade with a no-break space', handshake().replace('n: Upgrade', 'n: a,\xa0Upgrade'), 400],
    ['an upgrade of everything', handshake().replace('GET /chat?room=1', 'OPTIONS *'), 400],
    ['101 headers', get(...Array.from({ length: 100 }, (_, index) => `a${index}: b`)), 431],
  ])('refuses %s', (_name, text, status) => {
    expect(statusOf(parse(text))).toBe(status);
  });

  it('knows common headers in any capitals', () => {
    const { headers } = headOf(get('UPGRADE: b', 'Origin: c', 'origiN: d', 'Upgrada: e'));
    expect(headers).toEqual({ host: 'a', upgrade: 'b', origin: 'c, d', upgrada: 'e' });
  });

  it('gives copies that are the same, also without a prototype', () => {
    const { headers } = headOf(get('Cookie: a=1', 'G: \xe9', 'E:'));
    const copies = copyHeaders(headers);
    expect(copies).toEqual(headers);
    expect(Object.getPrototypeOf(copies)).toBe(null);
  });

  it('finds headers that must not be repeated in what Node gives', () => {
    expect(hasRepeatedHeader(['Host', 'a', 'Cookie', 'b', 'cookie', 'b', 'Authorization', 'c'])).toBe(false);
    expect(hasRepeatedHeader(['Authorization', 'a', 'Host', 'b', 'authorization', 'a'])).toBe(true);
    expect(hasRepeatedHeader([])).toBe(false);
  });

  it('takes 100 headers', () => {
    const head = headOf(get(...Array.from({ length: 99 }, (_, index) => `a${index}: b`)));
    expect(Object.keys(head.headers)).toHaveLength(100);
  });

  it('takes a head of maxHeadBytes and refuses a larger one with 431, with or without its end', () => {
    const text = get('A: b');
    expect(statusOf(parse(text, text.length))).toBe('complete');
    expect(statusOf(parse(text, text.length - 1))).toBe(431);
    expect(statusOf(parse(text.slice(0, -1), text.length))).toBe('incomplete');
    expect(statusOf(parse(text.slice(0, -1), text.length - 1))).toBe(431);
  });

  it('waits for the rest of a good head, wherever it is cut', () => {
    for (const text of [
      handshake('Cookie: a=b'),
      request('GET https://example.com/a HTTP/1.1', 'Host: a'),
      request('OPTIONS * HTTP/1.0'),
    ]) {
      for (let length = 0; length < text.length; length++) {
        expect([length, statusOf(parse(text.slice(0, length)))]).toEqual([length, 'incomplete']);
      }
      expect(statusOf(parse(text))).toBe('complete');
    }
  });

  it.each([
    ['a TLS ClientHello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    ['its first byte', '\x16', 400],
    ['a letter of a method in small letters', 'g', 400],
    ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n', 400],
    ['a SOCKS greeting', '\x05\x01\x00', 400],
    ['PROXY protocol', 'PROXY TCP4 10.0.0.1', 501],
    ['a Redis command', '*1\r\n$4\r\nPING\r\n', 400],
    ['the start of the HTTP/2 preface', 'PRI ', 505],
    ['an unknown method', 'FETCH ', 501],
    ['a relative target', 'GET a', 400],
    ['a bare LF after the version', 'GET / HTTP/1.1\n', 400],
    ['a bare LF after a header', 'GET / HTTP/1.1\r\nHost: a\n', 400],
    ['a bare CR', 'GET / HTTP/1.1\r\nHost: a\rB', 400],
    ['a control character in a header', 'GET / HTTP/1.1\r\nHost: \x01', 400],
  ])('refuses %s at once, before the head is whole', (_name, text, status) => {
    expect(statusOf(parse(text))).toBe(status);
  });
});

describe('parseRequestHead beside the parser of Node', () => {
  const server = createServer();
  let port = 0;
  let seen: IncomingMessage | undefined;

  beforeAll(async () => {
    server.on('request', (message, response) => {
      seen = message;
      response.writeHead(200, { Connection: 'close' }).end();
    });
    server.on('upgrade', (message, socket) => {
      seen = message;
      socket.end('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' ? (address?.port ?? 0) : 0;
  });

  afterAll(async () => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close');
  });

  /** What Node makes of the bytes: the request it saw, or undefined when it refused them. */
  async function askNode(text: string): Promise<IncomingMessage | undefined> {
    seen = undefined;
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.end(text, 'latin1');
    socket.resume();
    await once(socket, 'close');
    return seen;
  }

  const bases = [handshake(), get('Cookie: a=b', 'Content-Length: 0'), request('POST /a?b HTTP/1.0')];
  const inserts = [
    '\0',
    '\t',
    '\n',
    '\r',
    '\r\n',
    ' ',
    ':',
    '#',
    '\x7f',
    '\xe9',
    '/',
    ',',
    'A',
    '\r\n ',
    '\r\nA: b',
    ' : ',
  ];

  it('accepts nothing that Node refuses, and sees the same method, target and headers', async () => {
    const texts: string[] = [];
    let seed = 7;
    for (let turn = 0; turn < 400; turn++) {
      seed = (seed * 48_271) % 2_147_483_647;
      const base = bases[seed % bases.length] ?? '';
      const at = (seed >> 4) % (base.length - 3);
      const insert = inserts[(seed >> 12) % inserts.length] ?? '';
      const removed = (seed >> 20) % 2;
      texts.push(base.slice(0, at) + insert + base.slice(at + removed));
    }
    texts.push(
      ...bases,
      request('GET http://a:80/b?c HTTP/1.1', 'Host: a'),
      request('GET http://a?c HTTP/1.1', 'Host: a'),
      request('GET https://[::1]:8/ HTTP/1.1', 'Host: [::1]:8'),
      request('OPTIONS * HTTP/1.1', 'Host: a'),
      request('M-SEARCH /!"$%&\'()*+,-./:;<=>@[\\]^_`{|}~ HTTP/1.1', 'Host: a'),
      get('Accept: a', 'Accept: b', 'Cookie: a', 'Cookie: b', 'User-Agent: a', 'User-Agent: b'),
      get('Origin: a', 'Origin: b', 'X-Forwarded-For: a', 'X-Forwarded-For: b', 'Referer: a', 'Referer: b'),
      get('Sec-WebSocket-Protocol: a', 'Sec-WebSocket-Protocol: b', 'If-None-Match: a', 'If-None-Match: b'),
      get('Connection: Upgrade', 'Upgrade: h2c'),
    );
    let acceptedCount = 0;
    for (const text of texts) {
      const result = parse(text);
      if (result.kind !== 'complete') continue;
      acceptedCount++;
      const message = await askNode(text);
      const { host, target } = absoluteForm(message?.url ?? '') ?? { target: message?.url };
      expect([text, message?.method, target]).toEqual([text, result.head.method, result.head.target]);
      expect({ ...result.head.headers }).toEqual({
        ...message?.headers,
        ...(host !== undefined && { host }),
      });
    }
    expect(acceptedCount).toBeGreaterThan(60);
    expect(acceptedCount).toBeLessThan(texts.length - 100);
  });
});
