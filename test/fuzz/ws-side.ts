import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { WebSocketServer, type ServerOptions } from 'ws';
import { receive, Runs } from './app.ts';
import type { Side } from './side.ts';
import { LONG_MS, MAX_FRAGMENTS, type Profile } from './stream.ts';

/** A plain server of ws, with the limits of the worker. */
export class WsSide implements Side {
  readonly runs = new Runs();
  readonly port: number;
  readonly #server: Server;
  readonly #webSockets: WebSocketServer;

  private constructor(server: Server, webSockets: WebSocketServer) {
    this.#server = server;
    this.#webSockets = webSockets;
    const address = server.address();
    this.port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    webSockets.on('connection', (webSocket, request) => {
      const path = request.url ?? '';
      const caller = {
        send: (data: Buffer, isBinary: boolean) => webSocket.send(data, { binary: isBinary }),
        close: (code: number, reason: string) => webSocket.close(code, reason),
        terminate: () => webSocket.terminate(),
      };
      webSocket.on('message', (data: Buffer, isBinary) => {
        const transcript = this.runs.transcript(path);
        // The rule "silence after a close": a close that we began ends the messages on our side as well.
        if (transcript === undefined || webSocket.readyState !== webSocket.OPEN) return;
        receive(transcript, caller, data, isBinary);
      });
      // ws tells of protocol errors, and answers them.
      webSocket.on('error', () => undefined);
      webSocket.on('close', (code, reason) => this.runs.closed(path, code, reason.toString()));
    });
  }

  static async start(profile: Profile): Promise<WsSide> {
    const server = createServer((_request, response) => response.writeHead(204).end());
    const options: ServerOptions & { closeTimeout: number } = {
      server,
      clientTracking: false,
      perMessageDeflate: false,
      maxPayload: profile.maxMessageBytes,
      maxFragments: MAX_FRAGMENTS,
      closeTimeout: LONG_MS,
    };
    const webSockets = new WebSocketServer(options);
    server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
    await once(server, 'listening');
    return new WsSide(server, webSockets);
  }

  async stop(): Promise<void> {
    this.#webSockets.close();
    this.#server.close();
    this.#server.closeAllConnections();
    if (this.#server.listening) await once(this.#server, 'close');
  }
}
