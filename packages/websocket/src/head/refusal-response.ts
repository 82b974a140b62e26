import { STATUS_CODES } from 'node:http';

import { appendHeaderLines } from './response-header.ts';

const RESERVED_HEADERS: ReadonlySet<string> = new Set(['connection', 'content-length', 'transfer-encoding']);

/**
 * A whole HTTP/1.1 response that refuses a request, with `reason` as its plain text and `Connection: close`; to be
 * written as UTF-8. `extraHeaders` may replace the Content-Type. Throws WEBSOCKET_HEADER for extra headers that cannot
 * be sent or that frame the message.
 */
export function refusalResponse(
  status: number,
  reason: string,
  extraHeaders: Readonly<Record<string, string>> = {},
): string {
  const names = Object.keys(extraHeaders).map((name) => name.toLowerCase());
  // RFC 9110 §7.8: a sender of Upgrade names it in Connection.
  const connection = names.includes('upgrade') ? 'close, Upgrade' : 'close';
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Refused'}`, `Connection: ${connection}`];
  if (!names.includes('content-type')) lines.push('Content-Type: text/plain; charset=utf-8');
  lines.push(`Content-Length: ${Buffer.byteLength(reason)}`);
  appendHeaderLines(lines, extraHeaders, RESERVED_HEADERS);
  return `${lines.join('\r\n')}\r\n\r\n${reason}`;
}
