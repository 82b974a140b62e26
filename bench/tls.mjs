/**
 * What TLS costs the server: `npm run build && node bench/tls.mjs [connections]`. Prints, for plain TCP and for TLS with
 * two kinds of certificate, the memory of an idle connection (the slope from a fifth of the connections to all of them,
 * proportional set size of every process of the server), and its CPU for a handshake (accept, hand-off and 101
 * included), for a handshake that resumes a session, and for a 64-byte echo. The clients are a process of their own.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectSecurely } from 'node:tls';
import { makeCertificate } from '@roost/testing';
import { maskedFrame, upgradeRequest } from './clients/frames.mjs';
import { cpuMs, memoryOf, waitUntilQuiet } from './lib/processes.mjs';
import { startServer } from './lib/servers.mjs';

const CONCURRENCY = 32;
const ECHO_CONNECTIONS = 64;
const ECHOES = 40_000;
const RESUMPTIONS = 2000;

if (process.argv[2] === 'clients') serveClients();
else await measureAll(Number(process.argv[2] ?? 5000));

async function measureAll(connections) {
  const rows = [];
  for (const [name, options] of [
    ['plain', undefined],
    ['TLS, P-256', {}],
    ['TLS, RSA 2048', { rsaBits: 2048 }],
  ]) {
    const folder = mkdtempSync(join(tmpdir(), 'roost-bench-tls-'));
    try {
      rows.push({ name, ...(await measure(connections, options, folder)) });
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  console.table(rows);
}

async function measure(connections, certificateOptions, folder) {
  const args = ['--heartbeat-ms=3600000', '--backlog=4096'];
  if (certificateOptions !== undefined) {
    const { cert, key } = makeCertificate(certificateOptions);
    const [certPath, keyPath] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(certPath, cert);
    writeFileSync(keyPath, key, { mode: 0o600 });
    args.push('--tls-cert', certPath, '--tls-key', keyPath);
  }
  const server = await startServer('Roost', { app: 'echo', connections, args });
  const clients = fork(import.meta.filename, ['clients']);
  const tell = async (message) => {
    clients.send(message);
    const [answer] = await once(clients, 'message');
    if (answer !== 'done') throw new Error(`the clients failed: ${answer}`);
  };
  const costOf = async (count, message) => {
    const before = cpuMs(server.pids);
    await tell(message);
    return Number((((cpuMs(server.pids) - before) * 1000) / count).toFixed(1));
  };
  const memory = async () => {
    await waitUntilQuiet(server.pids);
    return memoryOf(server.pids).pss;
  };
  try {
    const { port } = new URL(server.url);
    const isSecure = certificateOptions !== undefined;
    const first = Math.floor(connections / 5);
    await tell({ type: 'open', port, isSecure, count: first });
    const few = await memory();
    const handshake = await costOf(connections - first, {
      type: 'open',
      port,
      isSecure,
      count: connections - first,
    });
    const many = await memory();
    const echo = await costOf(ECHOES, { type: 'echo', count: ECHOES });
    const resumed = isSecure
      ? await costOf(RESUMPTIONS, { type: 'resume', port, count: RESUMPTIONS })
      : undefined;
    return {
      'bytes per idle connection': Math.round((many - few) / (connections - first)),
      'µs per handshake': handshake,
      'µs per resumed handshake': resumed,
      'µs per echo': echo,
    };
  } finally {
    clients.kill();
    await server.stop();
  }
}

/** Does `work` so many times, {@link CONCURRENCY} at a time. */
async function repeat(count, work) {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

function serveClients() {
  const sockets = [];
  let session;
  const open = async ({ port, isSecure, session: resumed }) => {
    const options = { port: Number(port), host: '127.0.0.1', noDelay: true };
    const socket = isSecure
      ? connectSecurely({ ...options, rejectUnauthorized: false, session: resumed })
      : connectPlain(options);
    if (isSecure) socket.on('session', (ticket) => (session = ticket));
    await once(socket, isSecure ? 'secureConnect' : 'connect');
    if (resumed !== undefined && !socket.isSessionReused()) throw new Error('the session was not resumed');
    socket.write(upgradeRequest({ path: '/' }));
    const [head] = await once(socket, 'data');
    if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(head.toString());
    return socket;
  };
  const frame = maskedFrame(0x81, 'e'.repeat(64));
  const echoes = async (count) => {
    const each = Math.floor(count / ECHO_CONNECTIONS);
    await Promise.all(
      sockets.slice(0, ECHO_CONNECTIONS).map(async (socket) => {
        for (let echo = 0; echo < each; echo++) {
          socket.write(frame);
          await once(socket, 'data');
        }
      }),
    );
  };
  process.on('message', (message) => {
    const work = {
      open: () => repeat(message.count, async () => sockets.push(await open(message))),
      echo: () => echoes(message.count),
      resume: () =>
        repeat(message.count, async () => {
          const socket = await open({ ...message, isSecure: true, session });
          socket.destroy();
        }),
    };
    work[message.type]().then(
      () => process.send('done'),
      (error) => process.send(String(error)),
    );
  });
}
