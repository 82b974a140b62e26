import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { CONTENT_SECURITY_POLICY } from '../content-security-policy.ts';

// Where Vite has put it: the folder is the same from src/ and from dist/.
const FOLDER = new URL('../../dist/dashboard/', import.meta.url);

/** Every file of the dashboard by its path. Anybody may have them: what they show is asked for with the token. */
const FILES: ReadonlyMap<string, { readonly name: string; readonly type: string }> = new Map([
  ['/', { name: 'index.html', type: 'text/html; charset=utf-8' }],
  ['/dashboard.js', { name: 'dashboard.js', type: 'text/javascript; charset=utf-8' }],
  ['/dashboard.css', { name: 'dashboard.css', type: 'text/css; charset=utf-8' }],
]);

export function isDashboardPath(path: string): boolean {
  return FILES.has(path);
}

/** Serves the dashboard. Its files are read for each request: operators are few. */
export async function serveDashboardFile(
  path: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const file = FILES.get(path);
  if (file === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) {
    response.writeHead(405, { Allow: 'GET, HEAD', Connection: 'close' }).end();
    return;
  }
  const body = await readFile(new URL(file.name, FOLDER));
  response.writeHead(200, {
    'Content-Type': file.type,
    'Content-Length': body.length,
    'Content-Security-Policy': CONTENT_SECURITY_POLICY,
    'Referrer-Policy': 'no-referrer',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
