import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { ApiError } from './errors.ts';

const inflate = promisify(gunzip);

/** What a body may be encoded with; `x-gzip` is the same (RFC 9110 §8.4.1.3). */
export const ACCEPTED_ENCODINGS = 'gzip';

/**
 * A request body without its Content-Encoding, inflated to `maxBytes` at the most, in the thread pool. `encoding` is the
 * header's value. Rejects with an ApiError.
 */
export async function decodeBody(
  body: Buffer,
  encoding: string | undefined,
  maxBytes: number,
): Promise<Buffer> {
  switch (encoding?.toLowerCase() ?? '') {
    case '':
    case 'identity':
      return body;
    case 'gzip':
    case 'x-gzip':
      // An empty body is not gzip, but nothing was to be sent either.
      return body.length === 0 ? body : await inflate(body, { maxOutputLength: maxBytes }).catch(refuse);
    default:
      throw new ApiError(
        'unsupportedEncoding',
        `a body is sent as it is or as gzip, got ${JSON.stringify(encoding)}`,
      );
  }
}

function refuse(error: unknown): never {
  if (error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
    throw new ApiError('limitExceeded', 'the body is too large when it is inflated (api.maxBodyBytes)');
  }
  throw new ApiError(
    'badRequest',
    `the body is not gzip: ${error instanceof Error ? error.message : 'unreadable'}`,
  );
}
