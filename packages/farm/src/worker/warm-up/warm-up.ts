import { MemoryBrokerExchange } from '@roost/broker';
import { closeDescriptor, descriptorPair } from '@roost/poller';
import { accept, defineApp } from '../../api/app.ts';
import { newConnectionIdSecret } from '../../link/connection-id-secret.ts';
import { memoryLinkPair } from '../../link/memory-link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';
import type { FarmConfig } from '../../options/options.ts';
import { assemble } from '../assemble.ts';
import { optimiseLater, optimiseSooner } from '../upkeep/compile-thresholds.ts';
import { releaseParts } from '../upkeep/release.ts';
import { WarmUpClients } from './warm-up-clients.ts';

/**
 * Handshakes that each worker of the warm-up serves, one worker after the other. Of a single one V8 would take the objects and
 * closures for the only ones, and throw away what it has compiled for them when the real worker comes: so the first two only
 * show that there are several. With the last one V8 optimises what is hot; more handshakes bring little.
 */
const HANDSHAKES = [200, 200, 2400];
const CLIENTS = 32;
const MESSAGES_PER_CLIENT = 4;
/** Made at run time, as names that come from clients: V8 compares a literal, of which there is one, in another way. */
const CHANNEL = ['warm', 'up'].join('-');
/** Paths of the first two applications; the third takes all others. */
const BARE = '/bare';
const RICH = '/rich';
/** Of the clients that publish: the other subscribers get it, too. */
const HANDSHAKES_PER_PUBLICATION = 16;
const PUBLICATION = Buffer.from('{"type":"warm-up"}');

/** What it came to. */
export interface WarmedUp {
  readonly handshakes: number;
  readonly ms: number;
}

/**
 * Several applications with answers of several shapes: V8 would take the shapes of a single one for the only ones, and throw
 * what it has compiled away when the real one answers.
 */
const APPS = [
  defineApp({
    upgrade: ({ path }) => (path === BARE ? accept() : undefined),
    message: (connection, data, isBinary) => void connection.send(data, isBinary),
  }),
  defineApp({
    upgrade: ({ path }) => (path === RICH ? accept({ channels: [CHANNEL], attachment: path }) : undefined),
    open: (connection) => void connection.isOpen,
    message: (connection, data) => void connection.send(data.toString()),
    close: () => undefined,
  }),
  defineApp({
    upgrade: () => Promise.resolve(accept({ channels: [CHANNEL] })),
    message: (connection, data, isBinary) => void connection.send(data, isBinary),
  }),
];

/**
 * Lets V8 compile what a worker runs often, before the first client comes: after a deploy everybody reconnects at once, to
 * processes whose code has never run. Other workers are put together in this process, with sockets, a broker and
 * applications of their own, and serve clients over socket pairs through the real code: hand-offs, handshakes, echoes,
 * publications, closes. Then they end. Nothing of it is seen in counters, logs or the application.
 *
 * What is compiled fits the real worker only where both look alike to V8. Therefore the configuration is a copy in the shape
 * that the master's message gives it, apps have one shape (see AppHost), and timeouts are so short that their timer is
 * set again and again.
 */
export async function warmUp(config: FarmConfig): Promise<WarmedUp> {
  const startedAt = performance.now();
  const deadline = startedAt + config.warmUpMs;
  let handshakes = 0;
  try {
    for (const [index, wanted] of HANDSHAKES.entries()) {
      if (performance.now() >= deadline) break;
      if (index === HANDSHAKES.length - 1) optimiseSooner();
      handshakes += await serveClients(config, wanted, deadline);
    }
  } finally {
    optimiseLater();
  }
  return { handshakes, ms: performance.now() - startedAt };
}

/** One such worker from its beginning to its end. Answers how many handshakes it has seen. */
async function serveClients(config: FarmConfig, wanted: number, deadline: number): Promise<number> {
  const [toWorker, toMaster] = memoryLinkPair<MasterMessage, WorkerMessage>(config.maxWorkerLinkBytes);
  const [masterEnd, workerEnd] = descriptorPair();
  const worker = assemble({
    // As the master's message brings it: a spread would give it another shape.
    config: Object.assign(structuredClone(config), WITHOUT_LIMITS),
    link: toMaster,
    rowCount: 2 * CLIENTS,
    tls: null,
    sharesCpu: false,
    ids: newConnectionIdSecret(),
    poisonSlab: false,
    loaded: {},
    onBrokerState: () => undefined,
  });
  const exchange = new MemoryBrokerExchange();
  const port = exchange.attach(0, (message) => toWorker.send({ type: 'broker', message }) === 'sent', {
    bufferedBytes: 0,
    maxBufferedBytes: config.maxWorkerLinkBytes,
  });
  toWorker.open({
    linkOnMessage: (message) => {
      if (message.type === 'broker') port.receive(message.message);
    },
    linkOnClose: () => undefined,
  });
  toMaster.open({
    linkOnMessage: (message) => {
      if (message.type === 'broker') worker.memoryBroker?.onMessage(message.message);
    },
    linkOnClose: () => undefined,
  });
  let handshakes = 0;
  let clients: WarmUpClients | undefined;
  try {
    worker.apps.use(APPS);
    await worker.broker.start();
    worker.adopt(workerEnd);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, deadline - performance.now());
      clients = new WarmUpClients({
        clients: CLIENTS,
        paths: [BARE, RICH, '/'],
        messagesPerClient: MESSAGES_PER_CLIENT,
        descriptors: masterEnd,
        onHandshake() {
          handshakes++;
          if (handshakes % HANDSHAKES_PER_PUBLICATION === 0)
            void worker.subscriptions.publish(CHANNEL, PUBLICATION);
          return handshakes < wanted;
        },
        onDone() {
          clearTimeout(timer);
          resolve();
        },
      });
      clients.start();
    });
  } finally {
    clients?.stop();
    await releaseParts(worker);
    exchange.stop();
    toWorker.close();
    closeDescriptor(masterEnd);
    closeDescriptor(workerEnd);
  }
  return handshakes;
}

const WITHOUT_LIMITS: Partial<FarmConfig> = {
  redisUrl: null,
  trustedProxies: [],
  proxyProtocol: 'off',
  allowedOrigins: [],
  messageRate: 0,
  handshakeTimeoutMs: 20,
  upgradeTimeoutMs: 20,
};
