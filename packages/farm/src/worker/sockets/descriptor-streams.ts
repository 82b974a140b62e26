import { Socket } from 'node:net';
import { duplicateDescriptor, Interest, type Poller } from '@roost/poller';
import { Transport, type ConnectionTable } from '../rows/connection-table.ts';

/** Rows as Node streams, for as long as Node's HTTP server reads and writes them. */
export interface Streams {
  /** A stream of the row, which is the borrower's until {@link takeBack}, or until it destroys it. */
  lend(slot: number): Socket;
  /** The row's bytes go to its handlers again. False when that is impossible; the descriptor is closed then. */
  takeBack(slot: number, socket: Socket): boolean;
  /**
   * As {@link takeBack}, from a borrower that is told of the end of its stream. False when it is impossible: the stream stays as it
   * is then, or has ended. Undefined where the stream cannot be left out: of TLS.
   */
  reclaim?(slot: number, socket: Socket): boolean;
}

/** Takes the row's descriptor from the poller, for a Node stream that owns it from now on. */
export function detachDescriptor(table: ConnectionTable, poller: Poller, slot: number): number {
  const fd = table.fds[slot] ?? -1;
  poller.unwatch(slot);
  table.fds[slot] = -1;
  table.transports[slot] = Transport.stream;
  return fd;
}

/** Streams of rows whose descriptors are the poller's. */
export class DescriptorStreams implements Streams {
  readonly #table: ConnectionTable;
  readonly #poller: Poller;

  constructor(table: ConnectionTable, poller: Poller) {
    this.#table = table;
    this.#poller = poller;
  }

  lend(slot: number): Socket {
    const fd = detachDescriptor(this.#table, this.#poller, slot);
    return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
  }

  takeBack(slot: number, socket: Socket): boolean {
    const fd = duplicateOf(socket);
    // Closes the original only: no FIN is sent, since the duplicate lives.
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.destroy();
    return fd >= 0 && this.#attach(slot, fd);
  }

  reclaim(slot: number, socket: Socket): boolean {
    const fd = duplicateOf(socket);
    if (fd < 0) return false;
    socket.destroy();
    return this.#attach(slot, fd);
  }

  #attach(slot: number, fd: number): boolean {
    this.#table.fds[slot] = fd;
    this.#table.transports[slot] = Transport.native;
    return this.#poller.watch(slot, Interest.readable) >= 0;
  }
}

/**
 * Another descriptor of a Node socket's, the caller's own. Negative when there is none: it is closed, or we are at our
 * limit. Node has no public way to it; `_handle.fd` has been stable since 0.6.
 */
export function duplicateOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : -1;
  return typeof fd === 'number' && fd >= 0 ? duplicateDescriptor(fd) : -1;
}
