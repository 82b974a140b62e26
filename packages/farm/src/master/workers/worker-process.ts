import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { closeDescriptor, descriptorPair } from '@roost/poller';
import type { Link } from '../../link/link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';
import { StreamLink } from '../../link/stream-link.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Guard } from '../guard.ts';
import { readOutput } from './worker-output.ts';

/** From the sources (in tests) the workers are started from the build all the same: Node 20 runs no TypeScript. */
const WORKER_MAIN = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../../dist/worker/main.js' : '../../worker/main.js',
    import.meta.url,
  ),
);

/**
 * V8's settings for workers, which keep almost nothing on the heap: what is young is nearly all garbage, so that a small
 * young generation costs no more time and takes 2 MB instead of up to 32; and there is nothing for several helper threads
 * to do. The garbage of the start is collected before the worker is ready. Options of our own process come after these.
 */
const WORKER_FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=1', '--expose-gc'];

export interface WorkerProcessHooks {
  readonly notForked: (error: NodeJS.ErrnoException) => void;
  readonly ended: (code: number | null, signal: string | null) => void;
}

/** A forked worker: its process, the control link, and our end of the descriptor pair. */
export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly link: Link<WorkerMessage, MasterMessage>;
  /** Owned by the hand-off, which closes it. */
  readonly descriptors: number;
}

/**
 * Forks a worker. The caller opens the link, and sends `start` first. Undefined when the system does not let us: for
 * lack of descriptors (EMFILE, ENFILE), processes (EAGAIN) or memory (ENOMEM), or because Node's program is missing
 * at this moment (ENOENT, EACCES). Nothing is left of it then, and `notForked` gets the reason in a later tick.
 */
export function forkWorker(
  config: FarmConfig,
  { print }: Log,
  guard: Guard,
  hooks: WorkerProcessHooks,
): WorkerProcess | undefined {
  const output = print === undefined ? 'inherit' : 'pipe';
  const notForked = guard.wrap('a failed fork', hooks.notForked);
  let pair: readonly [number, number] | undefined;
  let child: ChildProcess;
  try {
    pair = descriptorPair();
    child = spawn(
      process.execPath,
      [...WORKER_FLAGS, ...process.execArgv, WORKER_MAIN, String(config.maxWorkerLinkBytes)],
      // Output of applications goes where ours goes: we write it, if the log takes it, or it writes itself.
      { stdio: ['ignore', output, output, pair[1], 'pipe'] },
    );
  } catch (error) {
    for (const fd of pair ?? []) closeDescriptor(fd);
    process.nextTick(notForked, error);
    return undefined;
  }
  const [ours, theirs] = pair;
  // The child has its copy. Ours would keep the pair open after its death.
  closeDescriptor(theirs);
  // Without a descriptor left there are no streams at all, whatever the types say.
  const stdio: readonly unknown[] | undefined = child.stdio;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- 'pipe' is a socket in both directions (child_process, options.stdio).
  const control = stdio?.[4] as Duplex | undefined;
  if (child.pid === undefined || control === undefined) {
    child.once('error', notForked);
    // They are connected to nothing, and would emit errors.
    for (const stream of [control, child.stdout, child.stderr]) {
      stream?.on('error', () => undefined).destroy();
    }
    closeDescriptor(ours);
    return undefined;
  }
  child.once('exit', guard.wrap('the end of a worker', hooks.ended));
  // It lives, or its exit will be reported: only a signal could not be sent.
  child.on('error', (error) => guard.failed('signalling a worker', error));
  const link = new StreamLink<WorkerMessage, MasterMessage>(control, config.maxWorkerLinkBytes);
  if (print !== undefined) readOutput(child, print);
  return { child, link, descriptors: ours };
}
