import { closeDescriptor, type Poller } from '@roost/poller';
import type { ConnectionTable } from '../rows/connection-table.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { Sockets } from './sockets.ts';

/** The socket of a row, which ends with it, or lives on in another worker. The last owner that a row is given back by. */
export class SocketOwner implements RowOwner {
  readonly #table: Pick<ConnectionTable, 'fds'>;
  readonly #poller: Pick<Poller, 'unwatch'>;
  readonly #sockets: Pick<Sockets, 'close'>;

  constructor(
    table: Pick<ConnectionTable, 'fds'>,
    poller: Pick<Poller, 'unwatch'>,
    sockets: Pick<Sockets, 'close'>,
  ) {
    this.#table = table;
    this.#poller = poller;
    this.#sockets = sockets;
  }

  release(slot: number): void {
    this.#sockets.close(slot);
  }

  /** The other worker has a descriptor of its own: this one is closed, and the connection is not. */
  depart(slot: number): void {
    const fd = this.#table.fds[slot] ?? -1;
    this.#poller.unwatch(slot);
    if (fd >= 0) closeDescriptor(fd);
  }
}
