import { METHODS } from 'node:http';
import { Dice } from './dice.ts';

/** One client's request head, well-formed or not, and what follows it in the same buffer. */
export interface HeadCase {
  readonly seed: number;
  readonly index: number;
  readonly bytes: Buffer;
  /** Where reads end, ascending, the last at the end of the bytes. */
  readonly reads: readonly number[];
}

const MAX_MUTATIONS = 4;

/** Bytes on which parsers disagree. */
const INTERESTING = Buffer.from(
  '\0\u0001\t\n\u000b\u000c\r\u001b :;,"(){}[]/\\@#%?=\u007f\u0080\u00a0\u00ff-_aZ0',
  'latin1',
);

const TARGETS = [
  '/',
  '/chat?room=1',
  '/a/b/c',
  '//x',
  '/%00',
  '/a;b=c',
  '/?',
  '*',
  'http://localhost/',
  'http://a',
  'http://a?x',
].concat(
  [
    'https://a:1/x?y=http://b/',
    'HTTP://A/',
    'ftp://a/',
    'http:///',
    'http://',
    'http://u@a/',
    'a:80',
    'localhost',
    '/#f',
    '/a#b',
    '/"<>\\^`{|}',
  ],
  ['', '/a b', '/a\tb', '/\u00e9', '/\u007f', '/\0', 'ws://a/', '/..', '\\'],
);
const VERSIONS = [
  'HTTP/1.0',
  'HTTP/0.9',
  'HTTP/2.0',
  'HTTP/1.2',
  'HTTP/1.10',
  'HTTP/11',
  'HTTP/1',
  'http/1.1',
  'HTTP/1.1 ',
  'HTTP/1,1',
  'HTTPS/1.1',
].concat(['', 'ICE/1.0', 'HTTP/1.1x', 'HTTP /1.1', 'HTTP/ 1.1', 'HTTP/01.1', 'HTTP/1.', 'RTSP/1.0']);
const LINE_ENDS = ['\n', '\r', '\r\r\n', '\n\r', '\r\n ', '\0\r\n', '\r\n\r'];
const HOSTS = [
  'localhost',
  'a.b:8080',
  '[::1]:80',
  '',
  'a b',
  'a,b',
  'a/b',
  'a@b',
  'a\tb',
  'a?b',
  '\u00e9',
  'a:b:c',
  ' a ',
  'a_b',
  '%61',
];
const UPGRADES = [
  'websocket',
  'WebSocket',
  'WEBSOCKET',
  'h2c',
  'websocket, h2c',
  'h2c, websocket',
  'websocket,',
  ' websocket ',
  'websocket/13',
  'web socket',
].concat(['', '"websocket"', 'websocket;q=1', 'wEbsocket\t', ',websocket', 'TLS/1.0']);
const CONNECTIONS = [
  'Upgrade',
  'upgrade',
  'keep-alive, Upgrade',
  'Upgrade,keep-alive',
  'close',
  'keep-alive',
  'upgrade, close',
  'Upgrade ',
  'upgraded',
].concat([
  'up grade',
  '',
  ',Upgrade,',
  'Upgrade;x',
  '"Upgrade"',
  'close, upgrade',
  'Upgrade\t,x',
  'Keep-Alive , UPGRADE',
  'proxy-connection',
]);
const KEYS = [
  'dGhlIHNhbXBsZSBub25jZQ==',
  'dGhlIHNhbXBsZSBub25jZQ',
  'dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==',
  '',
  'x',
  'dGhlIHNhbXBsZSBub25j ZQ==',
].concat([
  'AAAAAAAAAAAAAAAAAAAAAA==',
  'dGhlIHNhbXBsZSBub25jZR==',
  '+/+/+/+/+/+/+/+/+/+/+/==',
  'dGhlIHNhbXBsZSBub25jZQ= =',
]);
const WS_VERSIONS = [
  '13',
  '8',
  '7',
  '12',
  '14',
  '013',
  '13.0',
  '+13',
  '0xd',
  ' 13 ',
  '13, 8',
  '',
  '1e1',
  '13a',
  '\u0661\u0663',
];
const LENGTHS = [
  '0',
  '5',
  '00',
  '+5',
  '-1',
  '5, 5',
  '0x5',
  '',
  '5 5',
  '99999999999999999999',
  '4294967296',
  '1e3',
  '5;',
  ' 7 ',
  '18446744073709551616',
].concat(['0, 0', '000000000000000000005']);
const ENCODINGS = [
  'chunked',
  'Chunked',
  'identity',
  'gzip, chunked',
  'chunked, gzip',
  'chunked, chunked',
  ' chunked',
  'chunked ',
  'xchunked',
  'chunked;q=1',
  '',
].concat(['\u000bchunked', '"chunked"', 'chunked,', ',chunked']);
const EXTRA_NAMES = [
  'Cookie',
  'Set-Cookie',
  'User-Agent',
  'Accept',
  'X-Forwarded-For',
  'Origin',
  'Referer',
  'Authorization',
  'Content-Type',
  'ETag',
  'Age',
  'Server',
].concat(
  [
    'Expect',
    'TE',
    'Trailer',
    'Via',
    'From',
    'Location',
    'If-Modified-Since',
    'Sec-WebSocket-Protocol',
    'Sec-WebSocket-Extensions',
    'Proxy-Connection',
    'Keep-Alive',
  ],
  [
    'Max-Forwards',
    'Retry-After',
    'Last-Modified',
    'Expires',
    'Proxy-Authorization',
    'If-Unmodified-Since',
    'Date',
    'Access-Control-Request-Method',
    'X',
  ],
  [
    '__proto__',
    'constructor',
    'toString',
    'hasOwnProperty',
    'Content-Length ',
    'Host',
    'UPGRADE',
    'transfer-encoding',
    'Content_Length',
    'Transfer-Encoding\u000b',
  ],
);
const EXTRA_VALUES = [
  'x',
  'a, b',
  '100-continue',
  'chat, superchat',
  'chat,chat',
  ',',
  '',
  'permessage-deflate',
  'permessage-deflate; client_max_window_bits',
  '=',
  'a;b="c,d"',
].concat([
  '\u00e9\u00ff',
  'x\ty',
  '  x  ',
  'a\\b',
  '1',
  'trailers',
  'x=1; y=2',
  'http://a',
  '\t',
  'a,,b',
  'x'.repeat(300),
]);

/** Head `index` of the run with this seed: always the same one. */
export function generateHead(seed: number, index: number): HeadCase {
  const dice = new Dice(seed, index);
  // In a third of them nothing is wrong before the bytes are mutated.
  const oddity = dice.percent(33) ? 0 : dice.pick([1, 3, 10]);
  const odd = (common: string, rare: readonly string[]): string =>
    dice.percent(oddity) ? dice.pick(rare) : common;
  const lineEnd = (): string => odd('\r\n', LINE_ENDS);
  let text = dice.percent(oddity / 2) ? dice.pick(['\r\n', '\n', ' ', '\u00ef\u00bb\u00bf', '\0']) : '';
  text += requestLine(dice, oddity) + lineEnd();
  for (const { name, value } of headers(dice, oddity)) {
    const before = odd('', [' ', '\t', '\u000b', '\0']);
    const colon = odd(':', ['', ';', '::', ': :', '\r\n:', '=']);
    const space = dice.percent(80) ? ' ' : dice.pick(['', '  ', '\t', ' \t ']);
    const after = dice.percent(90) ? '' : dice.pick([' ', '\t', '  \t']);
    const fold = odd('', ['\r\n ', '\r\n\t', '\n ', '\r ']);
    text += `${odd('', [' ', '\t'])}${name}${before}${colon}${space}${value}${fold === '' ? '' : `${fold}folded`}${after}${lineEnd()}`;
  }
  text += dice.percent(97) ? lineEnd() : '';
  text += dice.percent(70)
    ? ''
    : dice.pick([
        '\u0081\u0080abcd',
        'GET / HTTP/1.1\r\nHost: b\r\n\r\n',
        '\r\n',
        'x',
        '0\r\n\r\n',
        '\0',
        '5\r\nhello\r\n0\r\n\r\n',
      ]);
  let bytes: Buffer = Buffer.from(text, 'latin1');
  const mutations = dice.percent(50) ? 0 : dice.between(1, MAX_MUTATIONS);
  for (let mutation = 0; mutation < mutations; mutation++) bytes = mutate(dice, bytes);
  if (dice.percent(3)) bytes = bytes.subarray(0, dice.below(bytes.length + 1));
  return { seed, index, bytes, reads: reads(dice, bytes.length) };
}

function requestLine(dice: Dice, oddity: number): string {
  if (dice.percent(oddity / 5))
    return dice.pick(['PRI * HTTP/2.0', 'GET /', 'GET', '', 'HTTP/1.1 200 OK', ' GET / HTTP/1.1']);
  let method = 'GET';
  if (dice.percent(8)) method = dice.pick(METHODS);
  else if (dice.percent(oddity))
    method = dice.pick([
      'get',
      'Get',
      'GETX',
      'G',
      '',
      'GE T',
      'GET\t',
      '\0GET',
      'CONNECT',
      'PRI',
      'SOURCE',
      'OPTIONS',
      'M-SEARCH',
      'A'.repeat(40),
    ]);
  let target = dice.percent(70) ? '/chat' : dice.pick(TARGETS);
  if (dice.percent(2)) target = `/${'a'.repeat(dice.pick([100, 4000, 8000, 8192, 9000]))}`;
  const version = dice.percent(oddity) ? dice.pick(VERSIONS) : dice.percent(5) ? 'HTTP/1.0' : 'HTTP/1.1';
  const space = (): string =>
    dice.percent(oddity / 2) ? dice.pick(['  ', '\t', '', '\u000b', '\u00a0', ' \t']) : ' ';
  return method + space() + target + space() + version;
}

interface Header {
  readonly name: string;
  readonly value: string;
}

function headers(dice: Dice, oddity: number): Header[] {
  const list: Header[] = [];
  const add = (name: string, good: string, values: readonly string[]): void => {
    if (dice.percent(oddity)) return;
    const write = (): void => {
      const isOdd = dice.percent(oddity * 2);
      list.push({
        name: dice.percent(15) ? caseless(dice, name) : name,
        value: isOdd ? dice.pick(values) : good,
      });
    };
    write();
    if (dice.percent(oddity / 2)) write();
  };
  add('Host', 'localhost:8080', HOSTS);
  const isHandshake = dice.percent(75);
  if (isHandshake) {
    add('Upgrade', 'websocket', UPGRADES);
    add('Connection', 'Upgrade', CONNECTIONS);
    add('Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ==', KEYS);
    add('Sec-WebSocket-Version', '13', WS_VERSIONS);
  } else if (dice.percent(30)) {
    add('Connection', 'keep-alive', CONNECTIONS);
    if (dice.percent(30)) add('Upgrade', 'h2c', UPGRADES);
  }
  if (dice.percent(isHandshake ? oddity : 20)) add('Content-Length', '0', LENGTHS);
  if (dice.percent(isHandshake ? oddity : 10)) add('Transfer-Encoding', 'chunked', ENCODINGS);
  const extras = dice.percent(50) ? 0 : dice.between(1, 5);
  for (let extra = 0; extra < extras; extra++) {
    const header = { name: dice.pick(EXTRA_NAMES), value: dice.pick(EXTRA_VALUES) };
    list.push(header);
    if (dice.percent(25)) list.push({ name: caseless(dice, header.name), value: dice.pick(EXTRA_VALUES) });
  }
  if (dice.percent(1)) {
    const many = dice.between(90, 110);
    for (let at = 0; at < many; at++) list.push({ name: `X-${at}`, value: `${at}` });
  }
  if (dice.percent(1)) list.push({ name: 'N'.repeat(dice.pick([100, 5000, 8200])), value: 'v' });
  if (dice.percent(1))
    list.push({ name: 'V', value: 'v'.repeat(dice.pick([4000, 7800, 8100, 8192, 20_000])) });
  if (dice.percent(30)) list.sort(() => dice.below(3) - 1);
  return list;
}

function caseless(dice: Dice, name: string): string {
  return Array.from(name, (letter) => (dice.percent(50) ? letter.toUpperCase() : letter.toLowerCase())).join(
    '',
  );
}

/** Replaces, inserts, removes, repeats or swaps a byte or a few. */
function mutate(dice: Dice, bytes: Buffer): Buffer {
  if (bytes.length < 2) return bytes;
  const at = dice.below(bytes.length);
  const byte = Buffer.from([
    dice.percent(70) ? (INTERESTING[dice.below(INTERESTING.length)] ?? 0) : dice.below(256),
  ]);
  const until = Math.min(bytes.length, at + dice.between(1, dice.percent(80) ? 2 : 40));
  const before = bytes.subarray(0, at);
  switch (dice.below(6)) {
    case 0:
      return Buffer.concat([before, byte, bytes.subarray(at)]);
    case 1:
      return Buffer.concat([before, bytes.subarray(until)]);
    case 2:
      return Buffer.concat([bytes.subarray(0, until), bytes.subarray(at)]);
    case 3: {
      const other = dice.below(bytes.length);
      const swapped = Buffer.from(bytes);
      swapped[at] = bytes[other] ?? 0;
      swapped[other] = bytes[at] ?? 0;
      return swapped;
    }
    case 4: {
      const flipped = Buffer.from(bytes);
      flipped[at] = (bytes[at] ?? 0) ^ (1 << dice.below(8));
      return flipped;
    }
    default:
      return Buffer.concat([before, byte, bytes.subarray(at + 1)]);
  }
}

function reads(dice: Dice, length: number): number[] {
  if (dice.percent(30)) return [length];
  if (dice.percent(3) && length < 600) return Array.from({ length }, (_byte, at) => at + 1);
  const places = Array.from({ length: dice.between(1, 5) }, () => dice.below(length + 1));
  return [...new Set([...places, length])].toSorted((a, b) => a - b);
}
