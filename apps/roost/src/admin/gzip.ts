import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';

const compressed = promisify(gzip);

/** A body for a client that takes gzip: a tenth of the bytes of a text, in a thread. */
export function zipped(body: string): Promise<Buffer> {
  return compressed(body, { level: constants.Z_BEST_SPEED });
}

/** Whether an Accept-Encoding allows gzip (RFC 9110 §12.5.3). */
export function takesGzip(acceptEncoding: string | string[] | undefined): boolean {
  return /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(String(acceptEncoding ?? ''));
}
