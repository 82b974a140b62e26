import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { ClientOptions, RawData } from 'ws';
import { Changes } from './changes.ts';
import { TestingError } from './errors.ts';
import { DEADLINE_MS, within } from './eventually.ts';
import { registerFixture } from './fixtures.ts';

export interface TestClientOptions extends ClientOptions {
  readonly protocols?: readonly string[];
  /** For each wait, in ms. Default 10,000. */
  readonly deadlineMs?: number;
}

export interface TestMessage {
  readonly data: Buffer;
  readonly isBinary: boolean;
  /** The data as UTF-8. */
  readonly text: string;
}

export interface TestClose {
  readonly code: number;
  readonly reason: string;
}

/** The server answered the upgrade with something else than 101. */
export class UpgradeRefusedError extends TestingError {
  override readonly name = 'UpgradeRefusedError';
  readonly status: number;
  readonly body: string;

  constructor(status: number, body: string) {
    super('TESTING_UPGRADE_REFUSED', `The server answered the upgrade with ${status}: ${body}`);
    this.status = status;
    this.body = body;
  }
}

/** A real WebSocket client (ws), with deadlines and with messages in a queue. */
export class TestClient {
  /** The client underneath, for whatever is not offered here. */
  readonly socket: WebSocket;
  /** Settles when the connection is closed. 1006 without a close frame. */
  readonly closed: Promise<TestClose>;
  readonly #deadlineMs: number;
  readonly #changes = new Changes();
  readonly #queue: TestMessage[] = [];
  #close: TestClose | undefined;
  #messageCount = 0;

  private constructor(socket: WebSocket, url: string, deadlineMs: number) {
    this.socket = socket;
    this.#deadlineMs = deadlineMs;
    const release = registerFixture({
      what: `TestClient of ${url}`,
      terminate: () => socket.terminate(),
    });
    socket.on('message', (data: RawData, isBinary: boolean) => {
      const bytes = toBuffer(data);
      this.#messageCount += 1;
      this.#queue.push({ data: bytes, isBinary, text: bytes.toString() });
      this.#changes.notify();
    });
    // What goes wrong ends in close 1006, which is what specs look at.
    socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      socket.once('close', (code: number, reason: Buffer) => {
        this.#close = { code, reason: reason.toString() };
        release();
        this.#changes.notify();
        resolve(this.#close);
      });
    });
  }

  /**
   * Opens a connection. Rejects with UpgradeRefusedError when the server answers anything but 101, with the
   * socket's error when it cannot be reached, and with `TESTING_DEADLINE`.
   */
  static async connect(url: string, options: TestClientOptions = {}): Promise<TestClient> {
    const { protocols, deadlineMs = DEADLINE_MS, ...clientOptions } = options;
    const socket = new WebSocket(url, protocols === undefined ? [] : [...protocols], clientOptions);
    // The queue listens before the handshake is done: the first message may come in the same packet.
    const client = new TestClient(socket, url, deadlineMs);
    const opened = new Promise<void>((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
      socket.once('unexpected-response', (request, response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.once('close', () => {
          reject(new UpgradeRefusedError(response.statusCode ?? 0, Buffer.concat(chunks).toString()));
          request.destroy();
        });
      });
    });
    try {
      await within(opened, { deadlineMs, what: `${url} answers the upgrade` });
    } catch (error) {
      socket.terminate();
      throw error;
    }
    return client;
  }

  /** The subprotocol that the server chose; empty for none. */
  get protocol(): string {
    return this.socket.protocol;
  }

  /** How many messages have arrived, taken or not. */
  get messageCount(): number {
    return this.#messageCount;
  }

  /** Messages that arrived and were not taken yet. */
  get waitingMessages(): readonly TestMessage[] {
    return this.#queue;
  }

  /** Whether the connection is closed. */
  get isClosed(): boolean {
    return this.#close !== undefined;
  }

  send(data: string | Uint8Array): void {
    this.socket.send(data);
  }

  /** Takes the next message. Rejects with `TESTING_CLOSED` when none can come, and `TESTING_DEADLINE`. */
  nextMessage(): Promise<TestMessage> {
    return this.#changes.until(() => this.#take(), {
      deadlineMs: this.#deadlineMs,
      what: 'a message arrives',
    });
  }

  /** Sends a ping and waits for its pong: whatever the server sent before has arrived then. */
  async roundTrip(): Promise<void> {
    const pong = once(this.socket, 'pong');
    this.socket.ping();
    await within(pong, { deadlineMs: this.#deadlineMs, what: 'a pong arrives' });
  }

  /** Makes the closing handshake and returns how it ended. Calling it twice is safe. */
  async close(code = 1000, reason = ''): Promise<TestClose> {
    this.socket.close(code, reason);
    return within(this.closed, { deadlineMs: this.#deadlineMs, what: 'the closing handshake ends' });
  }

  /** Ends the connection without a closing handshake. */
  async terminate(): Promise<void> {
    this.socket.terminate();
    await this.closed;
  }

  #take(): TestMessage | undefined {
    const message = this.#queue.shift();
    if (message !== undefined || this.#close === undefined) return message;
    throw new TestingError(
      'TESTING_CLOSED',
      `No message can arrive: the connection was closed with ${this.#close.code} ${JSON.stringify(this.#close.reason)}.`,
    );
  }
}

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
