/**
 * Clients that listen to numbered publications: `reload-listeners.mjs port first count rooms`. Each is subscribed to `all` and to
 * one room. Commands, one a line of JSON under `do`:
 *
 *   open     opens them all
 *   await    waits until each that lives has the number `all` of all and that of its room in `rooms`, at most 60 s
 *   reset    forgets what was lost; what comes next is to be behind `all` and `rooms`
 *   members  how many of a `room` live
 *   report   how many are open, and what was lost, or came twice or out of order
 */
import { Crowd } from './crowd.mjs';
import { maskedFrame } from './frames.mjs';
import { obey } from './obey.mjs';
import { ServerFrames } from './server-frames.mjs';

const TEXT = 0x81;
const CLOSE = 0x88;
const PING = 0x89;
const PONG = 0x8a;
const DEADLINE_MS = 60_000;
const LOOK_MS = 50;
const [port, first, count, roomCount] = process.argv.slice(2).map(Number);

/** A number for each client, as there may be many. */
const lastOfAll = new Int32Array(count);
const lastOfRoom = new Int32Array(count);
/** @type {Record<string, number>} Close frames, by code. */
let closes = {};
let received = 0;
let lost = 0;
let backwards = 0;

const frames = new ServerFrames(onFrame);
const crowd = new Crowd({
  capacity: count,
  port,
  path: (slot) => `/reload?channel=all&channel=room-${roomOf(slot)}`,
  onBytes: (slot, slab, start, end) => frames.read(slot, slab, start, end),
});

/** @param {number} slot */
function roomOf(slot) {
  return (first + slot) % roomCount;
}

/**
 * @param {number} slot
 * @param {number} head
 * @param {Buffer} payload `all 17` or `room 17`
 */
function onFrame(slot, head, payload) {
  if (head === CLOSE) {
    const code = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
    closes[code] = (closes[code] ?? 0) + 1;
    return;
  }
  if (head === PING) crowd.send(slot, maskedFrame(PONG, payload));
  if (head !== TEXT) return;
  const text = payload.toString('latin1');
  const lasts = text.startsWith('all ') ? lastOfAll : lastOfRoom;
  const number = Number(text.slice(text.indexOf(' ') + 1));
  const last = lasts[slot];
  received++;
  if (number <= last) {
    backwards++;
    return;
  }
  lost += number - last - 1;
  lasts[slot] = number;
}

function report() {
  return { open: crowd.open - crowd.ended, ended: crowd.ended, received, lost, backwards, closes };
}

await obey({
  open: async () => {
    await crowd.openAll(count);
    return report();
  },
  await: async ({ all, rooms }) => {
    const deadline = performance.now() + DEADLINE_MS;
    let missing = 0;
    do {
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_MS);
      });
      missing = 0;
      for (let slot = 0; slot < count; slot++) {
        if (!crowd.isAlive(slot)) continue;
        if (lastOfAll[slot] < all) missing += all - lastOfAll[slot];
        if (lastOfRoom[slot] < rooms[roomOf(slot)]) missing += rooms[roomOf(slot)] - lastOfRoom[slot];
      }
    } while (missing > 0 && performance.now() < deadline);
    return { ...report(), missing };
  },
  members: ({ room }) => {
    let members = 0;
    for (let slot = 0; slot < count; slot++) if (roomOf(slot) === room && crowd.isAlive(slot)) members++;
    return { members };
  },
  reset: ({ all, rooms }) => {
    lastOfAll.fill(all);
    for (let slot = 0; slot < count; slot++) lastOfRoom[slot] = rooms[roomOf(slot)];
    received = lost = backwards = 0;
    closes = {};
  },
  report,
});
