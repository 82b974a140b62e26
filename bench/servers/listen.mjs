import { once } from 'node:events';

/** @import { Server } from 'node:http' */

/**
 * Lets a peer listen on a port that the kernel chooses, with a queue as long as Roost's; resolves with the port.
 * @param {Server} server
 */
export async function listen(server) {
  await once(server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('A TCP server has a port.');
  return address.port;
}
