/**
 * A floor for orientation: one process, the poller's loop, and as little of WebSocket as the load generator notices.
 * It checks nothing, reads only whole frames of up to 125 bytes, and must not be used for anything else.
 */
import { createHash } from 'node:crypto';
import {
  accept,
  ADDRESS_BYTES,
  EVENT_FIELDS,
  Interest,
  listen,
  localAddress,
  PollFlag,
  Poller,
} from '@roost/poller';

const SLOTS = 20_000;
const LISTENER = 0;
const columns = {
  fds: new Int32Array(SLOTS).fill(-1),
  generations: new Int32Array(SLOTS),
  flags: new Uint16Array(SLOTS),
};
const free = Array.from({ length: SLOTS }, (_, index) => SLOTS - 1 - index);
const isOpen = new Uint8Array(SLOTS);
const accepted = new Int32Array(256);
const addresses = new Uint8Array(256 * ADDRESS_BYTES);
const listener = listen({ host: '127.0.0.1', port: 0 });
const poller = new Poller({ columns, onEvents });
poller.watchDescriptor(listener, LISTENER, Interest.readable);
process.on('SIGTERM', () => process.exit());
if (process.env.REDIS_URL !== undefined) await broadcastFromRedis(process.env.REDIS_URL);
const { port } = localAddress(listener);
console.log(
  JSON.stringify({ msg: 'farm ready', port, workers: [{ worker: 0, pid: process.pid, cpu: null }] }),
);

/** @param {number} count */
function onEvents(count) {
  const { events } = poller;
  for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
    const slot = events[at];
    const flags = events[at + 2];
    if ((flags & PollFlag.descriptor) !== 0) acceptAll();
    else if ((flags & PollFlag.data) !== 0) answer(slot, events[at + 3], events[at + 4]);
    if ((flags & PollFlag.descriptor) === 0 && (flags & (PollFlag.end | PollFlag.error)) !== 0) end(slot);
  }
}

function acceptAll() {
  const count = accept(listener, accepted, addresses);
  for (let i = 0; i < count; i++) {
    const slot = free.pop();
    if (slot === undefined) throw new Error(`there are only ${SLOTS} slots`);
    columns.fds[slot] = accepted[i];
    columns.generations[slot]++;
    isOpen[slot] = 0;
    poller.watch(slot, Interest.readable);
  }
}

/**
 * @param {number} slot
 * @param {number} offset
 * @param {number} length
 */
function answer(slot, offset, length) {
  const { slab } = poller;
  if (isOpen[slot] === 0) {
    shakeHands(slot, slab.latin1Slice(offset, offset + length));
    return;
  }
  const payloadBytes = slab[offset + 1] & 0x7f;
  const payload = offset + 6;
  for (let i = 0; i < payloadBytes; i++) slab[payload + i] ^= slab[offset + 2 + (i & 3)];
  slab[payload - 2] = slab[offset];
  slab[payload - 1] = payloadBytes;
  poller.send(slot, slab, payload - 2, payloadBytes + 2);
}

/**
 * Sends every publication of `roost:channel:news` to all who have shaken hands, as far as their sockets take it.
 * @param {string} url
 */
async function broadcastFromRedis(url) {
  const { Redis } = await import('ioredis');
  const redis = new Redis(url);
  redis.on('messageBuffer', (_channel, payload) => {
    const head =
      payload.length < 126 ? [0x81, payload.length] : [0x81, 126, payload.length >> 8, payload.length & 255];
    const frame = Buffer.concat([Buffer.from(head), payload]);
    for (let slot = 0; slot < SLOTS; slot++) {
      if (columns.fds[slot] !== -1 && isOpen[slot] === 1) poller.send(slot, frame, 0, frame.length);
    }
  });
  await redis.subscribe('roost:channel:news');
}

/**
 * @param {number} slot
 * @param {string} head
 */
function shakeHands(slot, head) {
  const key = /sec-websocket-key: *(\S+)/i.exec(head)?.[1];
  const digest = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const response = Buffer.from(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${digest}\r\n\r\n`,
    'latin1',
  );
  isOpen[slot] = 1;
  poller.send(slot, response, 0, response.length);
}

/** @param {number} slot */
function end(slot) {
  if (columns.fds[slot] === -1) return;
  poller.close(slot);
  free.push(slot);
}
