import { WebSocket } from 'ws';
import type { RawData } from 'ws';
import type { MessageData } from '../api/connection.ts';
import { Changes } from './changes.ts';
import type { WaitOptions } from './changes.ts';
import { TestingError, UpgradeRefusedError } from './errors.ts';

/** How many of the waiting messages an error shows, and how much of each in characters. */
const SHOWN_MESSAGES = 5;
const SHOWN_CHARACTERS = 100;

/** What a client says when it connects. */
export interface ConnectOptions extends WaitOptions {
  /** Subprotocols that it offers, in its order. Default: none. */
  readonly protocols?: readonly string[];
  /** Added to its request, such as `Cookie` or `Origin`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** One whole message of the server. */
export interface TestMessage {
  /** As it was sent. */
  readonly data: Buffer;
  /** Whether it came as binary, not as text. */
  readonly isBinary: boolean;
  /** The data as UTF-8. */
  readonly text: string;
}

/** How a connection ended. */
export interface TestClose {
  /** Of the server's close frame; 1006 when none came. */
  readonly code: number;
  /** Of the same frame; empty when there is none. */
  readonly reason: string;
}

/**
 * A real WebSocket client. Messages wait in the order in which they arrived until they are taken; every wait has a
 * deadline. Owned by its farm, which ends it when it stops; it does not keep the process alive.
 */
export class TestClient {
  readonly #socket: WebSocket;
  readonly #deadlineMs: number;
  readonly #changes = new Changes();
  readonly #messages: TestMessage[] = [];
  #pongs = 0;
  #close: TestClose | undefined;

  private constructor(socket: WebSocket, deadlineMs: number) {
    this.#socket = socket;
    this.#deadlineMs = deadlineMs;
    socket.on('message', (data: RawData, isBinary: boolean) => {
      const bytes = toBuffer(data);
      this.#messages.push({ data: bytes, isBinary, text: bytes.toString() });
      this.#changes.notify();
    });
    socket.on('pong', () => {
      this.#pongs++;
      this.#changes.notify();
    });
    // What goes wrong ends in close 1006, which is what tests look at.
    socket.on('error', () => undefined);
    socket.once('close', (code: number, reason: Buffer) => {
      this.#close = { code, reason: reason.toString() };
      this.#changes.notify();
    });
  }

  /** See TestFarm.connect. */
  static async connect(
    url: string,
    { deadlineMs, ...options }: ConnectOptions & Required<WaitOptions>,
  ): Promise<TestClient> {
    const socket = new WebSocket(url, [...(options.protocols ?? [])], { headers: options.headers });
    // It listens before the handshake is done: the first message may come in the same packet.
    const client = new TestClient(socket, deadlineMs);
    let failure: Error | undefined;
    const failed = (error: Error): void => {
      failure ??= error;
      client.#changes.notify();
    };
    socket.once('error', failed);
    socket.once('upgrade', (response) => response.socket.unref());
    socket.once('open', () => client.#changes.notify());
    socket.once('unexpected-response', (request, response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.once('close', () => {
        const headers = Object.entries(response.headers).map(([name, value]) => [name, String(value)]);
        const body = Buffer.concat(chunks).toString();
        failed(new UpgradeRefusedError(response.statusCode ?? 0, body, Object.fromEntries(headers)));
        request.destroy();
      });
    });
    const look = (): true | undefined => {
      if (failure !== undefined) throw failure;
      return socket.readyState === WebSocket.OPEN ? true : undefined;
    };
    try {
      await client.#changes.until(look, {
        deadlineMs,
        what: `${url} answers the upgrade`,
        seen: () => 'nothing',
      });
    } catch (error) {
      socket.terminate();
      throw error;
    }
    return client;
  }

  /** The subprotocol that the server chose; empty for none. */
  get protocol(): string {
    return this.#socket.protocol;
  }

  /** The messages that have arrived and were not taken yet. */
  get waiting(): readonly TestMessage[] {
    return this.#messages;
  }

  /** How the connection ended; undefined as long as it is open. */
  get closed(): TestClose | undefined {
    return this.#close;
  }

  /** Sends one message: strings as text, bytes as binary. */
  send<Data>(data: MessageData<Data, 'send() takes a string or bytes; use JSON.stringify(value)'>): void {
    this.#socket.send(data);
  }

  /**
   * Takes the next message. Rejects with TESTING_DEADLINE, and with TESTING_CLOSED when none can come any more.
   */
  next(options: WaitOptions = {}): Promise<TestMessage> {
    return this.#take('a message arrives', () => this.#messages.shift(), options);
  }

  /**
   * Takes messages until one is as wanted, and returns that; those before it are gone. Rejects as {@link next} does.
   */
  nextWhere(isWanted: (message: TestMessage) => boolean, options: WaitOptions = {}): Promise<TestMessage> {
    const look = (): TestMessage | undefined => {
      for (let message = this.#messages.shift(); message !== undefined; message = this.#messages.shift()) {
        if (isWanted(message)) return message;
      }
      return undefined;
    };
    return this.#take('the wanted message arrives', look, options);
  }

  /**
   * Sends a ping and waits for its pong: what the server had sent to this client before is in {@link waiting} then. It says
   * nothing of publications that are still on their way to it. Rejects as {@link next} does.
   */
  async roundTrip(options: WaitOptions = {}): Promise<void> {
    const before = this.#pongs;
    this.#socket.ping();
    await this.#take('a pong arrives', () => (this.#pongs > before ? true : undefined), options);
  }

  /** Makes the closing handshake, and returns how it ended. Safe to call twice. Rejects with TESTING_DEADLINE. */
  close(code = 1000, reason = '', options: WaitOptions = {}): Promise<TestClose> {
    this.#socket.close(code, reason);
    return this.whenClosed(options);
  }

  /** Waits until the connection is closed, by whichever side. Rejects with TESTING_DEADLINE. */
  whenClosed({ deadlineMs = this.#deadlineMs }: WaitOptions = {}): Promise<TestClose> {
    const what = 'the connection is closed';
    return this.#changes.until(() => this.#close, { deadlineMs, what, seen: () => this.#seen() });
  }

  /** Ends the connection without a closing handshake. Safe to call twice. */
  terminate(): void {
    this.#socket.terminate();
  }

  #take<Result>(what: string, look: () => Result | undefined, options: WaitOptions): Promise<Result> {
    const { deadlineMs = this.#deadlineMs } = options;
    const lookOrEnd = (): Result | undefined => {
      const result = look();
      if (result !== undefined || this.#close === undefined) return result;
      throw new TestingError('TESTING_CLOSED', `It cannot come true that ${what}: ${this.#seen()}`);
    };
    return this.#changes.until(lookOrEnd, { deadlineMs, what, seen: () => this.#seen() });
  }

  #seen(): string {
    const state =
      this.#close === undefined
        ? 'the connection is open'
        : `the connection was closed with ${this.#close.code} ${JSON.stringify(this.#close.reason)}`;
    const shown = this.#messages
      .slice(0, SHOWN_MESSAGES)
      .map(({ text }) => JSON.stringify(text.slice(0, SHOWN_CHARACTERS)));
    return `${state}, and ${this.#messages.length} messages wait${shown.length > 0 ? ` (${shown.join(', ')})` : ''}`;
  }
}

function toBuffer(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}
