import type { Socket } from 'node:net';
import { duplicateDescriptor } from '@roost/poller';

/**
 * Another descriptor of a Node socket's, the caller's own. Negative when there is none: it is closed, or we are at our
 * limit. Node has no public way to it; `_handle.fd` has been stable since 0.6.
 */
export function duplicateOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : -1;
  return typeof fd === 'number' && fd >= 0 ? duplicateDescriptor(fd) : -1;
}
