import { input, show } from './elements.js';

/** @param {string} text */
const shellQuote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/**
 * What to type into a shell for the contents of the fields.
 *
 * @param {object} fields
 * @param {() => string} fields.publishBody throws when the data is not JSON
 * @param {string} fields.data
 * @param {URL | undefined} fields.url
 */
export function showShellLines({ publishBody, data, url }) {
  show('curl', publishLine(publishBody));
  const channel = shellQuote(`roost:channel:${input('publish-channel').value}`);
  show('redis', `redis-cli PUBLISH ${channel} ${shellQuote(data)}`);
  show('handshake', url === undefined ? '' : handshakeLine(url, input('token').value !== ''));
}

/** @param {() => string} publishBody */
function publishLine(publishBody) {
  try {
    return `curl ${location.origin}/api/publish -H "X-API-Key: $ROOST_API_KEY" -d ${shellQuote(publishBody())}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/**
 * As a browser asks, this page's origin included; ended at once when it is let in.
 *
 * @param {URL} url
 * @param {boolean} hasToken
 */
function handshakeLine(url, hasToken) {
  const http = new URL(url);
  http.protocol = location.protocol;
  const headers = [
    "'Connection: Upgrade'",
    "'Upgrade: websocket'",
    "'Sec-WebSocket-Version: 13'",
    "'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='",
    shellQuote(`Origin: ${location.origin}`),
    ...(hasToken ? ['"Authorization: Bearer $TOKEN"'] : []),
  ];
  const flags = headers.map((header) => `-H ${header}`).join(' ');
  return `curl -i --http1.1 --max-time 1 ${flags} ${shellQuote(http.href)}`;
}
