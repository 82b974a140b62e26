import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import { listen } from './listen.mjs';

/**
 * @typedef {object} IoSocket As much of it as is used.
 * @property {(event: string, listener: (data: unknown) => void) => void} on
 * @property {(event: string, data: unknown) => void} emit
 */

/**
 * The peer: socket.io as its documentation shows it, in one process, without what its guide to performance adds (the
 * native add-ons of `ws`, another engine, forgetting the request). It is no dependency, so the path of its module is the
 * first argument. It echoes `message` events; with REDIS_URL it also emits every publication of `roost:channel:news` to all
 * its clients.
 */
const { Server } = await import(process.argv[2]);
/** Longer than any row: a ping would be one more message, and a client that does not answer it is disconnected. */
const PING_INTERVAL_MS = 10 * 60_000;

const server = createServer();
const io = new Server(server, { transports: ['websocket'], pingInterval: PING_INTERVAL_MS });
io.on('connection', (/** @type {IoSocket} */ socket) => {
  socket.on('message', (data) => socket.emit('message', data));
});
if (process.env.REDIS_URL !== undefined) {
  const redis = new Redis(process.env.REDIS_URL);
  redis.on('message', (_channel, payload) => io.emit('message', payload));
  await redis.subscribe('roost:channel:news');
}
const port = await listen(server);
console.log(
  JSON.stringify({
    msg: 'farm ready',
    port,
    workers: [{ worker: 0, pid: process.pid, cpu: null }],
  }),
);
