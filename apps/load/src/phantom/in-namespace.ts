import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { LoadError } from '../errors.ts';
import { native } from './native.ts';
import { MAX_LINKS, phantomLinks } from './phantom-link.ts';
import { PhantomNamespace } from './phantom-namespace.ts';

/** Set for the program that runs inside: the path of the namespace. */
const VARIABLE = 'PHANTOM_NETNS';

/** The namespace that this program runs in, when it is the one that {@link runInNamespace} has started. */
export function ownNamespace(): string | undefined {
  return process.env[VARIABLE];
}

/**
 * Makes a namespace, runs this program in it with the same arguments, and removes the namespace when that has ended: so all that it
 * does, the server that it starts included, meets nothing outside. Answers the exit code. Throws LOAD_ERR_PHANTOM when there can be no
 * phantoms here.
 */
export async function runInNamespace(options: {
  readonly entry: string;
  readonly connections: number;
  readonly processes: number;
  readonly disturbedPerMillion: number;
}): Promise<number> {
  if (options.processes > MAX_LINKS) {
    throw new LoadError(
      'LOAD_ERR_OPTION',
      `--processes must be from 1 to ${MAX_LINKS} with --phantom, got ${options.processes}.`,
    );
  }
  const namespace = PhantomNamespace.create(
    options.connections,
    phantomLinks(options.processes, options.disturbedPerMillion),
  );
  try {
    // Here, so that the addon is compiled once and not by each load process, and before anything runs if it cannot be.
    native();
    // It must not outlive this one, which removes what it runs in.
    const enter = ['--pdeathsig', 'KILL', 'nsenter', `--net=${namespace.path}`, '--'];
    const child = spawn(
      'setpriv',
      [...enter, process.execPath, ...process.execArgv, options.entry, ...process.argv.slice(2)],
      { stdio: 'inherit', env: { ...process.env, [VARIABLE]: namespace.path } },
    );
    const forward = (signal: NodeJS.Signals) => child.kill(signal);
    process.on('SIGINT', forward).on('SIGTERM', forward);
    const [code] = await once(child, 'close');
    return typeof code === 'number' ? code : 1;
  } finally {
    namespace.remove();
  }
}
