// The leading underscores are ws's.
/* oxlint-disable no-underscore-dangle */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocketServer, type PerMessageDeflate, type ServerOptions, type WebSocket } from 'ws';
import { mendInflate } from '../../packages/websocket/src/ws/mended-inflate.contract.ts';
import { open, receive, Runs } from './app.ts';
import { afterTurns } from './clients.ts';
import type { Side } from './side.ts';
import { COMPRESSION, LONG_MS, MAX_FRAGMENTS, type Profile } from './stream.ts';

/** What is looked at in a WebSocket of ws (lib/websocket.js). */
interface InsideOfWs {
  readonly _socket: Socket;
  readonly _sender: { readonly _state: number; readonly _queue: readonly unknown[] };
  readonly _receiver: {
    readonly _state: number;
    readonly errored: Error | null;
    readonly _errored: boolean;
    _write: (chunk: Buffer, encoding: BufferEncoding, done: (error?: Error) => void) => void;
    readonly writableLength: number;
    readonly _writableState: { readonly errorEmitted: boolean };
    readonly _extensions: { readonly 'permessage-deflate'?: PerMessageDeflate };
    readonly createError: Parameters<typeof mendInflate>[2]['createError'];
  };
}

/** DEFAULT in ws's lib/sender.js, INFLATING in its lib/receiver.js. */
const SENDER_IDLE = 0;
const RECEIVER_INFLATING = 5;

function inside(webSocket: WebSocket): InsideOfWs {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the types do not show it.
  return webSocket as unknown as InsideOfWs;
}

/**
 * A receiver of ws 8.23.0 that has refused a frame is still given what waited in its Writable while it was inflating, and
 * then reads the mask that it has let go: a TypeError that nobody catches. The worker's receivers inflate within the call,
 * so that nothing ever waits in them.
 */
function keepFromCrashing(receiver: InsideOfWs['_receiver']): void {
  const write = receiver._write.bind(receiver);
  receiver._write = (chunk, encoding, done) => {
    if (receiver._errored) done();
    else write(chunk, encoding, done);
  };
}

/** ws says in its answer what it was told to do; the worker says of itself only what the client has offered. */
function answerWhatWasOffered(lines: string[], request: IncomingMessage): void {
  const offer = request.headers['sec-websocket-extensions'] ?? '';
  const at = lines.findIndex((line) => line.startsWith('Sec-WebSocket-Extensions: '));
  const parameters = lines[at]?.split('; ');
  if (parameters === undefined) return;
  lines[at] = parameters
    .filter(
      (parameter) => !parameter.startsWith('server_') || offer.includes(parameter.split('=', 1)[0] ?? ''),
    )
    .join('; ');
}

/** A plain server of ws, with the limits of the worker. */
export class WsSide implements Side {
  readonly runs: Runs;
  readonly port: number;
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;
  readonly #byPath = new Map<string, InsideOfWs>();

  private constructor(server: Server, webSockets: WebSocketServer, runs: Runs, { maxMessageBytes }: Profile) {
    this.runs = runs;
    this.#server = server;
    this.#webSockets = webSockets;
    const address = server.address();
    this.port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    webSockets.on('connection', (webSocket, request) => {
      const path = request.url ?? '';
      const run = this.runs.get(path);
      if (run === undefined) return;
      const caller = {
        send: (data: Buffer, isBinary: boolean) => webSocket.send(data, { binary: isBinary }),
        close: (code: number, reason: string) => webSocket.close(code, reason),
        terminate: () => webSocket.terminate(),
      };
      webSocket.on('message', (data: Buffer, isBinary) => {
        // ws goes on telling of messages after our close frame, and leaves it to the application not to listen.
        if (webSocket.readyState === webSocket.OPEN) receive(run, caller, data, isBinary);
      });
      // ws tells of protocol errors, and answers them.
      webSocket.on('error', () => undefined);
      const { _receiver: receiver } = inside(webSocket);
      keepFromCrashing(receiver);
      const deflate = receiver._extensions['permessage-deflate'];
      if (deflate !== undefined) mendInflate(deflate, maxMessageBytes, receiver);
      this.#byPath.set(path, inside(webSocket));
      webSocket.on('close', (code, reason) => {
        this.#byPath.delete(path);
        this.runs.closed(path, code, reason.toString());
      });
      open(run, caller);
    });
  }

  static async start(profile: Profile): Promise<WsSide> {
    const runs = new Runs();
    const server = createServer((_request, response) => response.writeHead(204).end());
    const options: ServerOptions & { closeTimeout: number } = {
      server,
      verifyClient: ({ req }, decided) => {
        const turns = runs.get(req.url ?? '')?.manners.upgradeTurns ?? 0;
        if (turns === 0) decided(true);
        else void afterTurns(turns).then(() => decided(true));
      },
      clientTracking: false,
      perMessageDeflate: profile.compression && COMPRESSION,
      maxPayload: profile.maxMessageBytes,
      maxFragments: MAX_FRAGMENTS,
      closeTimeout: LONG_MS,
    };
    const webSockets = new WebSocketServer(options);
    webSockets.on('headers', answerWhatWasOffered);
    server.headersTimeout = server.requestTimeout = server.keepAliveTimeout = LONG_MS;
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
    await once(server, 'listening');
    return new WsSide(server, webSockets, runs, profile);
  }

  /**
   * ws inflates and deflates in the thread pool, and forgets what is under way when the client ends: a client that wants
   * to know what it would have answered must wait.
   */
  hasDigested(path: string, sentBytes: number): boolean {
    const webSocket = this.#byPath.get(path);
    if (webSocket === undefined) return true;
    const { _socket: socket, _sender: sender, _receiver: receiver } = webSocket;
    if (socket.bytesRead < sentBytes || socket.writableLength > 0) return false;
    if (sender._state !== SENDER_IDLE || sender._queue.length > 0) return false;
    if (receiver.errored !== null) return receiver._writableState.errorEmitted;
    return receiver._state !== RECEIVER_INFLATING && receiver.writableLength === 0;
  }

  async stop(): Promise<void> {
    this.#webSockets.close();
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}
