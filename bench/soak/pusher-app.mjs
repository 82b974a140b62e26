import { createHash, createHmac } from 'node:crypto';

/** @import { Server } from '../lib/servers.mjs' */

const ID = 'soak';
export const PUSHER_APP = { key: 'soak-key', secret: 'soak-secret' };
export const PUSHER_ARGS = [
  `--pusher-app-id=${ID}`,
  `--pusher-app-key=${PUSHER_APP.key}`,
  `--pusher-app-secret=${PUSHER_APP.secret}`,
];

/**
 * Publishes an event `news` by the HTTP API of Pusher, signed as that wants it. Rejects with its answer when it is refused.
 * @param {Server} server
 * @param {string} channel
 * @param {string} data
 */
export async function publishEvent(server, channel, data) {
  const path = `/apps/${ID}/events`;
  const body = JSON.stringify({ name: 'news', channel, data });
  const query = [
    `auth_key=${PUSHER_APP.key}`,
    `auth_timestamp=${Math.floor(Date.now() / 1000)}`,
    'auth_version=1.0',
    `body_md5=${createHash('md5').update(body).digest('hex')}`,
  ].join('&');
  const signature = createHmac('sha256', PUSHER_APP.secret).update(`POST\n${path}\n${query}`).digest('hex');
  const { port } = new URL(server.url);
  const response = await fetch(`http://127.0.0.1:${port}${path}?${query}&auth_signature=${signature}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body,
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`${path} answered ${response.status}: ${answer}`);
}
