import { MemoryBrokerExchange } from '@roost/broker';
import { eventually } from '@roost/testing';
import { accept, type App } from '../../packages/farm/src/api/app.ts';
import { memoryLinkPair } from '../../packages/farm/src/link/memory-link.ts';
import type { MasterMessage, WorkerMessage } from '../../packages/farm/src/link/messages.ts';
import type { Link } from '../../packages/farm/src/link/link.ts';
import { resolveOptions } from '../../packages/farm/src/options/options.ts';
import { HandingListener } from '../../packages/farm/src/worker/fixtures/handing-listener.ts';
import { Worker } from '../../packages/farm/src/worker/worker.ts';
import { open, receive, Runs } from './app.ts';
import { afterTurns } from './clients.ts';
import type { Side } from './side.ts';
import { LONG_MS, MIN_COMPRESS_BYTES, type Profile } from './stream.ts';

/** On a busy machine a stream may be slow; none of these must end it. */
const TIMEOUTS = {
  handshakeTimeoutMs: LONG_MS,
  upgradeTimeoutMs: LONG_MS,
  httpRequestTimeoutMs: LONG_MS,
  messageTimeoutMs: LONG_MS,
  closeTimeoutMs: LONG_MS,
  heartbeatMs: LONG_MS,
  heartbeatTimeoutMs: LONG_MS,
};

/**
 * A real worker on real sockets, its slab poisoned after each batch, and as little of a master as it needs: one that
 * accepts and hands off.
 */
export class RoostSide implements Side {
  readonly runs = new Runs();
  readonly port: number;
  /** What the worker said in warnings and errors: nothing, if all is well. */
  readonly complaints: string[] = [];
  readonly #exchange = new MemoryBrokerExchange();
  readonly #worker: Worker;
  readonly #link: Link<WorkerMessage, MasterMessage>;
  readonly #listener: HandingListener;
  #hasStopped = false;

  private constructor(profile: Profile, capacity: number) {
    const { maxMessageBytes, borrowMessages, compression } = profile;
    const config = {
      ...resolveOptions({ app: '/none', borrowMessages, compression }, 1, 'fuzz'),
      ...TIMEOUTS,
      minCompressBytes: MIN_COMPRESS_BYTES,
      maxMessageBytes,
      // So short that connections hibernate between two pieces.
      quietMs: 2,
      // ws has no such bound.
      maxOutboundBytes: 2 ** 30,
    };
    const [ours, theirs] = memoryLinkPair<MasterMessage, WorkerMessage>(config.maxWorkerLinkBytes);
    this.#link = ours;
    // No TCP_USER_TIMEOUT: on a busy machine a client of this process may not read for half a minute.
    this.#listener = new HandingListener({ maxUnacknowledged: capacity, userTimeoutMs: 0 });
    this.port = this.#listener.port;
    this.#worker = new Worker(
      {
        worker: 0,
        config,
        link: theirs,
        descriptors: this.#listener.workerEnd,
        capacity,
        cpu: null,
        loadApps: () => Promise.resolve([this.#app(borrowMessages)]),
        onStopped: () => {
          this.#hasStopped = true;
        },
        poisonSlab: true,
      },
      {},
    );
    theirs.open(this.#worker);
    const port = this.#exchange.attach(0, (message) => ours.send({ type: 'broker', message }) === 'sent');
    ours.open({
      linkOnMessage: (message) => {
        if (message.type === 'broker') port.receive(message.message);
        else if (message.type === 'log' && message.level === 'error')
          this.complaints.push(JSON.stringify(message));
      },
      linkOnClose: () => undefined,
    });
  }

  static async start(profile: Profile, capacity: number): Promise<RoostSide> {
    const side = new RoostSide(profile, capacity);
    await side.#worker.start();
    return side;
  }

  /** Within the call in which it reads them. */
  hasDigested(): boolean {
    return true;
  }

  async stop(): Promise<void> {
    this.#exchange.stop();
    this.#link.close();
    await eventually(() => this.#hasStopped, { what: 'the worker has stopped' });
    this.#listener.close();
  }

  #app(isBorrowed: boolean): App {
    const { runs } = this;
    return {
      upgrade({ path }) {
        const turns = runs.get(path)?.manners.upgradeTurns ?? 0;
        const acceptance = accept({ attachment: path });
        return turns === 0 ? acceptance : afterTurns(turns).then(() => acceptance);
      },
      open(connection) {
        const run = runs.get(String(connection.attachment));
        if (run !== undefined) open(run, connection);
      },
      message(connection, data, isBinary) {
        const run = runs.get(String(connection.attachment));
        if (run === undefined) return;
        // What is not borrowed is kept as it is: were it a view of the slab, the poison would show.
        receive(run, connection, isBorrowed ? Buffer.from(data) : data, isBinary);
      },
      close: (connection, code, reason) => runs.closed(String(connection.attachment), code, reason),
      http: (_request, response) => void response.writeHead(204).end(),
    };
  }
}
