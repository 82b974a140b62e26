/** @import { FarmInfo } from '@roost/farm' */

/** Start a server with `--api-key` and this, to ask it. */
export const API_KEY = 'bench';

/**
 * POSTs to the HTTP API of a server and answers the `result`.
 * @param {{ readonly url: string }} server
 * @param {string} method
 * @returns {Promise<{ nodes?: FarmInfo[] }>}
 */
export async function askApi(server, method, body = {}) {
  const { port } = new URL(server.url);
  const response = await fetch(`http://127.0.0.1:${port}/api/${method}`, {
    method: 'POST',
    headers: { 'X-API-Key': API_KEY },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) throw new Error(`/api/${method} answered ${response.status}: ${answer}`);
  return JSON.parse(answer).result;
}

/**
 * What a farm tells of itself.
 * @param {{ readonly url: string }} server
 */
export async function readInfo(server) {
  const { nodes = [] } = await askApi(server, 'info');
  return nodes[0];
}
