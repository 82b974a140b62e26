import { ApiError } from './errors.ts';
import { jsonMember } from '../json-member.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Reads a request body. The value of its `data` becomes the text that is published: a string as it is, everything else
 * as compact JSON. Throws an ApiError.
 */
export function readRequest(body: Buffer): unknown {
  let text: string;
  let request: unknown;
  try {
    text = utf8.decode(body);
    request = JSON.parse(text);
  } catch (error) {
    throw new ApiError(
      'badRequest',
      `the body is not JSON: ${error instanceof Error ? error.message : 'unreadable'}`,
    );
  }
  if (typeof request !== 'object' || request === null || Array.isArray(request)) return request;
  if (!('data' in request) || typeof request.data === 'string') return request;
  return { ...request, data: jsonMember(text, 'data') };
}

/** What a publish request carries. */
export interface PayloadFields {
  /** As {@link readRequest} left it. */
  readonly data?: string;
  readonly b64data?: string;
}

/** The payload of a publish request, which has exactly one of data and b64data. Throws an ApiError. */
export function payloadOf({ data, b64data }: PayloadFields): string | Buffer {
  if ((data === undefined) === (b64data === undefined)) {
    throw new ApiError('badRequest', 'give exactly one of "data" and "b64data"');
  }
  if (b64data !== undefined) {
    const bytes = Buffer.from(b64data, 'base64');
    // Buffer.from skips what is not base64; encoding it again shows whether it did.
    if (bytes.toString('base64') !== b64data)
      throw new ApiError('badRequest', '"b64data" is not padded base64');
    return bytes;
  }
  if (data?.isWellFormed() !== true) throw new ApiError('badRequest', '"data" has half a surrogate pair');
  return data;
}
