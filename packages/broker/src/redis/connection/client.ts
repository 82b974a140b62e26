import { createConnection, isIP } from 'node:net';
import type { Socket } from 'node:net';
import { connect as connectSecurely } from 'node:tls';
import { AbstractConnector, Redis } from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { ServerAddress } from '../redis-url.ts';

/** How long an orderly close may take, in ms. With a silent Redis it would never end. */
const FAREWELL_MS = 100;

/**
 * One connection to one server, made once: an ioredis client that never reconnects, keeps no queue, and sends nothing by
 * itself. What ioredis would send to greet (AUTH, SELECT, CLIENT, INFO) is sent by its owner: ioredis writes what it
 * thinks of the answers to stderr.
 */
export class RedisClient {
  readonly redis: Redis;
  /** Resolves when no socket is left. */
  readonly ended: Promise<void>;
  readonly #isUnix: boolean;
  #socket: Socket | undefined;
  #lastError: unknown;

  constructor(server: ServerAddress, isTls: boolean) {
    const onSocket = (socket: Socket): void => {
      this.#socket = socket;
    };
    this.#isUnix = 'path' in server;
    this.redis = new Redis({
      ...CLIENT_OPTIONS,
      Connector: class extends OneSocket {
        constructor() {
          super(server, isTls, onSocket);
        }
      },
    });
    this.redis.on('error', (error) => {
      this.#lastError = error;
    });
    this.ended = new Promise((resolve) => {
      this.redis.once('end', resolve);
    });
  }

  /** What went wrong last with the connection itself; undefined when the other side ended it in good order. */
  get lastError(): unknown {
    return this.#lastError;
  }

  /** Resolves when commands can be sent. */
  connect(): Promise<void> {
    return this.redis.connect();
  }

  /**
   * Gives the connection up at once. TCP is reset (RST instead of FIN), also below TLS, so that the kernel throws away what
   * it has not sent yet: after a partition it would arrive behind what newer connections have sent, long after its sender was
   * answered with an unknown outcome. What is already on the other side cannot be taken back; on a Unix socket that is
   * everything that was written.
   */
  reset(): void {
    const socket = this.#socket;
    if (socket === undefined) this.redis.disconnect();
    else if (this.#isUnix || socket.connecting || socket.destroyed) socket.destroy();
    else socket.resetAndDestroy();
  }

  /** Ends the connection in good order: what has been sent arrives. */
  close(): void {
    if (this.#socket?.connecting === true) this.reset();
    else this.redis.disconnect();
  }
}

const CLIENT_OPTIONS = {
  lazyConnect: true,
  retryStrategy: () => null,
  disconnectTimeout: FAREWELL_MS,
  // A command that cannot be written now fails now; one that was written is never written again.
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: null,
  enableReadyCheck: false,
  disableClientInfo: true,
  // The subscriber needs no ordinary commands, and RESP2 costs less per message.
  protocol: 2,
} satisfies RedisOptions;

/**
 * Gives ioredis a socket that is connected, through TLS where that is wanted, and its owner the TCP socket below: a
 * TLSSocket cannot be reset. TLS begins when TCP is connected, since until then Node may still replace the handle (it tries
 * one address of a name after the other).
 */
class OneSocket extends AbstractConnector {
  readonly #server: ServerAddress;
  readonly #isTls: boolean;
  readonly #onSocket: (socket: Socket) => void;

  constructor(server: ServerAddress, isTls: boolean, onSocket: (socket: Socket) => void) {
    super(FAREWELL_MS);
    this.#server = server;
    this.#isTls = isTls;
    this.#onSocket = onSocket;
  }

  override async connect(): Promise<Socket> {
    const socket = createConnection(this.#server);
    this.#onSocket(socket);
    this.stream = socket;
    await happens(socket, 'connect');
    if (!this.#isTls || 'path' in this.#server) return socket;
    const { host } = this.#server;
    const secure = connectSecurely({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) });
    this.stream = secure;
    await happens(secure, 'secureConnect');
    return secure;
  }
}

/** Rejects when the socket ends before. */
function happens(socket: Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(error);
    const onClose = (): void => reject(new Error('the connection was closed'));
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once(event, () => {
      socket.off('close', onClose);
      resolve();
    });
  });
}
