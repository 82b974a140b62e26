// _write and _writev are how a stream is implemented.
/* oxlint-disable no-underscore-dangle */
import { Socket } from 'node:net';

type WriteCallback = (error?: Error | null) => void;

/**
 * A TCP socket on which a write that the other side takes no more does not end reading. Node destroys a socket at
 * EPIPE and ECONNRESET, and with it what has arrived and was not read yet: a client that is told why it is refused
 * would lose the answer whenever it still writes, by chance. How the connection ends, reading tells.
 */
export class ReadableToTheEnd extends Socket {
  override _write(chunk: unknown, encoding: BufferEncoding, callback: WriteCallback): void {
    super._write(chunk, encoding, forgiving(callback));
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], callback: WriteCallback): void {
    super._writev?.(chunks, forgiving(callback));
  }
}

function forgiving(callback: WriteCallback): WriteCallback {
  return (error) => callback(isRefusedWrite(error) ? null : error);
}

function isRefusedWrite(error: NodeJS.ErrnoException | null | undefined): boolean {
  return error?.code === 'EPIPE' || error?.code === 'ECONNRESET';
}
