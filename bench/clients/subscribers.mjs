/**
 * Subscribers that measure: `subscribers.mjs port path count payloadBytes`. Every publication is one text frame with as
 * many bytes (126 to 65,535), of which the first 16 are its time; its latency counts when its last byte is there.
 */
import { Crowd } from './crowd.mjs';
import { Latencies, nowMicros } from './latencies.mjs';
import { obey } from './obey.mjs';

/** @import { OnBytes } from './crowd.mjs' */

const STAMP_DIGITS = 16;
const HEADER_BYTES = 4;
const [port, path, count, payloadBytes] = [
  Number(process.argv[2]),
  process.argv[3],
  Number(process.argv[4]),
  Number(process.argv[5]),
];
const frameBytes = HEADER_BYTES + payloadBytes;
/** Of the frame that each is in: bytes received, and its time. */
const received = new Uint32Array(count);
const stamps = new Float64Array(count);
const latencies = new Latencies();
let awaited = { messages: Infinity, resolve: () => {} };
let messages = 0;

const crowd = new Crowd({ capacity: count, port, path, onBytes });

/** @type {OnBytes} */
function onBytes(slot, slab, start, end) {
  const now = nowMicros();
  let at = start;
  while (at < end) {
    if (received[slot] === 0) {
      if (slab[at] !== 0x81) throw new Error('a frame does not begin where it should');
      const stampEnd = at + HEADER_BYTES + STAMP_DIGITS;
      // A time that is cut by the end of a read, which is rare, is not measured.
      stamps[slot] =
        stampEnd > end ? Number.NaN : Number(slab.latin1Slice(stampEnd - STAMP_DIGITS, stampEnd));
    }
    const taken = Math.min(frameBytes - received[slot], end - at);
    at += taken;
    received[slot] += taken;
    if (received[slot] < frameBytes) continue;
    received[slot] = 0;
    messages++;
    if (!Number.isNaN(stamps[slot])) latencies.add(now - stamps[slot]);
  }
  if (messages >= awaited.messages) awaited.resolve();
}

await obey({
  open: () => crowd.openAll(count),
  reset: () => {
    latencies.reset();
    messages = 0;
  },
  /** Waits until so many have come to all of them together, at most 30 s. */
  await: (options) =>
    new Promise((resolve) => {
      const report = () => {
        awaited = { messages: Infinity, resolve: () => {} };
        clearTimeout(timer);
        resolve({ messages, open: crowd.open - crowd.ended, ...latencies.report() });
      };
      const timer = setTimeout(report, 30_000);
      awaited = { messages: options.messages, resolve: report };
      if (messages >= options.messages) report();
    }),
});
