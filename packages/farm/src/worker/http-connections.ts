import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Socket } from 'node:net';
import { Interest, closeDescriptor, duplicateDescriptor } from '@roost/poller';
import { refusalResponse } from '@roost/websocket';
import { RowState, Transport } from './connection-table.ts';
import type { Core } from './core.ts';
import { CLOSE_ABNORMAL } from './lifecycle.ts';
import { TimeoutKind } from './timeouts.ts';

/**
 * Connections that speak plain HTTP: health checks, the API, the page. The row's descriptor is given to a Node socket
 * and from then on libuv owns it; the worker's `http.Server`, made when the first of them comes, never listens.
 *
 * Such a server does not enforce its request timeouts, so the row's `http` timeout does: it runs while a request is
 * awaited or arriving, and rests while the application answers.
 *
 * A WebSocket upgrade as a later request on a kept-alive connection (proxies do that) goes the same way as a first one:
 * the descriptor is taken back and the request head is read again, by the parser that reads all others.
 */
export class HttpConnections {
  readonly #core: Core;
  readonly #sockets = new Map<number, Socket>();
  readonly #slots = new WeakMap<object, { readonly slot: number; readonly generation: number }>();
  #server: Server | undefined;

  constructor(core: Core) {
    this.#core = core;
  }

  get count(): number {
    return this.#sockets.size;
  }

  /** Gives a row to the HTTP server, with what was received of its first request. */
  take(slot: number, bytes: Buffer, start: number, end: number): void {
    const { table, poller, timeouts } = this.#core;
    this.#server ??= this.#createServer();
    const received = Buffer.from(bytes.subarray(start, end));
    const fd = table.fds[slot] ?? -1;
    poller.unwatch(slot);
    table.fds[slot] = -1;
    table.transports[slot] = Transport.stream;
    table.states[slot] = RowState.http;
    timeouts.set(slot, TimeoutKind.http);
    const place = { slot, generation: table.generation(slot) };
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    this.#sockets.set(slot, socket);
    this.#slots.set(socket, place);
    socket.on('close', () => {
      if (this.#sockets.get(slot) !== socket) return;
      this.#sockets.delete(slot);
      if (table.isCurrent(slot, place.generation)) this.#core.lifecycle.finish(slot, CLOSE_ABNORMAL, '');
    });
    this.#server.emit('connection', socket);
    socket.unshift(received);
  }

  /** The row ends; so does its socket. */
  release(slot: number): void {
    const socket = this.#sockets.get(slot);
    this.#sockets.delete(slot);
    socket?.destroy();
  }

  /** The farm drains: connections that wait for a next request end; the others end with their response. */
  endIdle(): void {
    for (const [slot, socket] of this.#sockets) {
      if (this.#core.timeouts.kind(slot) === TimeoutKind.http) socket.destroySoon();
    }
  }

  /** No whole request came in time. */
  expired(slot: number): void {
    const socket = this.#sockets.get(slot);
    if (socket === undefined) return;
    if (socket.bytesWritten === 0) socket.write(REQUEST_TIMEOUT);
    socket.destroySoon();
    this.#core.counters.add('refused_handshake_timeout');
    // What the client does not read must not keep the row: the second time ends it.
    if (socket.destroyed) return;
    this.#core.timeouts.set(slot, TimeoutKind.closing);
  }

  #createServer(): Server {
    const { apps, config } = this.#core;
    const server = createServer({ maxHeaderSize: config.maxRequestHeadBytes });
    // The row's timeout ends idle connections, after httpRequestTimeoutMs.
    server.keepAliveTimeout = 0;
    server.on('request', (request, response) => {
      const place = this.#slots.get(request.socket);
      if (place !== undefined) this.#watchRequest(request, place.slot, place.generation);
      if (this.#core.isDraining) response.setHeader('Connection', 'close');
      response.on('finish', () => {
        if (place !== undefined) this.#await(place.slot, place.generation);
      });
      if (apps.http(request, response)) return;
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('nothing serves this path\n');
    });
    server.on('upgrade', (request, socket, head) => this.#takeBack(request, socket, head));
    return server;
  }

  /** While a request arrives its timeout runs; while it is being answered none does. */
  #watchRequest(request: IncomingMessage, slot: number, generation: number): void {
    const { timeouts, table } = this.#core;
    const received = (): void => {
      if (table.isCurrent(slot, generation) && timeouts.kind(slot) === TimeoutKind.http) timeouts.clear(slot);
    };
    if (request.complete) received();
    else request.once('end', received);
  }

  /** The next request of a kept-alive connection is awaited. */
  #await(slot: number, generation: number): void {
    const { table, timeouts } = this.#core;
    if (table.isCurrent(slot, generation) && table.state(slot) === RowState.http) {
      timeouts.set(slot, TimeoutKind.http);
    }
  }

  #takeBack(request: IncomingMessage, stream: object, head: Buffer): void {
    const { table, poller, timeouts, handshakes, lifecycle } = this.#core;
    const place = this.#slots.get(stream);
    const socket = place === undefined ? undefined : this.#sockets.get(place.slot);
    if (place === undefined || socket === undefined || !table.isCurrent(place.slot, place.generation)) return;
    const { slot } = place;
    const fd = duplicateDescriptor(descriptorOf(socket));
    if (fd < 0) {
      lifecycle.finish(slot, CLOSE_ABNORMAL, '');
      return;
    }
    // Closes the original only: no FIN is sent, since the duplicate lives.
    this.#sockets.delete(slot);
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.destroy();
    table.fds[slot] = fd;
    table.transports[slot] = Transport.native;
    table.states[slot] = RowState.handshake;
    if (poller.watch(slot, Interest.readable) < 0) {
      closeDescriptor(fd);
      table.fds[slot] = -1;
      lifecycle.finish(slot, CLOSE_ABNORMAL, '');
      return;
    }
    timeouts.set(slot, TimeoutKind.handshake);
    const bytes = Buffer.concat([requestHeadOf(request), head]);
    handshakes.receive(slot, bytes, 0, bytes.length);
  }
}

const REQUEST_TIMEOUT = refusalResponse(408, 'the request did not arrive in time');

/**
 * The request head as it was received, but for the spaces around the values. An upgrade to another protocol than
 * WebSocket (h2c) is left out: a server may ignore it (RFC 9110 §7.8), but Node's would emit 'upgrade' again.
 */
function requestHeadOf(request: IncomingMessage): Buffer {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const isWebSocket = request.headers.upgrade?.toLowerCase() === 'websocket';
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    if (!isWebSocket && request.rawHeaders[index]?.toLowerCase() === 'upgrade') continue;
    lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Node has no public way to a socket's descriptor; `_handle.fd` has been stable since 0.6. -1 when it is gone. */
function descriptorOf(socket: Socket): number {
  const handle: unknown = Reflect.get(socket, '_handle');
  const fd: unknown = typeof handle === 'object' && handle !== null ? Reflect.get(handle, 'fd') : -1;
  return typeof fd === 'number' ? fd : -1;
}
