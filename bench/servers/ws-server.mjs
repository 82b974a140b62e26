import { createServer } from 'node:http';
import { Redis } from 'ioredis';
import { WebSocketServer } from 'ws';
import { listen } from './listen.mjs';

/** As Roost agrees on it. */
const DEFLATE = { serverNoContextTakeover: true, clientNoContextTakeover: true };

/**
 * The peer: `ws` as its documentation shows it. It echoes; with REDIS_URL it also sends every publication of
 * `roost:channel:news` to all its clients with a loop of `send`; with CHANNEL each client is a member of it; with COMPRESSION=on it compresses what has 1 KB or more. Resolves with the port when it listens.
 */
export async function serveWithWs() {
  const server = createServer();
  const wss = new WebSocketServer({ server, perMessageDeflate: process.env.COMPRESSION === 'on' && DEFLATE });
  /** @type {Map<string, Set<unknown>>} */
  const channels = new Map();
  const { CHANNEL: channel } = process.env;
  wss.on('connection', (connection) => {
    if (channel !== undefined) {
      const members = channels.get(channel) ?? new Set();
      channels.set(channel, members.add(connection));
      connection.on('close', () => members.delete(connection));
    }
    connection.on('message', (data, isBinary) => connection.send(data, { binary: isBinary }));
  });
  if (process.env.REDIS_URL !== undefined) await broadcastFromRedis(wss, process.env.REDIS_URL);
  return listen(server);
}

/**
 * @param {WebSocketServer} wss
 * @param {string} url
 */
async function broadcastFromRedis(wss, url) {
  const redis = new Redis(url);
  redis.on('message', (_channel, payload) => {
    for (const client of wss.clients) client.send(payload);
  });
  await redis.subscribe('roost:channel:news');
}
