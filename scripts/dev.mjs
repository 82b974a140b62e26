import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/**
 * `npm run dev -- <arguments of roost start>`: compiles at every change, and starts the server anew with the result.
 * What does not compile leaves the server as it is; a server that does not start waits for the next change.
 * Ctrl-C ends both.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TSC = fileURLToPath(new URL('../node_modules/typescript/bin/tsc', import.meta.url));
const SERVER = fileURLToPath(new URL('../apps/roost/bin/roost.js', import.meta.url));

/** What the compiler says when it is done with a change. */
const COMPILED = 'Found 0 errors. Watching for file changes.';

/** A server that has not ended in this time is killed: nobody's connections are at stake here. */
const STOP_MS = 5000;

let server;
let isStopping = false;
let isEnding = false;
let wantsServer = false;

const poller = spawn('npm', ['run', 'build', '--workspace', '@roost/poller', '--silent'], {
  cwd: ROOT,
  stdio: 'inherit',
});
const [pollerCode] = await once(poller, 'exit');
if (pollerCode !== 0) process.exit(1);

const compiler = spawn(process.execPath, [TSC, '-b', '--watch', '--preserveWatchOutput'], {
  cwd: ROOT,
  stdio: ['ignore', 'pipe', 'inherit'],
  // A group of its own: tsc is a wrapper that would leave the compiler itself running.
  detached: true,
});
let tail = '';
compiler.stdout.setEncoding('utf8').on('data', (text) => {
  process.stdout.write(text);
  const lines = (tail + text).split('\n');
  tail = lines.pop();
  if (lines.some((line) => line.includes(COMPILED))) restart();
});
compiler.once('exit', (code) => {
  if (!isEnding) process.stderr.write(`The compiler ended with ${code}.\n`);
  end('SIGTERM');
});

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => end(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM'));
}

function restart() {
  wantsServer = !isEnding;
  if (server === undefined) start();
  else stopServer('SIGTERM');
}

function start() {
  if (!wantsServer) return;
  wantsServer = false;
  server = spawn(process.execPath, [SERVER, 'start', ...process.argv.slice(2)], {
    stdio: 'inherit',
    // A change is to be seen at once.
    env: { ROOST_DRAIN_MS: '0', ...process.env },
  });
  server.once('exit', () => {
    server = undefined;
    isStopping = false;
    start();
  });
}

/** A second signal would force the server, but it takes a SIGINT from us right after the terminal's for the same one. */
function stopServer(signal) {
  const stopping = server;
  if (stopping === undefined || isStopping) return;
  isStopping = true;
  stopping.kill(signal);
  const timer = setTimeout(() => stopping.kill('SIGKILL'), STOP_MS);
  stopping.once('exit', () => clearTimeout(timer));
}

function end(signal) {
  if (isEnding) return;
  isEnding = true;
  wantsServer = false;
  try {
    if (compiler.pid !== undefined) process.kill(-compiler.pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
  stopServer(signal);
}
