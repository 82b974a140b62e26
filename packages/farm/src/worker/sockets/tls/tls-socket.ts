import { Socket } from 'node:net';
import { TLSSocket, type SecureContext } from 'node:tls';
import { Interest } from '@roost/poller';

/** What TLS sockets report; one object serves all of a worker. */
export interface TlsSocketHandlers {
  /** The TLS handshake is complete. */
  tlsOnSecure(socket: TlsSocket): void;
  tlsOnData(socket: TlsSocket, bytes: Buffer): void;
  /** The client will send no more. */
  tlsOnEnd(socket: TlsSocket): void;
  /** It has written everything that it was given. Only after a write that it answered with false. */
  tlsOnDrain(socket: TlsSocket): void;
  /** Everything and then our FIN has been sent. */
  tlsOnFinish(socket: TlsSocket): void;
  /** The descriptor is closed. */
  tlsOnClose(socket: TlsSocket): void;
}

/** `http/1.1` as it stands in ALPN (RFC 7301 §3.1): a WebSocket is asked for in HTTP/1.1 (RFC 6455 §4.1). */
const ALPN_PROTOCOLS = Buffer.from('\u0008http/1.1');

/** A row's socket with TLS on it, which owns the row's descriptor. */
export class TlsSocket extends TLSSocket {
  readonly slot: number;
  readonly generation: number;
  /** The owner for whom its handshake counts until that has ended: see SecuringQueue. */
  readonly owner: string;
  readonly handlers: TlsSocketHandlers;
  isSecure = false;
  #isRowPaused = false;
  #hasQueue = false;
  /** Why it broke, if it did. */
  failure = '';

  /** `received` are the first bytes, read before from the descriptor. */
  constructor(
    fd: number,
    received: Buffer,
    row: { readonly slot: number; readonly generation: number; readonly owner: string },
    secureContext: SecureContext,
    handlers: TlsSocketHandlers,
  ) {
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    socket.unshift(received);
    super(socket, { isServer: true, secureContext, ALPNProtocols: ALPN_PROTOCOLS });
    this.slot = row.slot;
    this.generation = row.generation;
    this.owner = row.owner;
    this.handlers = handlers;
    this.on('error', onError);
    // Once the handshake is done TLSSocket leaves it to its server to end what breaks, and this one has no server.
    this.on('_tlsError', onTlsError);
    this.once('secure', onSecure);
    this.listen();
  }

  /** The row is paused: bytes that still come are the beginning of what is read later. */
  get isRowPaused(): boolean {
    return this.#isRowPaused;
  }

  /** The row's outbound queue waits for 'drain'. */
  get hasQueue(): boolean {
    return this.#hasQueue;
  }

  /** What the row wants to hear of, as {@link Poller.setInterest} takes it. True when a pause ends with it. */
  setInterest(interest: number): boolean {
    const wasPaused = this.#isRowPaused;
    this.#isRowPaused = (interest & Interest.readable) === 0;
    this.#hasQueue = (interest & Interest.writable) !== 0;
    if (this.#isRowPaused || !wasPaused) return false;
    this.resume();
    return true;
  }

  /** Reports to the handlers what happens. */
  listen(): void {
    this.on('data', onData);
    this.on('end', onEnd);
    this.on('drain', onDrain);
    this.on('finish', onFinish);
    this.on('close', onClose);
  }

  /** The stream is lent: its events are the borrower's. */
  unlisten(): void {
    this.off('data', onData);
    this.off('end', onEnd);
    this.off('drain', onDrain);
    this.off('finish', onFinish);
    this.off('close', onClose);
  }
}

// Shared by all sockets: a closure each would be kept as long as the connection.

function onError(this: TlsSocket, error: NodeJS.ErrnoException): void {
  this.failure = error.code ?? error.message;
}

function onTlsError(this: TlsSocket, error: Error): void {
  this.destroy(error);
}

function onSecure(this: TlsSocket): void {
  this.isSecure = true;
  this.handlers.tlsOnSecure(this);
}

function onData(this: TlsSocket, bytes: Buffer): void {
  this.handlers.tlsOnData(this, bytes);
}

function onEnd(this: TlsSocket): void {
  this.handlers.tlsOnEnd(this);
}

function onDrain(this: TlsSocket): void {
  this.handlers.tlsOnDrain(this);
}

function onFinish(this: TlsSocket): void {
  this.handlers.tlsOnFinish(this);
}

function onClose(this: TlsSocket): void {
  this.handlers.tlsOnClose(this);
}
