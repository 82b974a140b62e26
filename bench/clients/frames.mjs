/** The sample of RFC 6455, §1.3: a server works as much for it as for any other. */
const SAMPLE_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
/** Leaves the payload as it is; a server does not know that before it has looked. */
const NO_MASK = [0, 0, 0, 0];
const MAX_SHORT = 125;
const MASKED = 0x80;
const TWO_BYTES_FOLLOW = 126;

/**
 * The request for an upgrade, as text; `headers` are further lines of it.
 * @param {{ path: string, host?: string, key?: string, headers?: readonly string[] }} options
 */
export function upgradeRequest({ path, host = 'localhost', key = SAMPLE_KEY, headers = [] }) {
  return [
    `GET ${path} HTTP/1.1`,
    `Host: ${host}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    ...headers,
    '\r\n',
  ].join('\r\n');
}

/**
 * A frame of a client (RFC 6455, §5.2), of at most 65,535 bytes of payload. `first` is its first byte: FIN, RSV and the
 * opcode. `81 85 00000000 68656c6c6f` is a text that says `hello`.
 * @param {number} first
 * @param {string | Uint8Array | readonly number[]} payload
 * @param {readonly number[]} [mask] Four bytes.
 */
export function maskedFrame(first, payload, mask = NO_MASK) {
  const bytes = Buffer.from(payload);
  const { length } = bytes;
  const header =
    length <= MAX_SHORT
      ? [first, MASKED | length]
      : [first, MASKED | TWO_BYTES_FOLLOW, length >> 8, length & 0xff];
  return Buffer.from([...header, ...mask, ...bytes.map((byte, index) => byte ^ mask[index & 3])]);
}
