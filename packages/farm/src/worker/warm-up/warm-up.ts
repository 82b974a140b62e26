import { MemoryBrokerExchange } from '@roost/broker';
import { closeDescriptor, descriptorPair } from '@roost/poller';
import { accept, defineApp } from '../../api/app.ts';
import { memoryLinkPair } from '../../link/memory-link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';
import type { FarmConfig } from '../../options/options.ts';
import { assemble, type Assembled } from '../assemble.ts';
import { releaseParts } from '../upkeep/release.ts';
import { WarmUpClients } from './warm-up-clients.ts';

/** After so many V8 has optimised what is hot; more bring little. */
const HANDSHAKES = 2000;
const CLIENTS = 64;
const MESSAGES_PER_CLIENT = 4;
const CHANNEL = 'w';
/** Paths of the first two applications; the third takes all others. */
const BARE = '/bare';
const RICH = '/rich';
/** Of the clients that publish: the other subscribers get it, too. */
const HANDSHAKES_PER_PUBLICATION = 16;
const PUBLICATION = Buffer.from('{"type":"warm-up"}');

/**
 * Workers that have warmed up. Compiled code refers to their objects weakly: when these were collected, V8 would throw away
 * the code that holds them, which is much of the hot path.
 */
const kept: Assembled[] = [];

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
 * processes whose code has never run. A second worker is put together in this process, with sockets, a broker and an
 * application of its own, and serves clients over socket pairs through the real code: hand-offs, handshakes, echoes,
 * publications, closes. Then it serves nobody any more. Nothing of it is seen in counters, logs or the application.
 */
export async function warmUp(config: FarmConfig): Promise<WarmedUp> {
  const startedAt = performance.now();
  const [toWorker, toMaster] = memoryLinkPair<MasterMessage, WorkerMessage>(config.maxWorkerLinkBytes);
  const [masterEnd, workerEnd] = descriptorPair();
  const worker = assemble({
    config: { ...config, ...WITHOUT_LIMITS },
    link: toMaster,
    rowCount: 2 * CLIENTS,
    tls: null,
    sharesCpu: false,
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
  kept.push(worker);
  let handshakes = 0;
  let clients: WarmUpClients | undefined;
  try {
    worker.apps.use(APPS);
    await worker.broker.start();
    worker.adopt(workerEnd);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, config.warmUpMs);
      clients = new WarmUpClients({
        clients: CLIENTS,
        paths: [BARE, RICH, '/'],
        messagesPerClient: MESSAGES_PER_CLIENT,
        descriptors: masterEnd,
        onHandshake() {
          handshakes++;
          if (handshakes % HANDSHAKES_PER_PUBLICATION === 0)
            void worker.subscriptions.publish(CHANNEL, PUBLICATION);
          return handshakes < HANDSHAKES;
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
  return { handshakes, ms: performance.now() - startedAt };
}

const WITHOUT_LIMITS: Partial<FarmConfig> = {
  redisUrl: null,
  trustedProxies: [],
  proxyProtocol: 'off',
  allowedOrigins: [],
  messageRate: 0,
};
