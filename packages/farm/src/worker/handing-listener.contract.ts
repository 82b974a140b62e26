import {
  ADDRESS_BYTES,
  accept,
  closeDescriptor,
  descriptorPair,
  EVENT_FIELDS,
  Interest,
  listen,
  type ListenOptions,
  localAddress,
  Poller,
} from '@roost/poller';
import { HandOff } from '../master/entrance/hand-off.ts';
import { throwingGuard } from '../master/throwing-guard.contract.ts';

const LISTENER_ID = 0;
const WORKER_ID = 1;
const MAX_ACCEPTS = 64;

export interface HandingListenerOptions extends Pick<ListenOptions, 'userTimeoutMs'> {
  readonly maxUnacknowledged: number;
  /** Flags of the hand-off record, asked for each socket. Default: none. */
  readonly flags?: () => number;
  readonly onAcknowledged?: (count: number) => void;
}

/** As much of a master as a worker in this process needs to get sockets: listens on loopback and hands all of them off. */
export class HandingListener {
  readonly port: number;
  /** For the worker. */
  readonly workerEnd: number;
  readonly #flags: () => number;
  readonly #poller: Poller;
  readonly #listener: number;
  readonly #handOff: HandOff;
  readonly #fds = new Int32Array(MAX_ACCEPTS);
  readonly #addresses = new Uint8Array(MAX_ACCEPTS * ADDRESS_BYTES);
  #lastNumber = 0;

  constructor(options: HandingListenerOptions) {
    const {
      maxUnacknowledged,
      flags = () => 0,
      onAcknowledged = () => undefined,
      ...listenOptions
    } = options;
    this.#flags = flags;
    const [masterEnd, workerEnd] = descriptorPair();
    this.workerEnd = workerEnd;
    this.#handOff = new HandOff(masterEnd, maxUnacknowledged, throwingGuard(), {
      acknowledged: onAcknowledged,
      returned: (sockets) => HandOff.drop(sockets),
      refused: () => undefined,
      lost: (sockets) => HandOff.drop(sockets),
    });
    this.#listener = listen({ host: '127.0.0.1', port: 0, ...listenOptions });
    this.port = localAddress(this.#listener).port;
    this.#poller = new Poller({
      columns: { fds: new Int32Array(1), generations: new Int32Array(1), flags: new Uint16Array(1) },
      onEvents: (count) => this.#handle(count),
    });
    this.#poller.watchDescriptor(this.#listener, LISTENER_ID, Interest.readable);
    this.#poller.watchDescriptor(masterEnd, WORKER_ID, Interest.readable);
  }

  /** To be called when the worker has stopped. */
  close(): void {
    this.#poller.destroy();
    closeDescriptor(this.#listener);
    HandOff.drop(this.#handOff.end());
    closeDescriptor(this.workerEnd);
  }

  #handle(count: number): void {
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      if (this.#poller.events[at] === LISTENER_ID) this.#accept();
      else this.#handOff.readAcknowledgements();
    }
  }

  #accept(): void {
    const count = accept(this.#listener, this.#fds, this.#addresses);
    for (let index = 0; index < count; index++) {
      this.#handOff.add({
        fd: this.#fds[index] ?? -1,
        number: ++this.#lastNumber,
        address: this.#addresses.slice(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES),
        flags: this.#flags(),
      });
    }
    this.#handOff.flush();
  }
}
