import { setTimeout as delay } from 'node:timers/promises';
import { Client } from './client.mjs';

const SLOW_CONSUMER = 4000;
const ABNORMAL = 1006;
const SLEEP_MS = 800;
const READ_MS = 200;

/** Reads a fifth of the time: late, but everything. */
export class LateReader extends Client {
  #isWanted = true;

  async run() {
    while (this.#isWanted) {
      this.pause();
      await delay(SLEEP_MS);
      this.resume();
      await delay(READ_MS);
    }
  }

  /**
   * @override
   * @param {boolean} isPolite
   */
  leave(isPolite) {
    this.calm();
    return super.leave(isPolite);
  }

  /** From now on it reads all the time. */
  calm() {
    this.#isWanted = false;
    this.resume();
  }
}

/** Does not read for so long that the server closes it, mostly; without a handshake when it reads too late. */
export class StuckReader extends Client {
  /**
   * @override
   * @param {number} code
   */
  mayEnd(code) {
    return code === SLOW_CONSUMER || code === ABNORMAL;
  }
}
