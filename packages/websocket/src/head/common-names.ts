/** Headers of handshakes, as nearly all clients write them. */
const NAMES = [
  'Accept-Encoding',
  'Accept-Language',
  'Authorization',
  'Cache-Control',
  'Connection',
  'Cookie',
  'Host',
  'Origin',
  'Pragma',
  'Sec-WebSocket-Extensions',
  'Sec-WebSocket-Key',
  'Sec-WebSocket-Protocol',
  'Sec-WebSocket-Version',
  'Upgrade',
  'User-Agent',
  'X-Forwarded-For',
];

const BY_LENGTH: { readonly bytes: Buffer; readonly name: string }[][] = [];
for (const name of NAMES) {
  (BY_LENGTH[name.length] ??= []).push({ bytes: Buffer.from(name), name: name.toLowerCase() });
}

/**
 * The name in `bytes` from `start` to `end`, in lower case, if it is a common one: no string is made of the
 * bytes, whose hash would have to be computed. Undefined for any other, and for other capitals than usual.
 */
export function commonName(bytes: Buffer, start: number, end: number): string | undefined {
  for (const candidate of BY_LENGTH[end - start] ?? NONE) {
    if (isAt(bytes, start, candidate.bytes)) return candidate.name;
  }
  return undefined;
}

function isAt(bytes: Buffer, start: number, expected: Buffer): boolean {
  for (let index = 0; index < expected.length; index++) {
    if (bytes[start + index] !== expected[index]) return false;
  }
  return true;
}

const NONE: never[] = [];
