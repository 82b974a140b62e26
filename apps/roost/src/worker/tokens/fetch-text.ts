import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';

const MAX_BYTES = 256 * 1024;

/**
 * GETs a small text. Rejects when it is not all there within `timeoutMs`, has more than 256 KB, or comes with another status
 * than 200; redirections are not followed. Not by fetch(), which costs a worker 5 MB once it is used.
 */
export async function fetchText(url: URL, timeoutMs: number): Promise<string> {
  const { get } = url.protocol === 'https:' ? await import('node:https') : await import('node:http');
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const request = get(url, { agent: false, signal, headers: { Accept: 'application/json' } });
    const [response] = await once(request, 'response');
    return await readText(response);
  } catch (error) {
    if (signal.aborted) throw new Error(`it did not answer within ${timeoutMs} ms`, { cause: error });
    throw error;
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200) {
    response.destroy();
    throw new Error(`it answered with status ${response.statusCode}`);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    // A stream without an encoding yields Buffers only.
    const part = Buffer.from(chunk);
    bytes += part.length;
    if (bytes > MAX_BYTES) throw new Error(`its answer has more than ${MAX_BYTES} bytes`);
    chunks.push(part);
  }
  return Buffer.concat(chunks).toString();
}
