/** Subscribers that never read after their 101: `slow-readers.mjs port path count`. */
import { Crowd, obey } from './crowd.mjs';

const [port, path, count] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
const crowd = new Crowd({ capacity: count, port, path });

function maskedText(text) {
  const payload = Buffer.from(text);
  // A mask of zeros leaves the payload as it is.
  return Buffer.concat([Buffer.from([0x81, 0x80 | payload.length, 0, 0, 0, 0]), payload]);
}

await obey({
  async open() {
    await crowd.openAll(count);
    crowd.stopReading();
  },
  /** Each asks to be sent so many buffers. */
  hoard({ buffers }) {
    for (let slot = 0; slot < count; slot++) crowd.send(slot, maskedText(String(buffers)));
  },
  end: () => crowd.endAll(),
});
