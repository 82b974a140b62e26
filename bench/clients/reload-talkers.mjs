/**
 * Clients that talk: `reload-talkers.mjs port count ring fragmented halved`. Each sends a numbered text, which is echoed, and then the
 * next. The first `ring` are subscribed to `ring`, and publish numbers to it, which all of them must hear in order; the next
 * `fragmented` send in three frames with pauses between, and the `halved` behind them in two pieces of one frame. Commands, one a line of JSON under `do`:
 *
 *   open     opens them all
 *   start    they begin to talk
 *   stop     they stop, and wait for what is under way, at most 60 s
 *   report   how many are open; of echoes and of the ring: how many, how many lost, how many twice or out of order
 *   reset    forgets what was counted
 */
import { Crowd } from './crowd.mjs';
import { maskedFrame } from './frames.mjs';
import { Latencies, nowMicros } from './latencies.mjs';
import { obey } from './obey.mjs';
import { Sequences } from './sequences.mjs';
import { ServerFrames } from './server-frames.mjs';

const TEXT = 0x81;
const CLOSE = 0x88;
const PING = 0x89;
const PONG = 0x8a;
/** A text whose end is not in this frame, one in its middle, and its end (RFC 6455, §5.4). */
const [BEGINS, GOES_ON, ENDS] = [0x01, 0x00, 0x80];
const PAUSE_MS = 100;
const THINK_MS = 400;
const RING_MS = 1000;
const DEADLINE_MS = 60_000;
const MASK = [1, 2, 3, 4];
const [port, count, ringCount, fragmentedCount, halvedCount] = process.argv.slice(2).map(Number);

const sent = new Int32Array(count);
const answered = new Int32Array(count);
const sentAt = new Float64Array(count);
const published = new Int32Array(ringCount);
/** Of each client of the ring: what it hears of each. */
let heard = Array.from({ length: ringCount }, () => new Sequences());
const latencies = new Latencies();
let echoes = 0;
let echoesLost = 0;
let echoesBackwards = 0;
/** @type {Record<string, number>} */
let closes = {};
let isTalking = false;

const frames = new ServerFrames(onFrame);
const crowd = new Crowd({
  capacity: count,
  port,
  path: (slot) => (slot < ringCount ? '/reload?channel=ring' : '/reload'),
  onBytes: (slot, slab, start, end) => frames.read(slot, slab, start, end),
});

/**
 * @param {number} slot
 * @param {number} head
 * @param {Buffer} payload
 */
function onFrame(slot, head, payload) {
  if (head === CLOSE) {
    const code = payload.length < 2 ? 1005 : payload.readUInt16BE(0);
    closes[code] = (closes[code] ?? 0) + 1;
    return;
  }
  if (head === PING) crowd.send(slot, maskedFrame(PONG, payload));
  if (head !== TEXT) return;
  const words = payload.toString('latin1').split(' ');
  if (words[0] === 'ring') {
    heard[slot].take(words[1], Number(words[2]));
    return;
  }
  const number = Number(words[1]);
  echoes++;
  if (number <= answered[slot]) echoesBackwards++;
  else echoesLost += number - answered[slot] - 1;
  answered[slot] = number;
  latencies.add(nowMicros() - sentAt[slot]);
  if (isTalking) later(THINK_MS, () => say(slot));
}

/**
 * @param {number} ms
 * @param {() => void} action
 */
function later(ms, action) {
  setTimeout(action, ms * (0.5 + Math.random()));
}

/** @param {number} slot */
function say(slot) {
  if (!isTalking || !crowd.isAlive(slot)) return;
  const text = `echo ${++sent[slot]}`;
  sentAt[slot] = nowMicros();
  if (slot >= ringCount && slot < ringCount + fragmentedCount) {
    sendLater(slot, [
      maskedFrame(BEGINS, text.slice(0, 2), MASK),
      maskedFrame(GOES_ON, text.slice(2, 4), MASK),
      maskedFrame(ENDS, text.slice(4), MASK),
    ]);
  } else if (slot >= ringCount + fragmentedCount && slot < ringCount + fragmentedCount + halvedCount) {
    const frame = maskedFrame(TEXT, text, MASK);
    sendLater(slot, [frame.subarray(0, 7), frame.subarray(7)]);
  } else {
    crowd.send(slot, maskedFrame(TEXT, text, MASK));
  }
}

/**
 * With pauses between.
 * @param {number} slot
 * @param {readonly Buffer[]} pieces
 */
function sendLater(slot, [piece, ...rest]) {
  if (!crowd.isAlive(slot)) return;
  crowd.send(slot, piece);
  if (rest.length > 0) later(PAUSE_MS, () => sendLater(slot, rest));
}

/** @param {number} slot */
function publish(slot) {
  if (!isTalking || !crowd.isAlive(slot)) return;
  crowd.send(slot, maskedFrame(TEXT, `ring ${slot} ${++published[slot]}`, MASK));
  later(RING_MS, () => publish(slot));
}

/** What is not answered, or heard, by those who live. */
function missing() {
  let unheard = 0;
  for (let slot = 0; slot < count; slot++) if (crowd.isAlive(slot)) unheard += sent[slot] - answered[slot];
  heard.forEach((sequences, slot) => {
    if (!crowd.isAlive(slot)) return;
    published.forEach((number, from) => {
      if (crowd.isAlive(from)) unheard += number - sequences.last(String(from));
    });
  });
  return unheard;
}

function report() {
  const ring = { received: 0, lost: 0, backwards: 0 };
  for (const sequences of heard) {
    ring.received += sequences.received;
    ring.lost += sequences.lost;
    ring.backwards += sequences.backwards;
  }
  return {
    open: crowd.open - crowd.ended,
    ended: crowd.ended,
    received: echoes + ring.received,
    lost: echoesLost + ring.lost,
    backwards: echoesBackwards + ring.backwards,
    closes,
    echo: latencies.report(),
  };
}

await obey({
  open: async () => {
    await crowd.openAll(count);
    return report();
  },
  start: () => {
    isTalking = true;
    for (let slot = 0; slot < count; slot++) later(THINK_MS, () => say(slot));
    for (let slot = 0; slot < ringCount; slot++) later(RING_MS, () => publish(slot));
  },
  stop: async () => {
    isTalking = false;
    const deadline = performance.now() + DEADLINE_MS;
    let left = 0;
    do {
      await new Promise((resolve) => {
        setTimeout(resolve, 2 * PAUSE_MS);
      });
      left = missing();
    } while (left > 0 && performance.now() < deadline);
    return { ...report(), missing: left };
  },
  reset: () => {
    heard = heard.map(() => new Sequences());
    published.fill(0);
    answered.set(sent);
    echoes = echoesLost = echoesBackwards = 0;
    latencies.reset();
    closes = {};
  },
  report,
});
