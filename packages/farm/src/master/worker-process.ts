import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { closeDescriptor, descriptorPair } from '@roost/poller';
import type { Channel } from '../channel/channel.ts';
import type { MasterMessage, WorkerMessage } from '../channel/messages.ts';
import { StreamChannel } from '../channel/stream-channel.ts';
import type { FarmConfig } from '../options.ts';

/** From the sources (in tests) the workers are started from the build all the same: Node 20 runs no TypeScript. */
const WORKER_MAIN = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../dist/worker/main.js' : '../worker/main.js',
    import.meta.url,
  ),
);

/**
 * V8's settings for workers, which keep almost nothing on the heap: what is young is nearly all garbage, so that a small
 * young generation costs no more time and takes 2 MB instead of up to 32; and there is nothing for several helper threads
 * to do. The garbage of the start is collected before the worker is ready. Options of our own process come after these.
 */
const WORKER_FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=1', '--expose-gc'];

/** A forked worker: its process, the control channel, and our end of the descriptor pair. */
export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly channel: Channel<WorkerMessage, MasterMessage>;
  /** Owned by the hand-off, which closes it. */
  readonly descriptors: number;
}

/** Forks a worker. The caller opens the channel, and sends `start` first. */
export function spawnWorker(config: FarmConfig): WorkerProcess {
  const [ours, theirs] = descriptorPair();
  const child = spawn(
    process.execPath,
    [...WORKER_FLAGS, ...process.execArgv, WORKER_MAIN, String(config.maxChannelBufferBytes)],
    {
      // Output of applications goes where ours goes; ours is written by the master alone.
      stdio: ['ignore', 'inherit', 'inherit', theirs, 'pipe'],
    },
  );
  // The child has its copy. Ours would keep the pair open after its death.
  closeDescriptor(theirs);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- 'pipe' is a socket in both directions (child_process, options.stdio).
  const control = child.stdio[4] as Duplex;
  const channel = new StreamChannel<WorkerMessage, MasterMessage>(control, config.maxChannelBufferBytes);
  return { child, channel, descriptors: ours };
}
