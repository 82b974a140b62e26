import { randomBytes } from 'node:crypto';
import { connect, EVENT_FIELDS, Interest, PollFlag, Poller } from '@roost/poller';
import { upgradeRequest } from './frames.mjs';

const IN_FLIGHT = 128;

/**
 * @typedef {(slot: number, slab: Buffer, start: number, end: number) => void} OnBytes
 *
 * @typedef {object} CrowdOptions
 * @property {number} capacity
 * @property {string} [host]
 * @property {number} port
 * @property {string | ((slot: number) => string)} path
 * @property {OnBytes} [onBytes] Gets what comes after the 101.
 * @property {number} [inFlight] Handshakes under way at a time; default 128.
 */

/** Many WebSocket clients in one process, as cheap as can be. */
export class Crowd {
  #columns;
  #poller;
  #target;
  #onBytes;
  #isOpen;
  #maxInFlight;
  /** @type {Map<number, string>} */
  #heads = new Map();
  #next = 0;
  #inFlight = 0;
  /** @type {{ end: number, resolve: () => void, reject: (error: Error) => void }} */
  #waiting = { end: 0, resolve() {}, reject() {} };
  open = 0;
  ended = 0;

  /** @param {CrowdOptions} options */
  constructor({ capacity, host = '127.0.0.1', port, path, onBytes = () => {}, inFlight = IN_FLIGHT }) {
    this.#maxInFlight = inFlight;
    this.#columns = {
      fds: new Int32Array(capacity).fill(-1),
      generations: new Int32Array(capacity),
      flags: new Uint16Array(capacity),
    };
    this.#isOpen = new Uint8Array(capacity);
    this.#target = { host, port, path };
    this.#onBytes = onBytes;
    this.#poller = new Poller({ columns: this.#columns, onEvents: (count) => this.#handle(count) });
  }

  /**
   * Opens `count` clients; resolves when all have their 101.
   * @param {number} count
   */
  async openAll(count) {
    const end = this.#next + count;
    /** @type {Promise<void>} */
    const opened = new Promise((resolve, reject) => {
      this.#waiting = { end, resolve, reject };
      this.#pump();
    });
    await opened;
  }

  /**
   * Sends a whole frame, which is small enough for the kernel to take it.
   * @param {number} slot
   * @param {Buffer} frame
   */
  send(slot, frame) {
    const sent = this.#poller.send(slot, frame, 0, frame.length);
    if (sent !== frame.length) throw new Error(`the kernel took ${sent} of ${frame.length} bytes`);
  }

  /**
   * Whether a client that was opened has not ended.
   * @param {number} slot
   */
  isAlive(slot) {
    return this.#columns.fds[slot] !== -1;
  }

  /** Reads no more. */
  stopReading() {
    for (let slot = 0; slot < this.#next; slot++) this.#poller.unwatch(slot);
  }

  /** Ends all of them, without a closing handshake. */
  endAll() {
    for (let slot = 0; slot < this.#next; slot++) {
      if (this.#columns.fds[slot] === -1) continue;
      this.#poller.close(slot);
      this.#columns.generations[slot]++;
    }
    this.#next = this.open = 0;
  }

  #pump() {
    const { end, resolve, reject } = this.#waiting;
    while (this.#next < end && this.#inFlight < this.#maxInFlight) {
      const slot = this.#next++;
      const fd = connect({ host: this.#target.host, port: this.#target.port });
      if (fd < 0) {
        reject(new Error(`connect failed: ${fd}`));
        return;
      }
      this.#columns.fds[slot] = fd;
      this.#isOpen[slot] = 0;
      this.#inFlight++;
      this.#poller.watch(slot, Interest.writable);
    }
    if (this.open === end) resolve();
  }

  /** @param {number} count */
  #handle(count) {
    const { events, slab } = this.#poller;
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      const slot = events[at];
      if (this.#columns.generations[slot] !== events[at + 1]) continue;
      const flags = events[at + 2];
      if ((flags & PollFlag.writable) !== 0) this.#request(slot);
      if ((flags & PollFlag.data) !== 0) {
        const start = events[at + 3];
        const end = start + events[at + 4];
        if (this.#isOpen[slot] === 1) this.#onBytes(slot, slab, start, end);
        else this.#answer(slot, slab, start, end);
      }
      if ((flags & (PollFlag.end | PollFlag.error | PollFlag.hangup)) !== 0) {
        this.ended++;
        this.#poller.close(slot);
        this.#columns.fds[slot] = -1;
        if (this.#isOpen[slot] === 0) this.#waiting.reject(new Error('a connection ended before its 101'));
      }
    }
  }

  /** @param {number} slot */
  #request(slot) {
    const key = randomBytes(16).toString('base64');
    const { path } = this.#target;
    const request = upgradeRequest({ path: typeof path === 'string' ? path : path(slot), key });
    this.send(slot, Buffer.from(request));
    this.#poller.setInterest(slot, Interest.readable);
  }

  /** @type {OnBytes} */
  #answer(slot, slab, start, end) {
    const head = (this.#heads.get(slot) ?? '') + slab.latin1Slice(start, end);
    const length = head.indexOf('\r\n\r\n') + 4;
    if (length < 4) {
      this.#heads.set(slot, head);
      return;
    }
    this.#heads.delete(slot);
    if (!head.startsWith('HTTP/1.1 101 ')) {
      this.#waiting.reject(new Error(`the upgrade was answered with ${head}`));
      return;
    }
    this.#isOpen[slot] = 1;
    this.open++;
    this.#inFlight--;
    const rest = head.length - length;
    if (rest > 0) this.#onBytes(slot, slab, end - rest, end);
    this.#pump();
  }
}
