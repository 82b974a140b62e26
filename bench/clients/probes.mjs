/** `probes.mjs port path count`: clients that each send one echo every 20 ms and time it, after the one before has come. */
import { Crowd } from './crowd.mjs';
import { maskedFrame } from './frames.mjs';
import { Latencies, nowMicros } from './latencies.mjs';
import { obey } from './obey.mjs';

const EVERY_MS = 20;
const [port, path, count] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const FRAME = maskedFrame(0x82, [0x2a]);
const sentAt = new Float64Array(count);
const latencies = new Latencies();
/** @type {NodeJS.Timeout | undefined} */
let timer;

const crowd = new Crowd({
  capacity: count,
  port,
  path,
  onBytes(slot) {
    latencies.add(nowMicros() - sentAt[slot]);
    sentAt[slot] = 0;
  },
});

function sendAll() {
  for (let slot = 0; slot < count; slot++) {
    if (sentAt[slot] !== 0) continue;
    sentAt[slot] = nowMicros();
    crowd.send(slot, FRAME);
  }
}

await obey({
  open: () => crowd.openAll(count),
  start() {
    latencies.reset();
    timer = setInterval(sendAll, EVERY_MS);
  },
  async stop() {
    clearInterval(timer);
    const deadline = Date.now() + 10_000;
    while (sentAt.some((at) => at > 0) && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // One that never came is as late as it gets.
    for (const at of sentAt) if (at > 0) latencies.add(nowMicros() - at);
    return { ...latencies.report(), ended: crowd.ended };
  },
});
