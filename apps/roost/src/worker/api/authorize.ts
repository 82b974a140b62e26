import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Makes the check of a caller's key, from X-API-Key or `Authorization: apikey <key>`, against a SHA-256 digest in hex. */
export function keyCheck(digestHex: string): (headers: IncomingHttpHeaders) => boolean {
  const expected = Buffer.from(digestHex, 'hex');
  return (headers) => {
    const key = keyOf(headers);
    // Digests have one length whatever was sent, so that the time of the comparison reveals nothing.
    return key !== undefined && timingSafeEqual(createHash('sha256').update(key).digest(), expected);
  };
}

function keyOf(headers: IncomingHttpHeaders): string | undefined {
  const header = headers['x-api-key'];
  if (typeof header === 'string') return header;
  return /^apikey +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}
