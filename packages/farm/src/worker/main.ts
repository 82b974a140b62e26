import { Socket } from 'node:net';
import { constants } from 'node:os';
import { answerStackRequests, pinThread, setCloseOnExec, signalOnParentDeath } from '@roost/poller';
import type { MasterMessage, WorkerMessage } from '../link/messages.ts';
import { StreamLink } from '../link/stream-link.ts';
import { capacityOf, descriptorLimit } from '../options/descriptor-limit.ts';
import type { FarmConfig } from '../options/options.ts';
import { describeError } from './app/app-host.ts';
import { collectGarbage } from './upkeep/collect-garbage.ts';
import { giveBackPages } from './upkeep/give-back-pages.ts';
import { loadApps } from './app/load-app.ts';
import type { LoadedParts } from './assemble.ts';
import { Worker } from './worker.ts';

/** Descriptors that the master leaves us: the descriptor pair, the control stream, and where it asks for our stack. */
const DESCRIPTORS_FD = 3;
const CONTROL_FD = 4;
const STACKS_FD = 5;
/** For the reason to reach the master. */
const LAST_WORDS_MS = 200;

// Ctrl-C reaches the whole process group: the master decides when a worker ends.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('SIGHUP', () => undefined);
// A promise that an app has forgotten must not disconnect everybody else on this worker.
process.on('unhandledRejection', (error) => {
  if (worker === undefined) throw error;
  worker.appFailed('unhandled rejection', error);
});
process.on('uncaughtException', (error) => {
  if (isExiting) return;
  if (!isReady) failedToStart(error);
  else if (worker?.appThrew(error) === 'exit') exitSoon();
});
signalOnParentDeath(constants.signals.SIGKILL);
// spawn() hands descriptors down without it; a process that an app starts must not hold our channels open.
for (const descriptor of [DESCRIPTORS_FD, CONTROL_FD, STACKS_FD]) setCloseOnExec(descriptor);
// Before the app is loaded, which may be where we are stuck. Without it a stuck worker is replaced all the same.
answerStackRequests(STACKS_FD);

const link = new StreamLink<MasterMessage, WorkerMessage>(
  new Socket({ fd: CONTROL_FD, readable: true, writable: true }),
  Number(process.argv[2]),
);
// What nobody has caught ends this process, and another takes its place; its reason belongs into the log.
process.on('uncaughtExceptionMonitor', (error) => {
  link.sendUrgent({
    type: 'log',
    level: 'fatal',
    fields: { error: describeError(error) },
    message: 'worker failed; it ends',
  });
});
/** Messages that come while the worker is being made. */
const early: MasterMessage[] = [];
let worker: Worker | undefined;
let isReady = false;
let isExiting = false;

link.open({
  linkOnMessage(message) {
    if (worker !== undefined) worker.linkOnMessage(message);
    else if (message.type === 'start') void begin(message);
    else early.push(message);
  },
  linkOnClose(reason) {
    if (worker === undefined) process.exit(1);
    worker.linkOnClose(reason);
  },
});

async function begin({
  worker: index,
  cpu,
  config,
  tls,
  sharesCpu,
  ids,
}: Extract<MasterMessage, { type: 'start' }>): Promise<void> {
  // The main thread only: V8's helpers stay on all the CPUs that we are allowed.
  const isPinned = cpu !== null && pinThread(cpu) === 0;
  try {
    const redis = config.redisUrl === null ? undefined : await import('@roost/broker/redis');
    const secure = tls === null ? undefined : await loadTls();
    await warmed(config);
    worker = new Worker(
      {
        worker: index,
        config,
        tls,
        sharesCpu,
        ids,
        link,
        descriptors: DESCRIPTORS_FD,
        capacity: capacityOf(config, descriptorLimit()),
        cpu: isPinned ? cpu : null,
        loadApps: (context) => loadApps(config.app, context),
        onStopped: (code) => process.exit(code),
      },
      { Redis: redis?.RedisBroker, Tls: secure },
    );
    for (const message of early) worker.linkOnMessage(message);
    await worker.start();
    isReady = true;
    // Half of what a worker has allocated by now was needed for its start only.
    collectGarbage();
    giveBackPages();
  } catch (error) {
    failedToStart(error);
  }
}

/** A worker that could not warm up is as good as another one after its first thousands of clients. */
async function warmed(config: FarmConfig): Promise<void> {
  if (config.warmUpMs === 0) return;
  const { warmUp } = await import('./warm-up/warm-up.ts');
  await warmUp(config).catch((error: unknown) => {
    const fields = { error: describeError(error) };
    link.send({ type: 'log', level: 'warn', fields, message: 'worker could not warm up' });
  });
}

async function loadTls(): Promise<NonNullable<LoadedParts['Tls']>> {
  const { TlsStreams } = await import('./sockets/tls/tls-streams.ts');
  const { Securing } = await import('./states/securing.ts');
  return { TlsStreams, Securing };
}

function failedToStart(error: unknown): void {
  link.sendUrgent({ type: 'failed', reason: describeError(error) });
  isExiting = true;
  link.close();
  // What the app has opened must not keep a worker that will never serve.
  setTimeout(() => process.exit(1), LAST_WORDS_MS);
}

/** At once, if the last words have left: an app that has thrown must not run on. */
function exitSoon(): void {
  isExiting = true;
  link.close();
  if (link.bufferedBytes === 0) process.exit(1);
  setTimeout(() => process.exit(1), LAST_WORDS_MS);
}
