import { fileURLToPath } from 'node:url';
import { CommanderError } from 'commander';
import { LoadError, type LoadErrorCode } from './errors.ts';
import { createProgram, type LoadOptions } from './options.ts';
import { obeyCommands } from './processes/control.ts';
import { Coordinator } from './processes/coordinator.ts';
import { serveCoordinator } from './processes/load-process.ts';
import { LOAD_PROCESS_ARGUMENT } from './processes/process-link.ts';
import { ownNamespace, runInNamespace } from './phantom/in-namespace.ts';
import { PhantomServer } from './phantom/phantom-server.ts';
import { formatProgress, formatResult } from './report/summary.ts';
import { runSession } from './scenarios/session.ts';
import { resolveTarget } from './target.ts';

const ENTRY = fileURLToPath(import.meta.url);
/** To start a server by hand, or one with very many workers. */
const SERVER_TIMEOUT_MS = 300_000;
const EXIT_UNEXPECTED = 1;
const EXIT_NOT_BEGUN = 2;
/** EX_CONFIG of sysexits.h. */
const EXIT_NO_PHANTOMS = 78;
/** Errors that come when connections are open. */
const BEGUN: ReadonlySet<LoadErrorCode> = new Set<LoadErrorCode>(['LOAD_ERR_PROCESS', 'LOAD_ERR_PUBLISH']);

/** Parts of a million, as the addon counts. */
const MILLION = 1_000_000;

async function run(options: LoadOptions): Promise<void> {
  assertGoTogether(options);
  if (options.isPhantom && ownNamespace() === undefined) {
    process.exitCode = await runInNamespace({
      entry: ENTRY,
      connections: options.connections,
      processes: options.processes ?? 1,
      disturbedPerMillion: options.linkLossShare * MILLION,
    });
    return;
  }
  const stop = new AbortController();
  const abort = () => stop.abort();
  process.on('SIGINT', abort).on('SIGTERM', abort);
  process.stdout.on('error', abort);
  const { url, greeting, messageTemplate, processes, connections, sourceAddresses, timeoutMs } = options;
  const target = await resolveTarget(url, options);
  const server = options.isPhantom ? new PhantomServer(options.server) : undefined;
  let coordinator: Coordinator | undefined;
  try {
    coordinator = await Coordinator.start({
      entry: ENTRY,
      target,
      greeting,
      messageTemplate,
      processes,
      connections,
      sourceAddresses,
      handshakeTimeoutMs: timeoutMs,
      phantom: options.isPhantom ? { disturbedPerMillion: options.linkLossShare * MILLION } : null,
    });
    // Who gives commands knows when the server that they have started is there.
    if (server !== undefined && (server.isOurs || !options.control)) {
      await waitForServer(server, target.port, stop.signal);
    }
    await drive(coordinator, options, stop.signal);
  } finally {
    // While the clients still answer: a server without them would try for minutes to say goodbye.
    await server?.stop();
    await coordinator?.stop();
  }
}

/** Throws LOAD_ERR_OPTION for flags of which one would have no effect. */
function assertGoTogether({ isPhantom, server, linkLossShare, sourceAddresses }: LoadOptions): void {
  if (!isPhantom && (server !== null || linkLossShare > 0)) {
    throw new LoadError('LOAD_ERR_OPTION', '--server and --link-loss are of use with --phantom only.');
  }
  if (isPhantom && sourceAddresses.length > 0) {
    throw new LoadError(
      'LOAD_ERR_OPTION',
      '--source-addresses is of no use with --phantom: those clients have addresses of their own.',
    );
  }
}

/** Obeys commands, or runs a whole scenario and prints its result. */
async function drive(coordinator: Coordinator, options: LoadOptions, signal: AbortSignal): Promise<void> {
  if (options.control) {
    // A command under way ends with its processes.
    signal.addEventListener('abort', () => void coordinator.stop());
    try {
      await obeyCommands(coordinator, options, { input: process.stdin, write: writeLine, signal });
    } finally {
      // An open pipe would keep a program alive that has nothing more to say.
      process.stdin.destroy();
    }
    return;
  }
  const ticker = showProgress(coordinator);
  try {
    const result = await runSession(coordinator, options, signal);
    writeLine(options.json ? JSON.stringify(result) : formatResult(result));
    if (!result.ok) process.exitCode = EXIT_UNEXPECTED;
  } finally {
    clearInterval(ticker);
    if (process.stderr.isTTY) process.stderr.write('\n');
  }
  await coordinator.close();
}

async function waitForServer(server: PhantomServer, port: number, signal: AbortSignal): Promise<void> {
  if (!server.isOurs) {
    process.stderr.write(
      `roost-load: start the server on port ${port} now, with "nsenter --net=${ownNamespace()}" before its command.\n`,
    );
  }
  await server.listens(port, SERVER_TIMEOUT_MS, signal);
}

function writeLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** One live line on a terminal; one line a second elsewhere. */
function showProgress(coordinator: Coordinator): NodeJS.Timeout {
  const startedAt = performance.now();
  let lastAt = startedAt;
  let lastMessages = 0;
  return setInterval(() => {
    const now = performance.now();
    const { progress } = coordinator;
    const messagesPerSecond = ((progress.messages - lastMessages) * 1000) / (now - lastAt);
    lastAt = now;
    lastMessages = progress.messages;
    const interval = coordinator.takeInterval();
    const line = formatProgress(progress, (now - startedAt) / 1000, { messagesPerSecond, interval });
    process.stderr.write(process.stderr.isTTY ? `\r\u001b[K${line}` : `${line}\n`);
  }, 1000);
}

async function main(): Promise<void> {
  // Progress that nobody reads is no reason to stop measuring.
  process.stderr.on('error', () => undefined);
  if (process.argv[2] === LOAD_PROCESS_ARGUMENT && process.send !== undefined) {
    serveCoordinator();
    return;
  }
  // Before anything is written: the help is longer than a pipe to `head` stays open.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that has enough (`| head -1`) ends the run, and is no error; anything else is the loss of the result.
    if (error.code === 'EPIPE') return;
    process.stderr.write(`roost-load: standard output cannot be written to: ${error.message}\n`);
    process.exitCode = EXIT_UNEXPECTED;
  });
  try {
    await createProgram(run).exitOverride().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : EXIT_NOT_BEGUN;
    } else if (error instanceof LoadError) {
      process.stderr.write(`roost-load: ${error.message}\n`);
      process.exitCode = exitCodeOf(error.code);
    } else {
      throw error;
    }
  }
}

function exitCodeOf(code: LoadErrorCode): number {
  if (code === 'LOAD_ERR_PHANTOM') return EXIT_NO_PHANTOMS;
  return BEGUN.has(code) ? EXIT_UNEXPECTED : EXIT_NOT_BEGUN;
}

await main();
