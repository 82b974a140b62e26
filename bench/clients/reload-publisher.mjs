/**
 * Publishes numbers with raw PUBLISH, so that nothing of Roost's carries them: `reload-publisher.mjs redisUrl rooms perSecond`. Commands,
 * one a line of JSON under `do`:
 *
 *   start    begins: `perSecond` to rooms in turn, one a second to `all`, ten a second of 8 KB to `heavy`
 *   stop     ends; answers the last numbers
 *   say      publishes to `channel` what `text` says
 */
import { Redis } from 'ioredis';
import { obey } from './obey.mjs';

const TICK_MS = 50;
const ALL_MS = 1000;
const HEAVY_MS = 100;
const HEAVY_BYTES = 8192;
const PREFIX = 'roost:channel:';
const redisUrl = process.argv[2];
const [roomCount, perSecond] = process.argv.slice(3).map(Number);

const redis = new Redis(redisUrl, {
  retryStrategy: () => 50,
  maxRetriesPerRequest: 0,
  enableOfflineQueue: false,
});
redis.on('error', () => {});
const rooms = Array.from({ length: roomCount }, () => 0);
let all = 0;
let heavy = 0;
let next = 0;
let refused = 0;
/** @type {NodeJS.Timeout[]} */
let timers = [];

/**
 * A number that Redis does not take is not used again: nobody knows whether it was published.
 * @param {string} channel
 * @param {string} text
 */
function publish(channel, text) {
  redis.publish(PREFIX + channel, text).catch(() => refused++);
}

function publishToRooms() {
  for (let left = (perSecond * TICK_MS) / 1000; left > 0; left--) {
    const room = next++ % roomCount;
    publish(`room-${room}`, `room ${++rooms[room]}`);
  }
}

await obey({
  start: async () => {
    if (redis.status !== 'ready') await new Promise((resolve) => redis.once('ready', resolve));
    timers = [
      setInterval(publishToRooms, TICK_MS),
      setInterval(() => publish('all', `all ${++all}`), ALL_MS),
      setInterval(() => publish('heavy', `heavy ${++heavy} `.padEnd(HEAVY_BYTES, 'x')), HEAVY_MS),
    ];
  },
  stop: () => {
    for (const timer of timers) clearInterval(timer);
    return { all, rooms, heavy, refused };
  },
  say: async ({ channel, text }) => ({ receivers: await redis.publish(channel, text) }),
});
