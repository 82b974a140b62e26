/**
 * Clients that speak the Pusher protocol, or /plain for comparison: `pusher-crowd.mjs port path count options`, with options
 * as JSON, see {@link Options}. Commands, one a line of JSON under `do`:
 *
 *   open     opens them all, and waits until each is subscribed
 *   ping     a closed loop of `message` from the first `clients` for `seconds`; each answer must be `answer`
 *   await    waits until all together have had `messages` events of the name `event`, at most 60 s
 *   reset    forgets what was counted
 *   report   how many are open, how many members were told to come or go, and the fewest and most events that one of them had
 */
import { createHmac } from 'node:crypto';
import { Crowd } from './crowd.mjs';
import { maskedFrame } from './frames.mjs';
import { Latencies, nowMicros } from './latencies.mjs';
import { obey } from './obey.mjs';
import { ServerFrames } from './server-frames.mjs';

/**
 * @typedef {object} Options
 * @property {'pusher' | 'plain' | 'echo'} dialect
 * @property {string} [channel] To subscribe to; `{i}` is the number of the client, `{r}` that of its room.
 * @property {number} [perRoom]
 * @property {number} [first] Number of the first client.
 * @property {string} [key] Of the app, for private and presence channels.
 * @property {string} [secret]
 * @property {string} [event] What is counted.
 * @property {number} [inFlight]
 */

const TEXT = 0x81;
const PONG = maskedFrame(TEXT, '{"event":"pusher:pong","data":{}}');
const DEADLINE_MS = 60_000;
const [port, path, count] = [Number(process.argv[2]), process.argv[3], Number(process.argv[4])];
/** @type {Options} */
const options = JSON.parse(process.argv[5]);
const {
  dialect,
  channel = '',
  perRoom = 1,
  first = 0,
  key = '',
  secret = '',
  event = 'news',
  inFlight,
} = options;
const counted = dialect === 'pusher' ? Buffer.from(`{"event":${JSON.stringify(event)}`) : Buffer.alloc(0);

const received = new Uint32Array(count);
const sentAt = new Float64Array(count);
const latencies = new Latencies();
let subscribed = 0;
let total = 0;
let memberChanges = 0;
let onProgress = () => {};
/** @type {string[]} */
const unexpected = [];
/** @type {{ request: Buffer, answer: Buffer, isRunning: boolean } | undefined} */
let loop;

const frames = new ServerFrames(onFrame);
const crowd = new Crowd({
  capacity: count,
  port,
  path,
  onBytes: (slot, slab, start, end) => frames.read(slot, slab, start, end),
  ...(inFlight === undefined ? {} : { inFlight }),
});

/**
 * @param {number} slot
 * @param {number} head
 * @param {Buffer} payload
 */
function onFrame(slot, head, payload) {
  if (head !== TEXT) {
    complain(`a frame begins with ${head}: ${payload.toString('latin1', 0, 100)}`);
    return;
  }
  if (loop !== undefined && payload.equals(loop.answer)) {
    latencies.add(nowMicros() - sentAt[slot]);
    total++;
    if (loop.isRunning) ask(slot);
  } else if (dialect !== 'pusher' || payload.subarray(0, counted.length).equals(counted)) {
    received[slot]++;
    total++;
  } else {
    onInternal(slot, JSON.parse(payload.toString()));
  }
  onProgress();
}

/**
 * @param {number} slot
 * @param {{ event: string, data: string }} message
 */
function onInternal(slot, message) {
  switch (message.event) {
    case 'pusher:connection_established': {
      if (channel === '') subscribed++;
      else crowd.send(slot, maskedFrame(TEXT, subscription(slot, JSON.parse(message.data).socket_id)));
      return;
    }
    case 'pusher_internal:subscription_succeeded':
      subscribed++;
      return;
    case 'pusher:ping':
      crowd.send(slot, PONG);
      return;
    case 'pusher_internal:member_added':
    case 'pusher_internal:member_removed':
      memberChanges++;
      return;
    default:
      complain(JSON.stringify(message));
  }
}

/**
 * @param {number} slot
 * @param {string} socketId
 */
function subscription(slot, socketId) {
  const number = first + slot;
  const name = channel.replace('{i}', String(number)).replace('{r}', String(Math.floor(number / perRoom)));
  if (!/^(?:private|presence)-/.test(name)) {
    return JSON.stringify({ event: 'pusher:subscribe', data: { auth: '', channel: name } });
  }
  const member = JSON.stringify({ user_id: `u${number}`, user_info: { name: `User ${number}` } });
  const signed = name.startsWith('presence-') ? `${socketId}:${name}:${member}` : `${socketId}:${name}`;
  const auth = `${key}:${createHmac('sha256', secret).update(signed).digest('hex')}`;
  return JSON.stringify({
    event: 'pusher:subscribe',
    data: { auth, ...(name.startsWith('presence-') ? { channel_data: member } : {}), channel: name },
  });
}

/** @param {string} what */
function complain(what) {
  if (unexpected.length < 5) unexpected.push(what);
}

/** @param {number} slot */
function ask(slot) {
  if (loop === undefined) return;
  sentAt[slot] = nowMicros();
  crowd.send(slot, loop.request);
}

/** @param {() => boolean} isThere */
function until(isThere) {
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      onProgress = () => {};
      resolve(report());
    };
    const timer = setTimeout(finish, DEADLINE_MS);
    onProgress = () => {
      if (isThere()) finish();
    };
    onProgress();
  });
}

function report() {
  let fewest = Infinity;
  let most = 0;
  for (const events of received) {
    fewest = Math.min(fewest, events);
    most = Math.max(most, events);
  }
  const open = crowd.open - crowd.ended;
  return { open, ended: crowd.ended, subscribed, memberChanges, total, fewest, most, unexpected };
}

await obey({
  open: async () => {
    await crowd.openAll(count);
    if (dialect !== 'pusher') return report();
    return until(() => subscribed === count);
  },
  ping: async ({ message, answer, clients, seconds }) => {
    loop = { request: maskedFrame(TEXT, message), answer: Buffer.from(answer), isRunning: true };
    latencies.reset();
    total = 0;
    for (let slot = 0; slot < clients; slot++) ask(slot);
    await new Promise((resolve) => {
      setTimeout(resolve, seconds * 1000);
    });
    loop.isRunning = false;
    const answers = total;
    // Each client has one under way.
    await until(() => total >= answers + clients);
    loop = undefined;
    return { answers: total, ...latencies.report(), unexpected };
  },
  await: ({ messages }) => until(() => total >= messages),
  reset: () => {
    received.fill(0);
    total = memberChanges = 0;
  },
  report,
});
