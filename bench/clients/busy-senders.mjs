/**
 * `busy-senders.mjs port path count`: each sends a burst of 16 KB of 7-byte frames, and the next one when all of its
 * echoes have come.
 */
import { Crowd } from './crowd.mjs';
import { maskedFrame } from './frames.mjs';
import { obey } from './obey.mjs';

/** @import { OnBytes } from './crowd.mjs' */

const [port, path, count] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const FRAME = maskedFrame(0x82, [0x2a]);
const ECHO_BYTES = 3;
const FRAMES = Math.floor((16 * 1024) / FRAME.length);
const BURST = Buffer.concat(Array.from({ length: FRAMES }, () => FRAME));

const awaited = new Uint32Array(count);
let isSending = false;
let bursts = 0;

const crowd = new Crowd({ capacity: count, port, path, onBytes });

/** @type {OnBytes} */
function onBytes(slot, _slab, start, end) {
  awaited[slot] -= end - start;
  if (awaited[slot] === 0) {
    bursts++;
    if (isSending) sendBurst(slot);
  }
}

/** @param {number} slot */
function sendBurst(slot) {
  awaited[slot] = FRAMES * ECHO_BYTES;
  crowd.send(slot, BURST);
}

await obey({
  open: () => crowd.openAll(count),
  start() {
    isSending = true;
    bursts = 0;
    for (let slot = 0; slot < count; slot++) if (awaited[slot] === 0) sendBurst(slot);
  },
  async stop() {
    isSending = false;
    const deadline = Date.now() + 30_000;
    while (awaited.some((bytes) => bytes > 0) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const unanswered = awaited.filter((bytes) => bytes > 0).length;
    return { frames: bursts * FRAMES, unanswered, ended: crowd.ended };
  },
});
