/**
 * What TLS costs the server: `npm run build && node bench/tls.mjs [connections]`. Prints, for plain TCP and for TLS with
 * two kinds of certificate, the memory of an idle connection (the slope from a fifth of the connections to all of them,
 * proportional set size of every process of the server), and its CPU for a handshake (accept, hand-off and 101
 * included), for a handshake that resumes a session, and for a 64-byte echo. The clients are a process of their own.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeCertificate } from '@roost/testing';
import { cpuMs, memoryOf, waitUntilQuiet } from './lib/processes.mjs';
import { startServer } from './lib/servers.mjs';

/**
 * @import { CertificateOptions } from '@roost/testing'
 * @import { Command } from './clients/tls-clients.mjs'
 */

const CLIENTS = fileURLToPath(new URL('./clients/tls-clients.mjs', import.meta.url));
const ECHOES = 40_000;
const RESUMPTIONS = 2000;

/** @type {readonly { name: string, options: CertificateOptions | undefined }[]} */
const KINDS = [
  { name: 'plain', options: undefined },
  { name: 'TLS, P-256', options: {} },
  { name: 'TLS, RSA 2048', options: { rsaBits: 2048 } },
];

await measureAll(Number(process.argv[2] ?? 5000));

/** @param {number} connections */
async function measureAll(connections) {
  const rows = [];
  for (const { name, options } of KINDS) {
    const folder = mkdtempSync(join(tmpdir(), 'roost-bench-tls-'));
    try {
      rows.push({ name, ...(await measure(connections, options, folder)) });
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  console.table(rows);
}

/**
 * @param {number} connections
 * @param {CertificateOptions | undefined} certificateOptions
 * @param {string} folder
 */
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
  const clients = fork(CLIENTS);
  /** @param {Command} command */
  const tell = async (command) => {
    clients.send(command);
    const [answer] = await once(clients, 'message');
    if (answer !== 'done') throw new Error(`the clients failed: ${answer}`);
  };
  /**
   * µs for each.
   * @param {number} count
   * @param {Command} command
   */
  const costOf = async (count, command) => {
    const before = cpuMs(server.pids);
    await tell(command);
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
