import type { Socket } from 'node:net';
import { peerUser } from '@roost/poller';

/**
 * The user id of the process at the other end of a Unix socket, as the kernel knows it; negative when it is not known. Node has
 * no public way to the descriptor; `_handle.fd` has been stable since 0.6.
 */
export function peerUserOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : -1;
  return typeof fd === 'number' && fd >= 0 ? peerUser(fd) : -1;
}
