import type { IncomingMessage } from 'node:http';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

/** An answer is not needed; one that goes on for longer is cut off. */
const MAX_ANSWER_BYTES = 64 * 1024;

export interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** From the look-up of the name to the end of the answer, in ms. */
  readonly timeoutMs: number;
  /** Ends it at once. */
  readonly signal: AbortSignal;
}

/**
 * POSTs the body on a connection of its own. Resolves with undefined when the receiver has taken it, which any 2xx says, and
 * otherwise with the reason in words that can follow "because": redirections are not followed. Never rejects.
 */
export function post(
  url: URL,
  body: Buffer,
  { headers, timeoutMs, signal }: PostOptions,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const send = url.protocol === 'https:' ? requestHttps : requestHttp;
    // No agent: between two batches nothing is kept open that the receiver could close just as the next one is sent.
    const request = send(url, {
      method: 'POST',
      agent: false,
      signal,
      headers: { ...headers, Connection: 'close' },
    });
    const end = (reason?: string): void => {
      clearTimeout(timer);
      request.destroy();
      resolve(reason);
    };
    const timer = setTimeout(() => end(`it did not answer within ${timeoutMs} ms`), timeoutMs);
    // After the end, too: an error of a destroyed request must not be nobody's.
    request.on('error', (error) => end(signal.aborted ? 'the server stops' : reasonOf(error)));
    request.on('response', (response) => {
      const { statusCode = 0 } = response;
      const reason =
        statusCode >= 200 && statusCode < 300 ? undefined : `it answered with status ${statusCode}`;
      // The status decides. The rest is read so that the receiver can write it.
      discard(response, () => end(reason));
    });
    request.end(body);
  });
}

function discard(response: IncomingMessage, whenDone: () => void): void {
  let bytes = 0;
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) whenDone();
  });
  response.on('error', whenDone);
  response.on('close', whenDone);
}

/** In one line, and with nothing of the request. */
function reasonOf(error: Error): string {
  // Of several addresses that were tried, each has an error of its own, and the whole has no text.
  const first = error instanceof AggregateError ? error.errors[0] : error;
  const code = first instanceof Error && 'code' in first ? String(first.code) : undefined;
  return code ?? (first instanceof Error ? first.message.replace(/\s+/g, ' ') : 'it failed');
}
