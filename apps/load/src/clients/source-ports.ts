import { constants } from 'node:os';
import { connect, type ConnectOptions } from '@roost/poller';
import { readPortRange } from '../limits.ts';
import { sourceOf } from './transport.ts';

const { EADDRINUSE, EADDRNOTAVAIL } = constants.errno;
/** Ports tried before the kernel is asked to find one. */
const MAX_TRIES = 16;

/**
 * Gives each connection, by its number, an address and a port of its own, so that all processes of a run keep out of each
 * other's way. The kernel, asked to choose, tries one port after the other: when half of those of an address are in use that
 * is most of what a connection costs.
 */
export class SourcePorts {
  readonly #route: ConnectOptions;
  readonly #addresses: readonly string[];
  readonly #low: number;
  readonly #count: number;

  constructor(route: ConnectOptions, addresses: readonly string[]) {
    const { low, high } = readPortRange();
    this.#route = route;
    this.#addresses = addresses;
    this.#low = low;
    this.#count = high - low + 1;
  }

  /** A descriptor, or -errno; see the poller's connect(). */
  connect(number: number): number {
    const { host, port } = this.#route;
    const sourceAddress = sourceOf(this.#addresses, number) ?? '';
    const first = Math.floor(number / this.#addresses.length);
    for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
      const sourcePort = this.#low + ((first + attempt) % this.#count);
      const fd = connect({ host, port, sourceAddress, sourcePort });
      // Somebody else's, or of a connection whose end the kernel still remembers.
      if (fd !== -EADDRINUSE && fd !== -EADDRNOTAVAIL) return fd;
    }
    return connect({ host, port, sourceAddress });
  }
}
