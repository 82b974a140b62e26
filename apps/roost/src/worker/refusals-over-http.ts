import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App, Rejection, UpgradeDecision, UpgradeRequest } from '@roost/farm';
import { pathOf } from './http.ts';

type HttpAnswer = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Answers a request to `path` that is not an upgrade as `apps` would refuse its WebSocket: with the same status, headers and
 * sentence. A browser does not show a web page why its WebSocket was refused, but it shows this. What the apps let in, or
 * pass on, goes to `otherwise`.
 *
 * The apps must be the server's own: an upgrade hook of a user may do more than decide.
 */
export function refusalsOverHttp(path: string, apps: readonly App[], otherwise: HttpAnswer): App {
  return {
    name: 'refusals-over-http',
    http(request, response) {
      if (pathOf(request) !== path) return false;
      return answerAs(apps, request, response, otherwise);
    },
  };
}

async function answerAs(
  apps: readonly App[],
  request: IncomingMessage,
  response: ServerResponse,
  otherwise: HttpAnswer,
): Promise<void> {
  const decision = await decide(apps, new AskingRequest(request, response));
  if (decision?.kind === 'reject') sendRefusal(request, response, decision);
  else otherwise(request, response);
}

async function decide(apps: readonly App[], request: UpgradeRequest): Promise<UpgradeDecision> {
  for (const app of apps) {
    const decision = await app.upgrade?.(request);
    if (decision !== undefined) return decision;
  }
  return undefined;
}

function sendRefusal(
  request: IncomingMessage,
  response: ServerResponse,
  { status, reason, headers }: Rejection,
): void {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Content-Length': Buffer.byteLength(reason),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : reason);
}

/** A request over HTTP as an upgrade hook sees one. */
class AskingRequest implements UpgradeRequest {
  readonly claims = undefined;
  readonly url: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: Readonly<Record<string, string>>;
  readonly protocols = [];
  readonly remoteAddress: string;
  readonly signal: AbortSignal;

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.url = request.url ?? '/';
    this.path = pathOf(request);
    this.query = new URLSearchParams(this.url.slice(this.path.length));
    // `Set-Cookie` alone is a list, and no request has it.
    this.headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value = '']) => [name, String(value)]),
    );
    this.remoteAddress = request.socket.remoteAddress ?? '';
    const abort = new AbortController();
    response.once('close', () => abort.abort());
    this.signal = abort.signal;
  }
}
