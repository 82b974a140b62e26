import { once } from 'node:events';
import { connect } from 'node:net';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { maskedFrame, upgradeRequest } from './frames.mjs';
import { obey } from './obey.mjs';

// Clients that have agreed on compression, for the rows that measure it: `node deflating.mjs <url>`, then commands as JSON
// lines. They look at one answer whole and count the others by their headers, so that they stay cheap.

const OFFER = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits';
const MASK = [1, 2, 3, 4];
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);
const COMPRESSED_TEXT = 0xc1;
const AT_A_TIME = 64;

const url = new URL(process.argv[2]);
const request = upgradeRequest({ path: url.pathname + url.search, headers: [OFFER] });
/** @type {Client[]} */
const clients = [];
/** Text that every message must be; told by the command. */
let expected = '';
let wrong = 0;
let messages = 0;
/** @type {(client: Client) => void} */
let onMessage = () => {};

class Client {
  /** @type {Buffer} */
  #rest = Buffer.alloc(0);
  isOpen = false;
  count = 0;

  /** @param {number} index */
  constructor(index) {
    this.socket = connect({
      port: Number(url.port),
      host: url.hostname,
      localAddress: `127.0.0.${2 + (index % 8)}`,
      noDelay: true,
    });
    /** @type {Promise<void>} */
    this.opened = new Promise((resolve, reject) => {
      this.socket.on('error', reject);
      this.socket.on('data', (bytes) => this.#read(bytes, resolve, reject));
    });
    this.socket.write(request);
  }

  /**
   * @param {Buffer} received
   * @param {() => void} resolve
   * @param {(error: Error) => void} reject
   */
  #read(received, resolve, reject) {
    let bytes = this.#rest.length === 0 ? received : Buffer.concat([this.#rest, received]);
    if (!this.isOpen) {
      const end = bytes.indexOf('\r\n\r\n');
      this.#rest = bytes;
      if (end < 0) return;
      if (!bytes.includes('permessage-deflate')) reject(new Error(bytes.toString('latin1', 0, end)));
      this.isOpen = true;
      resolve();
      bytes = bytes.subarray(end + 4);
    }
    while (bytes.length >= 4) {
      const form = bytes[1];
      const headerBytes = form < 126 ? 2 : 4;
      const end = headerBytes + (form < 126 ? form : bytes.readUInt16BE(2));
      if (bytes.length < end) break;
      this.#take(bytes[0], bytes.subarray(headerBytes, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
  }

  /**
   * @param {number} first
   * @param {Buffer} payload
   */
  #take(first, payload) {
    if (first !== COMPRESSED_TEXT) wrong++;
    else if (this.count++ === 0 && inflate(payload) !== expected) wrong++;
    messages++;
    onMessage(this);
  }
}

/** @param {Buffer} payload */
function inflate(payload) {
  const options = { finishFlush: constants.Z_SYNC_FLUSH };
  return inflateRawSync(Buffer.concat([payload, TAIL]), options).toString();
}

/** @param {string} text */
function frameOf(text) {
  const deflated = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH });
  return maskedFrame(COMPRESSED_TEXT, deflated.subarray(0, -TAIL.length), MASK);
}

const commands = {
  /** @param {{ count: number }} options */
  async open({ count }) {
    while (clients.length < count) {
      const some = Array.from(
        { length: Math.min(AT_A_TIME, count - clients.length) },
        (_, index) => new Client(clients.length + index),
      );
      await Promise.all(some.map((client) => client.opened));
      clients.push(...some);
    }
    return {};
  },

  async close() {
    for (const { socket } of clients) socket.end();
    await Promise.all(clients.splice(0).map(({ socket }) => once(socket, 'close')));
    return {};
  },

  /** @param {{ text: string }} options */
  expect({ text }) {
    expected = text;
    messages = 0;
    for (const client of clients) client.count = 0;
    return {};
  },

  /**
   * A closed loop of every client; with 0 seconds each sends a message or two.
   * @param {{ seconds: number }} options
   */
  async echo({ seconds }) {
    const frame = frameOf(expected);
    const before = messages;
    let isOver = false;
    let unanswered = clients.length;
    /** @type {Promise<void>} */
    const over = new Promise((resolve) => {
      onMessage = ({ socket }) => {
        if (!isOver) socket.write(frame);
        else if (--unanswered === 0) resolve();
      };
      for (const { socket } of clients) socket.write(frame);
      setTimeout(() => (isOver = true), seconds * 1000);
    });
    await over;
    onMessage = () => {};
    return { echoes: messages - before, wrong };
  },

  /**
   * Waits until each client has had so many messages.
   * @param {{ count: number }} options
   */
  async await({ count }) {
    const isDone = () => messages >= count * clients.length;
    /** @type {Promise<void>} */
    const done = new Promise((resolve) => {
      onMessage = () => isDone() && resolve();
      if (isDone()) resolve();
    });
    await done;
    onMessage = () => {};
    return { messages, fewest: Math.min(...clients.map((client) => client.count)), wrong };
  },
};

console.log('{"ready":true}');
await obey(commands);
