import { once } from 'node:events';
import { createServer, STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Farm, Log } from '@roost/farm';
import { isDashboardPath, serveDashboardFile } from './dashboard-files.ts';
import { Gate } from './gate.ts';
import type { Wish } from './gate.ts';
import { hostInUrl, isLoopback } from './host.ts';
import type { AdminServer, Watched } from './server.ts';

/** Of everything that a stranger may send or hold. Operators are few. */
const MAX_CONNECTIONS = 64;
const MAX_HEAD_BYTES = 8 * 1024;
const HEAD_TIMEOUT_MS = 5000;
const REQUEST_TIMEOUT_MS = 10_000;
/** A connection on which nothing moves, with a request or without. */
const SILENCE_TIMEOUT_MS = 30_000;
const CHECK_INTERVAL_MS = 1000;

export interface AdminOptions {
  /** A numeric address. */
  readonly host: string;
  /** 0 lets the kernel choose one. */
  readonly port: number;
  readonly token: string;
  /** Whether the operator has chosen the token, or it was made for this start. */
  readonly isTokenChosen: boolean;
}

/** The admin listener could not listen. */
export class AdminListenError extends Error {
  readonly code = 'ADMIN_ERR_LISTEN';
  /** As listen(2) tells it: `EADDRINUSE`, `EACCES` and more. */
  readonly reason: string;

  constructor(options: AdminOptions, cause: Error) {
    const reason = 'code' in cause ? String(cause.code) : cause.message;
    super(`The admin listener cannot listen on port ${options.port} of ${options.host}: ${reason}.`, {
      cause,
    });
    this.name = 'AdminListenError';
    this.reason = reason;
  }
}

/**
 * The port for operators, in the master: metrics, and what else is not for clients. It is apart from the farm's own port, on
 * which nothing of it can be reached, and has few connections of its own. What serves it is loaded by the first request that is
 * let in; strangers are answered without.
 */
export class AdminListener {
  readonly #server: Server;
  readonly #gate: Gate;
  readonly #log: Log;
  readonly #host: string;
  #watched: Watched | undefined;
  #served: Promise<AdminServer> | undefined;

  private constructor(options: AdminOptions, log: Log) {
    const { host, token, isTokenChosen } = options;
    this.#host = host;
    this.#log = log;
    this.#gate = new Gate({ isOnLoopback: isLoopback(host), token, isTokenChosen });
    this.#server = createServer({
      maxHeaderSize: MAX_HEAD_BYTES,
      headersTimeout: HEAD_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.setTimeout(SILENCE_TIMEOUT_MS);
    this.#server.on('request', (request, response) => this.#answer(request, response));
  }

  /** Rejects with an {@link AdminListenError}. */
  static async open(options: AdminOptions, log: Log): Promise<AdminListener> {
    const listener = new AdminListener(options, log);
    const server = listener.#server;
    server.listen(options.port, options.host);
    try {
      await once(server, 'listening');
    } catch (error) {
      throw new AdminListenError(options, error instanceof Error ? error : new Error(String(error)));
    }
    // One connection that could not be accepted; the next may be.
    server.on('error', (error) => log.warn({ error: error.message }, 'admin listener failed'));
    return listener;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  get url(): string {
    return `http://${hostInUrl(this.#host)}:${this.port}`;
  }

  /** From here on there is a farm to tell of, and webhooks where there are any. */
  serve(farm: Farm, webhooks: Watched['webhooks']): void {
    this.#watched = { farm, webhooks };
  }

  async close(): Promise<void> {
    const isClosed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await isClosed;
    await (await this.#served?.catch(() => undefined))?.close();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('X-Content-Type-Options', 'nosniff');
    const path = request.url?.split('?', 1)[0] ?? '';
    const refused = this.#gate.refusalOf(wishOf(path), request.headers);
    if (refused !== undefined) {
      if (refused.status === 401) response.setHeader('WWW-Authenticate', 'Bearer realm="roost admin"');
      refuse(response, refused.status, refused.reason);
      return;
    }
    if (isDashboardPath(path)) {
      serveDashboardFile(path, request, response).catch((error: unknown) => this.#failed(error, response));
      return;
    }
    if (this.#watched === undefined) {
      response.setHeader('Retry-After', '1');
      refuse(response, 503, 'the farm is starting');
      return;
    }
    this.#serverOf(this.#watched).then(
      (server) => server.answer(request, response),
      (error: unknown) => this.#failed(error, response),
    );
  }

  /** Something of ours could not be read or loaded. */
  #failed(error: unknown, response: ServerResponse): void {
    this.#log.error({ error: String(error) }, 'admin request failed');
    if (response.headersSent) response.destroy();
    else refuse(response, 500, STATUS_CODES[500] ?? '');
  }

  #serverOf(watched: Watched): Promise<AdminServer> {
    this.#served ??= import('./server.ts').then(({ createAdminServer }) =>
      createAdminServer(watched, this.#log),
    );
    return this.#served;
  }
}

function wishOf(path: string): Wish {
  if (path === '/metrics') return 'metrics';
  return isDashboardPath(path) ? 'page' : 'rest';
}

/** The body of a stranger is not read. */
function refuse(response: ServerResponse, status: number, reason: string): void {
  response.setHeader('Connection', 'close');
  const body = `${reason}\n`;
  response
    .writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', 'Content-Length': body.length })
    .end(body);
}
