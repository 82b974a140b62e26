import { createServer, type IncomingMessage, type Server } from 'node:http';
import { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';

/** What Node's http.Server made of a request. */
export interface NodeVerdict {
  kind: 'nothing' | 'request' | 'upgrade' | 'refused';
  /** Events so far: a second request may follow in the same bytes. */
  count: number;
  request: IncomingMessage | undefined;
  /** What ws wrote in answer to an upgrade. */
  answer: string;
  /** Bytes that came with the upgrade but are not of its head. */
  restBytes: number;
}

function take(request: IncomingMessage): void {
  if (request.socket instanceof FedSocket) request.socket.judged('request', request, 0);
}

/** The request with its list headers as RFC 9110 §5.6.1.2 reads them, where ws takes one value and no empty element. */
function withoutEmptyElements(request: IncomingMessage): IncomingMessage {
  const { upgrade = '', 'sec-websocket-protocol': protocols = '', ...headers } = request.headers;
  const offered = protocols.replace(/^[ \t,]+/, '').replaceAll(/,[ \t]*(?=,|$)/g, '');
  if (offered !== '') headers['sec-websocket-protocol'] = offered;
  headers.upgrade = /(?:^|,)[ \t]*websocket[ \t]*(?:,|$)/i.test(upgrade) ? 'websocket' : upgrade;
  const read: IncomingMessage = Object.create(request, { headers: { value: headers } });
  return read;
}

/** Node's own HTTP parser and server, strict, and ws behind it, over sockets that are given their bytes within the call. */
export class NodeHeads {
  readonly #server: Server;
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    // As our Upgrader, when the application chooses none; ws would take the first.
    handleProtocols: () => false,
  });

  constructor() {
    this.#server = createServer({ insecureHTTPParser: false, maxHeaderSize: 64 * 1024 });
    this.#server.on('request', take);
    this.#server.on('checkContinue', take);
    this.#server.on('checkExpectation', take);
    this.#server.on('upgrade', (request, socket, head: Buffer) => {
      if (!(socket instanceof FedSocket)) return;
      socket.judged('upgrade', request, head.length);
      this.#webSockets.handleUpgrade(withoutEmptyElements(request), socket, head, (webSocket) => {
        // What follows the head is no frame.
        webSocket.on('error', () => undefined);
      });
    });
    this.#server.on('clientError', (_error, socket) => {
      if (socket instanceof FedSocket) socket.refused();
    });
  }

  /** A new connection. */
  connect(): FedSocket {
    const socket = new FedSocket();
    this.#server.emit('connection', socket);
    return socket;
  }
}

/** A socket that is fed by hand. */
export class FedSocket extends Duplex {
  readonly verdict: NodeVerdict = { kind: 'nothing', count: 0, request: undefined, answer: '', restBytes: 0 };

  constructor() {
    super();
    // Destroyed with requests under way, and written to by ws after that.
    this.on('error', () => undefined);
  }

  /** Gives bytes to whoever reads the socket, as a net.Socket does when they arrive. */
  feed(bytes: Buffer): void {
    if (bytes.length > 0 && this.verdict.kind !== 'refused') this.emit('data', bytes);
  }

  judged(kind: 'request' | 'upgrade', request: IncomingMessage, restBytes: number): void {
    const { verdict } = this;
    if (verdict.count++ > 0) return;
    verdict.kind = kind;
    verdict.request = request;
    verdict.restBytes = restBytes;
  }

  refused(): void {
    if (this.verdict.kind === 'nothing') this.verdict.kind = 'refused';
    this.destroy();
  }

  override _read(): void {
    // Nothing is pulled.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.verdict.answer += chunk.toString('latin1');
    done();
  }
}
