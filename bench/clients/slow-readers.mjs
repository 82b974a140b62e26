/** Subscribers that never read after their 101: `slow-readers.mjs port path count`. */
import { Crowd } from './crowd.mjs';
import { maskedFrame } from './frames.mjs';
import { obey } from './obey.mjs';

const [port, path, count] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const crowd = new Crowd({ capacity: count, port, path });

await obey({
  async open() {
    await crowd.openAll(count);
    crowd.stopReading();
  },
  /** Each asks to be sent so many buffers. */
  hoard({ buffers }) {
    const request = maskedFrame(0x81, String(buffers));
    for (let slot = 0; slot < count; slot++) crowd.send(slot, request);
  },
  end: () => crowd.endAll(),
});
