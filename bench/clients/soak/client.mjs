import { WebSocket } from 'ws';
import { Sequences } from './sequences.mjs';

/** @import { Tally } from './tally.mjs' */

const OPEN_TIMEOUT_MS = 60_000;
const ABNORMAL = 1006;

/** One client of the soak. Kinds of clients extend it; how it ends without having wanted to is a surprise, but for `mayEnd`. */
export class Client {
  /** @type {WebSocket | undefined} */
  #socket;
  #url;
  #isLeaving = false;
  /** @type {Promise<void>} */
  #ended = Promise.resolve();
  sequences;
  tally;

  /**
   * @param {string} url
   * @param {Tally} tally
   */
  constructor(url, tally) {
    this.#url = url;
    this.tally = tally;
    this.sequences = new Sequences(tally);
  }

  /**
   * Resolves with whether it is open.
   * @returns {Promise<boolean>}
   */
  open() {
    const socket = new WebSocket(this.#url, {
      perMessageDeflate: false,
      handshakeTimeout: OPEN_TIMEOUT_MS,
    });
    this.#socket = socket;
    this.#isLeaving = false;
    let isOpen = false;
    socket.on('message', (data) => {
      if (data instanceof Buffer) this.onText(data.toString());
    });
    return new Promise((resolve) => {
      socket.on('open', () => {
        isOpen = true;
        this.tally.opened++;
        this.tally.open++;
        resolve(true);
      });
      socket.on('error', (error) => {
        if (!isOpen) this.tally.surprise(`a connection could not be opened: ${error.message}`);
        resolve(false);
      });
      this.#ended = new Promise((resolveEnd) => {
        socket.on('close', (code, reason) => {
          if (isOpen) this.#count(code, String(reason));
          resolveEnd();
        });
      });
    });
  }

  /** Resolves when the connection is no more, whoever has ended it. */
  get ended() {
    return this.#ended;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  /** @param {string} text */
  send(text) {
    this.#socket?.send(text);
  }

  pause() {
    this.#socket?.pause();
  }

  resume() {
    this.#socket?.resume();
  }

  /**
   * Ends the connection, with a closing handshake or without.
   * @param {boolean} isPolite
   */
  async leave(isPolite) {
    this.#isLeaving = true;
    this.resume();
    if (isPolite) this.#socket?.close(1000);
    else this.#socket?.terminate();
    await this.#ended;
  }

  /**
   * A text has come. One with a number is `{"series": …, "n": …}`.
   * @param {string} text
   */
  onText(text) {
    const { series, n } = JSON.parse(text);
    this.sequences.hear(series, n);
  }

  /**
   * Whether the server may end it by this code.
   * @param {number} _code
   */
  mayEnd(_code) {
    return false;
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  #count(code, reason) {
    this.tally.open--;
    if ((this.#isLeaving && [1000, ABNORMAL].includes(code)) || this.mayEnd(code)) {
      this.tally.closes[code] = (this.tally.closes[code] ?? 0) + 1;
    } else {
      this.tally.surprise(`a connection ended with ${code} ${reason}`);
    }
  }
}
