import type { IncomingMessage, ServerResponse } from 'node:http';

/** The path of a request, without its query and not decoded. */
export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  const end = url.indexOf('?');
  return end === -1 ? url : url.slice(0, end);
}

export interface Answer {
  readonly status: number;
  readonly type: 'text/plain' | 'text/html' | 'text/css' | 'text/javascript' | 'application/json';
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends a whole answer; to HEAD without its body. */
export function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, headers }: Answer,
): void {
  response.writeHead(status, {
    'Content-Type': `${type}; charset=utf-8`,
    'Content-Length': Buffer.byteLength(body),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** True for GET and HEAD; any other method has been answered with 405. */
export function isRead(request: IncomingMessage, response: ServerResponse): boolean {
  if (request.method === 'GET' || request.method === 'HEAD') return true;
  answer(request, response, {
    status: 405,
    type: 'text/plain',
    body: 'Only GET and HEAD are answered here.\n',
    headers: { Allow: 'GET, HEAD' },
  });
  return false;
}
