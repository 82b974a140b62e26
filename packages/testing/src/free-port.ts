import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Server } from 'node:net';

/** Lets a server (TCP or HTTP) listen on a port of 127.0.0.1 that the kernel chooses, and returns the port. */
export async function listenLocally(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('A TCP server has a port.');
  return address.port;
}

/**
 * A TCP port of 127.0.0.1 that was free a moment ago. Somebody else may take it first; prefer port 0 for
 * whatever can report its own port.
 */
export async function freePort(): Promise<number> {
  const server = createServer();
  const port = await listenLocally(server);
  server.close();
  await once(server, 'close');
  return port;
}
