import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { absoluteForm, hasRepeatedHeader, hasToken, refusalResponse } from '@roost/websocket';
import { CloseCode } from '../../api/close-codes.ts';
import type { Counters } from '../../api/counters.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost } from '../app/app-host.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import { EMPTY } from '../rows/empty.ts';
import type { Draining } from '../rows/draining.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import type { Rows } from '../rows/rows.ts';
import { TimeoutKind, type Timeouts } from '../rows/timeouts.ts';
import type { Streams } from '../sockets/descriptor-streams.ts';
import type { Ending } from './ending.ts';
import { State } from './state.ts';

/** The row of a socket, and what happens on it. */
interface Place {
  readonly slot: number;
  readonly generation: number;
  /** Requests whose responses have not ended: several when they are pipelined. */
  unanswered: number;
  /** The last of them. */
  latest: IncomingMessage | undefined;
  /** An upgrade that came behind unanswered requests, and what came behind it. */
  upgrade: { readonly request: IncomingMessage; readonly head: Buffer } | undefined;
}

export interface HttpHandlers {
  /** A request asks for an upgrade: the row is in state handshake again, and these bytes begin with the request's head. */
  httpOnUpgrade(slot: number, bytes: Buffer): void;
}

export interface HttpParts {
  readonly config: Pick<FarmConfig, 'maxRequestHeadBytes'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly counters: Counters;
  readonly timeouts: Timeouts;
  readonly draining: Draining;
  readonly streams: Streams;
  readonly apps: Pick<AppHost, 'http'>;
  readonly ending: Pick<Ending, 'timedOut'>;
}

/**
 * Connections that speak plain HTTP: health checks, the API, the page. The row's descriptor is given to a Node socket
 * and from then on libuv owns it; the worker's `http.Server`, made when the first of them comes, never listens.
 *
 * Such a server does not enforce its request timeouts, so the row's `http` timeout does: it is for requests that are
 * awaited or arriving; one that has arrived is the application's, however long it takes to answer, unless its client has
 * sent FIN.
 *
 * A WebSocket upgrade as a later request on a kept-alive connection (proxies do that) goes the same way as a first one:
 * the descriptor is taken back and the request head is read again, by the parser that reads all others.
 */
export class Http extends State implements RowOwner {
  readonly #maxHeadBytes: number;
  readonly #table: ConnectionTable;
  readonly #counters: Counters;
  readonly #timeouts: Timeouts;
  readonly #draining: Draining;
  readonly #streams: Streams;
  readonly #apps: Pick<AppHost, 'http'>;
  readonly #ending: Pick<Ending, 'timedOut'>;
  readonly #sockets = new Map<number, Socket>();
  readonly #places = new WeakMap<object, Place>();
  #handlers!: HttpHandlers;
  #server: Server | undefined;

  constructor(parts: HttpParts) {
    super(parts.rows);
    this.#maxHeadBytes = parts.config.maxRequestHeadBytes;
    this.#table = parts.table;
    this.#counters = parts.counters;
    this.#timeouts = parts.timeouts;
    this.#draining = parts.draining;
    this.#streams = parts.streams;
    this.#apps = parts.apps;
    this.#ending = parts.ending;
  }

  /** Given once, before the first row. */
  connect(handlers: HttpHandlers): void {
    this.#handlers = handlers;
  }

  /** Gives a row to the HTTP server, with what was received of its first request. */
  take(slot: number, bytes: Buffer, start: number, end: number): void {
    const table = this.#table;
    this.#server ??= this.#createServer();
    const received = Buffer.from(bytes.subarray(start, end));
    const socket = this.#streams.lend(slot);
    this.rows.enter(slot, RowState.http);
    this.#timeouts.set(slot, TimeoutKind.http);
    const generation = table.generation(slot);
    const place: Place = { slot, generation, unanswered: 0, latest: undefined, upgrade: undefined };
    // Whoever logs a request means the client, not the proxy. The port remains the proxy's.
    if (table.hasFlag(slot, RowFlag.proxied)) {
      Object.defineProperty(socket, 'remoteAddress', { value: table.address(slot) });
    }
    this.#sockets.set(slot, socket);
    this.#places.set(socket, place);
    socket.once('end', () => this.#peerEnded(place));
    socket.on('close', () => {
      if (this.#sockets.get(slot) !== socket) return;
      this.#sockets.delete(slot);
      if (table.isCurrent(slot, place.generation)) this.rows.end(slot, CloseCode.abnormal, '');
    });
    this.#server.emit('connection', socket);
    socket.unshift(received);
  }

  receive(): void {
    // The bytes are Node's.
  }

  /** No whole request came in time; or, the second time, the client does not read its response. */
  onTimeout(slot: number, kind: number): void {
    if (kind === TimeoutKind.closing) {
      this.#ending.timedOut(slot);
      return;
    }
    const socket = this.#sockets.get(slot);
    if (socket !== undefined) this.#requestTimedOut(slot, socket);
  }

  /** The row ends; so does its socket. */
  release(slot: number): void {
    const socket = this.#sockets.get(slot);
    this.#sockets.delete(slot);
    socket?.destroy();
  }

  /** The farm drains: connections that wait for a next request end; the others end with their response. */
  endIdle(): void {
    for (const socket of this.#sockets.values()) {
      if (this.#places.get(socket)?.unanswered === 0) socket.destroySoon();
    }
  }

  /** Whether its sockets can be bare ones again: not on a port that speaks TLS. */
  get canLift(): boolean {
    return this.#streams.reclaim !== undefined;
  }

  /** Connections that wait for a next request are bare sockets again, in state handshake, as if nothing had been asked yet. */
  liftIdle(): void {
    const streams = this.#streams;
    if (this.#sockets.size === 0 || this.#server === undefined || streams.reclaim === undefined) return;
    const idle = idleSocketsOf(this.#server);
    for (const [slot, socket] of this.#sockets) {
      const place = this.#places.get(socket);
      if (place === undefined || place.unanswered > 0 || place.upgrade !== undefined) continue;
      const hasBytes = socket.readableLength > 0 || socket.writableLength > 0 || socket.readableEnded;
      if (!idle.has(socket) || socket.destroyed || hasBytes) continue;
      if (!streams.reclaim(slot, socket)) continue;
      // Its end, which is told in a later tick, is not the row's.
      this.#sockets.delete(slot);
      this.rows.enter(slot, RowState.handshake);
      this.#timeouts.set(slot, TimeoutKind.http);
    }
  }

  #requestTimedOut(slot: number, socket: Socket): void {
    const place = this.#places.get(socket);
    const isAnswerDue = place !== undefined && place.unanswered > 0 && place.latest?.complete === true;
    // It has arrived: its answer starts the time of the next.
    if (isAnswerDue && !socket.readableEnded) return;
    if (socket.bytesWritten === 0 && !isAnswerDue) {
      this.#counters.add('refused_handshake_timeout');
      socket.write(REQUEST_TIMEOUT);
    }
    socket.destroySoon();
    // What the client does not read must not keep the row: the second time ends it.
    if (socket.destroyed) return;
    this.#timeouts.set(slot, TimeoutKind.closing);
  }

  #createServer(): Server {
    const server = createServer({
      maxHeaderSize: this.#maxHeadBytes,
      connectionsCheckingInterval: NEVER_MS,
    });
    // From here on Node keeps account of connections, see idleSocketsOf; the row's timeout ends those that are late.
    server.headersTimeout = server.requestTimeout = 0;
    server.emit('listening');
    // The row's timeout ends idle connections, after httpRequestTimeoutMs.
    server.keepAliveTimeout = 0;
    // A client that has sent FIN behind its request waits for the answer; Node would end the socket before it is ready.
    // In no documentation, but as old as Node's own allowHalfOpen (lib/_http_server.js).
    Object.assign(server, { httpAllowHalfOpen: true });
    server.on('request', (request, response) => {
      const place = this.#places.get(request.socket);
      if (place !== undefined) this.#time(place, request, response);
      if (this.#draining.isDraining) response.setHeader('Connection', 'close');
      if (hasRepeatedHeader(request.rawHeaders)) {
        refuseRepeated(response);
        return;
      }
      useOriginForm(request);
      if (this.#apps.http(request, response)) return;
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('nothing serves this path\n');
    });
    server.on('upgrade', (request, socket, head) => {
      const place = this.#places.get(socket);
      if (place === undefined) return;
      // Pipelined: what was asked before is answered first.
      place.upgrade = { request, head };
      if (place.unanswered === 0) this.#takeBack(place);
    });
    return server;
  }

  /**
   * The client has sent FIN, and may be waiting for answers or may be gone: nobody can tell. They have the time that a
   * request has to arrive; then the socket ends, and apps that wait for its end are told.
   */
  #peerEnded({ slot, generation, unanswered }: Place): void {
    const table = this.#table;
    if (unanswered === 0 || !table.isCurrent(slot, generation)) return;
    if (table.state(slot) === RowState.http) this.#timeouts.set(slot, TimeoutKind.http);
  }

  /** A request has begun to arrive: its time runs, and that of the next from the end of the response. */
  #time(place: Place, request: IncomingMessage, response: ServerResponse): void {
    const table = this.#table;
    const timeouts = this.#timeouts;
    const { slot, generation } = place;
    const isServed = (): boolean =>
      table.isCurrent(slot, generation) && table.state(slot) === RowState.http && !request.socket.destroyed;
    place.unanswered++;
    place.latest = request;
    if (isServed()) timeouts.set(slot, TimeoutKind.http);
    response.once('close', () => {
      place.unanswered--;
      if (place.unanswered > 0 || !isServed()) return;
      if (place.upgrade !== undefined) {
        this.#takeBack(place);
        return;
      }
      timeouts.set(slot, TimeoutKind.http);
      // Its head may have been sent before the drain began, and then it has not asked the client to close.
      if (this.#draining.isDraining) request.socket.destroySoon();
    });
  }

  #takeBack({ slot, generation, upgrade }: Place): void {
    const socket = this.#sockets.get(slot);
    if (upgrade === undefined || socket === undefined || !this.#table.isCurrent(slot, generation)) return;
    // What the socket has read since, and nobody has taken.
    const unread: unknown = socket.read();
    const bytes = Buffer.concat([
      requestHeadOf(upgrade.request),
      upgrade.head,
      Buffer.isBuffer(unread) ? unread : EMPTY,
    ]);
    this.#sockets.delete(slot);
    this.rows.enter(slot, RowState.handshake);
    if (!this.#streams.takeBack(slot, socket)) {
      this.rows.end(slot, CloseCode.abnormal, '');
      return;
    }
    this.#timeouts.set(slot, TimeoutKind.handshake);
    this.#handlers.httpOnUpgrade(slot, bytes);
  }
}

/**
 * Sockets of which the server has not read the first byte of a next request. Node keeps account of that for closeIdleConnections()
 * and has no other way to it (lib/_http_server.js, kConnections); where that is different, none is known to be idle.
 */
function idleSocketsOf(server: Server): ReadonlySet<unknown> {
  const key = Object.getOwnPropertySymbols(server).find(
    ({ description }) => description === 'http.server.connections',
  );
  const list: unknown = key === undefined ? undefined : Reflect.get(server, key);
  if (typeof list !== 'object' || list === null || !('idle' in list) || typeof list.idle !== 'function') {
    return new Set();
  }
  const parsers: unknown = list.idle();
  if (!Array.isArray(parsers)) return new Set();
  return new Set(parsers.map((parser: { socket?: unknown }) => parser.socket));
}

/** The longest that a timer takes. */
const NEVER_MS = 2 ** 31 - 1;

const REQUEST_TIMEOUT = refusalResponse(408, 'the request did not arrive in time');

/** What our own parser answers, which sees only the first request of a connection. */
const REPEATED = 'A header that must stand once is repeated.';

function refuseRepeated(response: ServerResponse): void {
  response.writeHead(400, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': REPEATED.length,
    Connection: 'close',
  });
  response.end(REPEATED);
}

/** Apps are given the target as most clients send it (RFC 9112 §3.2.2). */
function useOriginForm(request: IncomingMessage): void {
  const absolute = absoluteForm(request.url ?? '');
  if (absolute === undefined) return;
  request.url = absolute.target;
  request.headers.host = absolute.host;
}

/**
 * The request head as it was received, but for the spaces around the values. An upgrade to another protocol than
 * WebSocket (h2c) is left out: a server may ignore it (RFC 9110 §7.8), but Node's would emit 'upgrade' again.
 */
function requestHeadOf(request: IncomingMessage): Buffer {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const isWebSocket = hasToken(request.headers.upgrade ?? '', 'websocket');
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    if (!isWebSocket && request.rawHeaders[index]?.toLowerCase() === 'upgrade') continue;
    lines.push(`${request.rawHeaders[index]}: ${request.rawHeaders[index + 1]}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
