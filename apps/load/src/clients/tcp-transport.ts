import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import {
  connect,
  type ConnectOptions,
  EVENT_FIELDS,
  Interest,
  PollFlag,
  Poller,
  socketError,
} from '@roost/poller';
import type { Target } from '../target.ts';
import type { ClientTable } from './client-table.ts';
import { SourcePorts } from './source-ports.ts';
import { SERVER_ENDED, type Transport, type TransportEvents } from './transport.ts';

/** Plain TCP, over one epoll set: a connection is a descriptor and a row. */
export class TcpTransport implements Transport {
  readonly #table: ClientTable;
  readonly #events: TransportEvents;
  readonly #poller: Poller;
  readonly #route: ConnectOptions;
  readonly #sources: SourcePorts | undefined;
  /** Requests of those whose connect(2) is not finished. */
  readonly #requests = new Map<number, Buffer>();

  constructor(
    table: ClientTable,
    target: Target,
    sourceAddresses: readonly string[],
    events: TransportEvents,
  ) {
    this.#table = table;
    this.#events = events;
    this.#route = { host: target.address, port: target.port };
    this.#sources = sourceAddresses.length === 0 ? undefined : new SourcePorts(this.#route, sourceAddresses);
    this.#poller = new Poller({ columns: table, onEvents: (count) => this.#onEvents(count) });
  }

  open(slot: number, number: number, request: Buffer): string | undefined {
    const fd = this.#sources?.connect(number) ?? connect(this.#route);
    if (fd < 0) return getSystemErrorName(fd);
    this.#table.fds[slot] = fd;
    // On loopback connect(2) is done by now, which saves a wake-up.
    return this.#sendRequest(slot, request, false);
  }

  send(slot: number, frame: Buffer): boolean {
    return this.#poller.send(slot, frame, 0, frame.length) === frame.length;
  }

  pause(slot: number): void {
    this.#poller.setInterest(slot, Interest.paused);
  }

  close(slot: number): void {
    this.#requests.delete(slot);
    this.#poller.close(slot);
  }

  destroy(): void {
    this.#poller.destroy();
  }

  #sendRequest(slot: number, request: Buffer, isWatched: boolean): string | undefined {
    const sent = this.#poller.send(slot, request, 0, request.length);
    const mustWait = sent === 0 || sent === -constants.errno.EAGAIN;
    if (!mustWait && sent !== request.length) return sent < 0 ? getSystemErrorName(sent) : 'short send';
    if (mustWait) this.#requests.set(slot, request);
    const interest = mustWait ? Interest.writable : Interest.readable;
    const result = isWatched ? this.#poller.setInterest(slot, interest) : this.#poller.watch(slot, interest);
    return result < 0 ? getSystemErrorName(result) : undefined;
  }

  #onEvents(count: number): void {
    const table = this.#table;
    const { events, slab } = this.#poller;
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      const slot = events[at] ?? 0;
      const generation = events[at + 1] ?? 0;
      const flags = events[at + 2] ?? 0;
      const offset = events[at + 3] ?? 0;
      const length = events[at + 4] ?? 0;
      if (!table.isCurrent(slot, generation)) continue;
      if ((flags & PollFlag.error) !== 0) {
        this.#events.ended(slot, length > 0 ? getSystemErrorName(-length) : 'socket error');
        continue;
      }
      if ((flags & PollFlag.writable) !== 0) this.#connected(slot);
      if ((flags & PollFlag.data) !== 0 && table.isCurrent(slot, generation)) {
        this.#events.received(slot, slab, offset, offset + length);
      }
      if ((flags & (PollFlag.end | PollFlag.hangup)) !== 0 && table.isCurrent(slot, generation)) {
        this.#events.ended(slot, SERVER_ENDED);
      }
    }
    this.#events.batchEnded();
  }

  #connected(slot: number): void {
    const request = this.#requests.get(slot);
    if (request === undefined) return;
    this.#requests.delete(slot);
    const errno = socketError(this.#table.fds[slot] ?? -1);
    const failure = errno === 0 ? this.#sendRequest(slot, request, true) : getSystemErrorName(-errno);
    if (failure !== undefined) this.#events.ended(slot, failure);
  }
}
