import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { upgradeRequest } from './frames.mjs';

// WebSocket clients that send the very bytes they are told, a line of JSON a command and an answer. Every answer has
// `open`, the connections that are there, and `closes`, how many have heard which close code.
//
//   {"do":"open","count":100,"path":"/"}      opens as many, 101 and all
//   {"do":"send","hex":"0181…","each":50}     sends to all, that many between two turns of the event loop
//   {"do":"hear","bytes":7}                   waits until each has heard so many bytes since the last "send"
//   {"do":"end"}                              ends them all

const [host, port, sourceNet] = process.argv.slice(2);
const IN_FLIGHT = 64;
const PER_SOURCE = 8000;
const HEAR_TIMEOUT_MS = 60_000;
const HEAD_END = '\r\n\r\n';
const CLOSE_FRAME = 0x88;

/** @type {Set<Client>} */
const clients = new Set();
/** @type {Record<string, number>} */
const closes = {};
/** @type {Record<string, number>} */
const errors = {};
let opened = 0;
let onHeard = () => {};

/** One connection; of what it hears only a count is kept, and the code of a close frame that comes first in a read. */
class Client {
  heard = 0;
  #head = '';

  constructor() {
    const localAddress = `127.0.${sourceNet}.${1 + Math.floor(opened++ / PER_SOURCE)}`;
    this.socket = connect({ host, port: Number(port), localAddress, noDelay: true });
  }

  /** @param {string} path */
  async open(path) {
    await once(this.socket, 'connect');
    this.socket.write(upgradeRequest({ path }));
    while (!this.#head.includes(HEAD_END)) {
      const [bytes] = await once(this.socket, 'data');
      this.#head += bytes.toString('latin1');
    }
    if (!this.#head.startsWith('HTTP/1.1 101 ')) throw new Error(this.#head.slice(0, 40));
    this.#head = '';
    this.socket.on('data', (bytes) => this.#hear(bytes));
    this.socket.on('error', (/** @type {NodeJS.ErrnoException} */ error) =>
      count(errors, String(error.code)),
    );
    this.socket.on('close', () => {
      clients.delete(this);
      onHeard();
    });
    clients.add(this);
  }

  /** @param {Buffer} bytes */
  #hear(bytes) {
    this.heard += bytes.length;
    if (bytes[0] === CLOSE_FRAME && bytes.length >= 4) count(closes, bytes.readUInt16BE(2));
    onHeard();
  }
}

/**
 * @param {Record<string, number>} counts
 * @param {string | number} name
 */
function count(counts, name) {
  counts[name] = (counts[name] ?? 0) + 1;
}

/** @type {Record<string, (command: any) => Promise<object>>} */
const COMMANDS = {
  async open({ count: wanted, path = '/' }) {
    let left = wanted;
    const opener = async () => {
      while (left-- > 0) await new Client().open(path);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, opener));
    return {};
  },

  async send({ hex, each = 100 }) {
    const bytes = Buffer.from(hex, 'hex');
    let turn = 0;
    for (const client of clients) {
      client.heard = 0;
      client.socket.write(bytes);
      if (++turn % each === 0) await new Promise(setImmediate);
    }
    return {};
  },

  async hear({ bytes }) {
    const deadline = performance.now() + HEAR_TIMEOUT_MS;
    const missing = () => [...clients].filter(({ heard }) => heard < bytes).length;
    while (missing() > 0 && performance.now() < deadline) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 200);
        onHeard = () => timer.refresh();
      });
    }
    return { missing: missing() };
  },

  async end() {
    for (const { socket } of clients) socket.destroy();
    while (clients.size > 0) await new Promise(setImmediate);
    return {};
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = await COMMANDS[command.do](command);
  } catch (error) {
    answer = { error: String(error) };
  }
  console.log(JSON.stringify({ ...answer, open: clients.size, closes, errors }));
}
process.exit(0);
