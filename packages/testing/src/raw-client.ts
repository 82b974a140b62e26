import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { ConnectionOptions } from 'node:tls';
import { Changes } from './changes.ts';
import { TestingError } from './errors.ts';
import { DEADLINE_MS, within } from './eventually.ts';
import { registerFixture } from './fixtures.ts';
import { type Frame, readFrame } from './frames.ts';
import { ReadableToTheEnd } from './readable-to-the-end.ts';

/** The most that an error shows of what has arrived, in bytes. */
const SHOWN_BYTES = 512;

export interface RawClientOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** Source address, such as 127.0.0.2. Default: the kernel chooses. */
  readonly localAddress?: string;
  /** Speaks TLS: what is written and read are the bytes inside. Default: it does not. */
  readonly tls?: ConnectionOptions | undefined;
  /** For each wait, in ms. Default 10,000. */
  readonly deadlineMs?: number;
}

/** How a connection ended: undefined for an orderly FIN, otherwise the error's code, such as ECONNRESET. */
export interface RawClose {
  readonly errorCode: string | undefined;
}

/** Looks at the unread bytes and says how many of them are wanted; false: not enough yet. */
export type ReadPredicate = (unread: Buffer) => number | false;

/** A TCP client, or TLS, that sends and shows bytes as they are, for tests of the wire. */
export class RawClient {
  readonly #socket: Socket;
  /** The TCP socket; with TLS the one below. */
  readonly #transport: Socket;
  readonly #deadlineMs: number;
  /** Settles when the connection has ended in both directions. */
  readonly closed: Promise<RawClose>;
  readonly #changes = new Changes();
  /** What has arrived, joined when somebody looks: joined at each piece, 16 MiB would be copied 256 times. */
  #chunks: Buffer[] = [];
  #receivedCount = 0;
  #readCount = 0;
  #close: RawClose | undefined;

  private constructor(socket: Socket, transport: Socket, deadlineMs: number) {
    this.#socket = socket;
    this.#transport = transport;
    this.#deadlineMs = deadlineMs;
    const release = registerFixture({
      what: `RawClient from port ${socket.localPort}`,
      terminate: () => socket.destroy(),
    });
    let errorCode: string | undefined;
    socket.on('error', (error: NodeJS.ErrnoException) => {
      errorCode ??= error.code ?? error.message;
    });
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#receivedCount += chunk.length;
      this.#changes.notify();
    });
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#close = { errorCode };
        release();
        this.#changes.notify();
        resolve(this.#close);
      });
    });
  }

  /** Rejects when the connection is refused or takes longer than the deadline. */
  static async connect(port: number, options: RawClientOptions = {}): Promise<RawClient> {
    const { host = '127.0.0.1', localAddress, tls, deadlineMs = DEADLINE_MS } = options;
    const socket = new ReadableToTheEnd();
    socket.connect({ port, host, localAddress, noDelay: true });
    try {
      await within(once(socket, 'connect'), { deadlineMs, what: `${host}:${port} accepts a connection` });
    } catch (error) {
      socket.destroy();
      throw error;
    }
    if (tls === undefined) return new RawClient(socket, socket, deadlineMs);
    const secure = connectTls({ ...tls, socket });
    const what = `${host}:${port} completes a TLS handshake`;
    try {
      await within(once(secure, 'secureConnect'), { deadlineMs, what });
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return new RawClient(secure, socket, deadlineMs);
  }

  /** Everything received so far, read or not. */
  get received(): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && this.#chunks.length === 1) return first;
    const all = Buffer.concat(this.#chunks);
    this.#chunks = [all];
    return all;
  }

  /** What was received and not yet read. */
  get unread(): Buffer {
    return this.received.subarray(this.#readCount);
  }

  get localPort(): number | undefined {
    return this.#socket.localPort;
  }

  /** Whether the connection has ended. */
  get isClosed(): boolean {
    return this.#close !== undefined;
  }

  /** Sends bytes. A string is hexadecimal, with spaces where they help: `'81 85 00000000 68656c6c6f'`. */
  write(bytes: string | Uint8Array): void {
    this.#socket.write(typeof bytes === 'string' ? fromHex(bytes) : bytes);
  }

  /** Sends bytes below TLS, where only its records belong. */
  writeBelow(bytes: Uint8Array): void {
    this.#transport.write(bytes);
  }

  /** Sends text as UTF-8. */
  writeText(text: string): void {
    this.#socket.write(text, 'utf8');
  }

  /**
   * Waits for bytes and takes them: so many, or as many as the predicate says. Rejects with
   * `TESTING_CLOSED` when the connection ends before, and `TESTING_DEADLINE`; both show what there was.
   */
  async read(wanted: number | ReadPredicate): Promise<Buffer> {
    const what = typeof wanted === 'number' ? `${wanted} bytes arrive` : 'the wanted bytes arrive';
    return this.#changes.until(() => this.#take(wanted, what), {
      deadlineMs: this.#deadlineMs,
      what,
      seen: () => this.#shownUnread(),
    });
  }

  /** Waits for the head of an HTTP message and takes it, with the empty line at its end. */
  async readHead(): Promise<string> {
    const head = await this.read((unread) => {
      const end = unread.indexOf('\r\n\r\n');
      return end === -1 ? false : end + 4;
    });
    return head.toString('latin1');
  }

  /** Waits for a whole frame of the server and takes it. */
  async readFrame(): Promise<Frame> {
    const frame = readFrame(await this.read((unread) => readFrame(unread)?.end ?? false));
    if (frame === undefined) throw new Error('What was read as a frame is no whole one.');
    return frame;
  }

  /** Stops reading from the socket, as a slow consumer does. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends a FIN; reading goes on until the other side ends, too. */
  end(): void {
    this.#socket.end();
  }

  /** Sends a RST. */
  reset(): void {
    this.#transport.resetAndDestroy();
  }

  /** Closes at once. Calling it twice is safe. */
  async close(): Promise<void> {
    this.#socket.destroy();
    await this.closed;
  }

  #take(wanted: number | ReadPredicate, what: string): Buffer | undefined {
    const count = this.#countOf(wanted);
    if (count !== false) {
      const taken = Buffer.from(this.unread.subarray(0, count));
      this.#readCount += count;
      return taken;
    }
    if (this.#close === undefined) return undefined;
    throw new TestingError(
      'TESTING_CLOSED',
      `The connection ended (${this.#close.errorCode ?? 'FIN'}) before ${what}; unread: ${this.#shownUnread()}`,
    );
  }

  #countOf(wanted: number | ReadPredicate): number | false {
    if (typeof wanted !== 'number') return wanted(this.unread);
    return this.#receivedCount - this.#readCount >= wanted ? wanted : false;
  }

  #shownUnread(): string {
    const { unread } = this;
    const shown = unread.toString('hex', 0, SHOWN_BYTES);
    return unread.length > SHOWN_BYTES ? `${shown}… (${unread.length} bytes)` : shown;
  }
}

function fromHex(text: string): Buffer {
  const digits = text.replaceAll(/\s+/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) {
    throw new TypeError(`RawClient.write takes hexadecimal digits, got ${JSON.stringify(text)}.`);
  }
  return Buffer.from(digits, 'hex');
}
