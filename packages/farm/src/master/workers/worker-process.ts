import { spawn, type ChildProcess } from 'node:child_process';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { closeDescriptor, descriptorPair } from '@roost/poller';
import type { Link } from '../../link/link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';
import { StreamLink } from '../../link/stream-link.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { SupervisionParts } from './supervision-parts.ts';
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
 * to do. The garbage of the start is collected before the worker is ready.
 */
const WORKER_FLAGS = ['--max-semi-space-size=1', '--v8-pool-size=1', '--expose-gc'];

export interface WorkerProcessHooks {
  readonly notForked: (error: NodeJS.ErrnoException) => void;
  readonly ended: (code: number | null, signal: string | null) => void;
  /** V8 ends it, because its heap is full. Not called where the log has no `print`. */
  readonly outOfHeap: () => void;
}

/** A forked worker: its process, the control link, and our ends of two descriptor pairs. */
export interface WorkerProcess {
  readonly child: ChildProcess;
  readonly link: Link<WorkerMessage, MasterMessage>;
  /** Owned by the hand-off, which closes it. */
  readonly descriptors: number;
  /** Where it answers requests for its stack. Owned by the watchdog, which closes it. */
  readonly stacks: number;
}

/**
 * Forks a worker. The caller opens the link, and sends `start` first. Undefined when the system does not let us: for
 * lack of descriptors (EMFILE, ENFILE), processes (EAGAIN) or memory (ENOMEM), or because Node's program is missing
 * at this moment (ENOENT, EACCES). Nothing is left of it then, and `notForked` gets the reason in a later tick.
 */
export function forkWorker(
  { config, log: { print }, guard }: SupervisionParts,
  hooks: WorkerProcessHooks,
): WorkerProcess | undefined {
  const output = print === undefined ? 'inherit' : 'pipe';
  const notForked = guard.wrap('a failed fork', hooks.notForked);
  let pair: readonly [number, number] | undefined;
  let stacks: readonly [number, number] | undefined;
  let child: ChildProcess;
  try {
    pair = descriptorPair();
    stacks = descriptorPair();
    child = spawn(
      process.execPath,
      [...flagsOf(config), WORKER_MAIN, String(config.maxWorkerLinkBytes)],
      // Output of applications goes where ours goes: we write it, if the log takes it, or it writes itself.
      { stdio: ['ignore', output, output, pair[1], 'pipe', stacks[1]] },
    );
  } catch (error) {
    for (const fd of [...(pair ?? []), ...(stacks ?? [])]) closeDescriptor(fd);
    process.nextTick(notForked, error);
    return undefined;
  }
  // The child has its copies. Ours would keep the pairs open after its death.
  for (const [, theirs] of [pair, stacks]) closeDescriptor(theirs);
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
    for (const [ours] of [pair, stacks]) closeDescriptor(ours);
    return undefined;
  }
  child.once('exit', guard.wrap('the end of a worker', hooks.ended));
  // It lives, or its exit will be reported: only a signal could not be sent.
  child.on('error', (error) => guard.failed('signalling a worker', error));
  const link = new StreamLink<WorkerMessage, MasterMessage>(control, config.maxWorkerLinkBytes);
  if (print !== undefined) readOutput(child, print, hooks.outOfHeap);
  return { child, link, descriptors: pair[0], stacks: stacks[0] };
}

/** Options of our own process come after ours, and the heap that is configured after all. */
function flagsOf({ workerHeapMb }: FarmConfig): string[] {
  const heap = workerHeapMb === 0 ? [] : [`--max-old-space-size=${workerHeapMb}`];
  return [...WORKER_FLAGS, ...process.execArgv, ...heap];
}
