import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App } from '@roost/farm';
import { answer, isRead, pathOf } from './http.ts';

// The path is the same from src/ and from dist/.
const PAGE = new URL('../../page/index.html', import.meta.url);

/** `GET /`: a page to try the server by hand. Read at each request: people ask for it, and a worker stays small. */
export function pageApp(): App {
  return {
    name: 'page',
    http(request, response) {
      if (pathOf(request) !== '/') return false;
      if (!isRead(request, response)) return true;
      return sendPage(request, response);
    },
  };
}

async function sendPage(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readFile(PAGE, 'utf8');
  answer(request, response, {
    status: 200,
    type: 'text/html',
    body,
    headers: { 'Content-Security-Policy': contentSecurityPolicy(body), 'Referrer-Policy': 'no-referrer' },
  });
}

/** Lets the page run its own script and style and talk to this server; nothing else, from nowhere else. */
export function contentSecurityPolicy(page: string): string {
  return [
    "default-src 'none'",
    `script-src ${hashOf(page, 'script')}`,
    `style-src ${hashOf(page, 'style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The one inline element of this name, as CSP wants it: the digest of what stands between its tags. */
function hashOf(page: string, element: 'script' | 'style'): string {
  const inside = page.split(`<${element}>`)[1]?.split(`</${element}>`)[0] ?? '';
  return `'sha256-${createHash('sha256').update(inside).digest('base64')}'`;
}
