import { connect as connectTcp } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext, type TLSSocket } from 'node:tls';
import type { Target, TlsTarget } from '../target.ts';
import type { ClientTable } from './client-table.ts';
import { sourceOf, type Transport, type TransportEvents } from './transport.ts';

/** A server that does not read must not make this process keep all that it is sent. */
const MAX_UNSENT_BYTES = 1024 * 1024;
const SERVER_ENDED = 'closed before the answer';

/** TLS by Node: an object and about 100 KB a connection, so that it needs more processes than plain TCP. */
export class TlsTransport implements Transport {
  readonly #table: ClientTable;
  readonly #target: Target;
  readonly #sourceAddresses: readonly string[];
  readonly #events: TransportEvents;
  readonly #tls: TlsTarget;
  readonly #context: SecureContext;
  readonly #sockets = new Map<number, TLSSocket>();

  constructor(
    table: ClientTable,
    { target, tls }: { readonly target: Target; readonly tls: TlsTarget },
    sourceAddresses: readonly string[],
    events: TransportEvents,
  ) {
    this.#table = table;
    this.#target = target;
    this.#tls = tls;
    this.#sourceAddresses = sourceAddresses;
    this.#events = events;
    this.#context = createSecureContext(tls.ca === null ? {} : { ca: tls.ca });
  }

  open(slot: number, number: number, request: Buffer): string | undefined {
    const { address: host, port } = this.#target;
    const localAddress = sourceOf(this.#sourceAddresses, number);
    const socket = connectTls({
      socket: connectTcp({
        host,
        port,
        noDelay: true,
        ...(localAddress === undefined ? {} : { localAddress }),
      }),
      secureContext: this.#context,
      servername: this.#tls.servername,
      rejectUnauthorized: !this.#tls.isInsecure,
      ALPNProtocols: ['http/1.1'],
    });
    this.#sockets.set(slot, socket);
    const generation = this.#table.generations[slot] ?? 0;
    let reason = SERVER_ENDED;
    socket.on('data', (bytes) => {
      if (this.#isCurrent(slot, generation, socket)) this.#events.received(slot, bytes, 0, bytes.length);
      this.#events.batchEnded();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      reason = error.code ?? error.message;
    });
    socket.on('close', () => {
      if (!this.#isCurrent(slot, generation, socket)) return;
      this.#events.ended(slot, reason);
      this.#events.batchEnded();
    });
    socket.write(request);
    return undefined;
  }

  send(slot: number, frame: Buffer): boolean {
    const socket = this.#sockets.get(slot);
    if (socket === undefined || socket.destroyed || socket.writableLength > MAX_UNSENT_BYTES) return false;
    socket.write(frame);
    return true;
  }

  pause(slot: number): void {
    this.#sockets.get(slot)?.pause();
  }

  close(slot: number): void {
    const socket = this.#sockets.get(slot);
    this.#sockets.delete(slot);
    socket?.destroy();
  }

  destroy(): void {
    for (const slot of this.#sockets.keys()) this.close(slot);
  }

  #isCurrent(slot: number, generation: number, socket: TLSSocket): boolean {
    return this.#table.isCurrent(slot, generation) && this.#sockets.get(slot) === socket;
  }
}
