/**
 * Clients of a server that speaks TLS, or not, for bench/tls.mjs: a child process that is told what to do by messages, and
 * answers `done` or what went wrong.
 */
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { maskedFrame, upgradeRequest } from './frames.mjs';

/**
 * @import { Socket } from 'node:net'
 *
 * @typedef {{ type: 'open', port: string, isSecure: boolean, count: number }
 *   | { type: 'echo', count: number }
 *   | { type: 'resume', port: string, count: number }} Command
 */

const CONCURRENCY = 32;
const ECHO_CONNECTIONS = 64;
const FRAME = maskedFrame(0x81, 'e'.repeat(64));

/** @type {Socket[]} */
const sockets = [];
/**
 * What was last offered for the next connection.
 * @type {Buffer | undefined}
 */
let session;

/** @param {string} port */
async function connectPlainly(port) {
  const socket = connectTcp({ port: Number(port), host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  return upgrade(socket);
}

/**
 * @param {string} port
 * @param {Buffer} [resumed] The session to resume.
 */
async function connectSecurely(port, resumed) {
  const target = { port: Number(port), host: '127.0.0.1', noDelay: true };
  const socket = connectTls({ ...target, rejectUnauthorized: false, session: resumed });
  socket.on('session', (ticket) => (session = ticket));
  await once(socket, 'secureConnect');
  if (resumed !== undefined && !socket.isSessionReused()) throw new Error('the session was not resumed');
  return upgrade(socket);
}

/** @param {Socket} socket */
async function upgrade(socket) {
  socket.write(upgradeRequest({ path: '/' }));
  const [head] = await once(socket, 'data');
  if (!head.toString('latin1').startsWith('HTTP/1.1 101')) throw new Error(head.toString());
  return socket;
}

/**
 * Each waits for an echo before it sends the next message.
 * @param {number} count
 */
async function echo(count) {
  const each = Math.floor(count / ECHO_CONNECTIONS);
  await Promise.all(
    sockets.slice(0, ECHO_CONNECTIONS).map(async (socket) => {
      for (let sent = 0; sent < each; sent++) {
        socket.write(FRAME);
        await once(socket, 'data');
      }
    }),
  );
}

/**
 * Does `work` so many times, {@link CONCURRENCY} at a time.
 * @param {number} count
 * @param {() => Promise<unknown>} work
 */
async function repeat(count, work) {
  let left = count;
  const worker = async () => {
    while (left-- > 0) await work();
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}

/** @param {Command} command */
async function obey(command) {
  if (command.type === 'open') {
    const connect = command.isSecure ? connectSecurely : connectPlainly;
    await repeat(command.count, async () => sockets.push(await connect(command.port)));
  } else if (command.type === 'echo') {
    await echo(command.count);
  } else {
    await repeat(command.count, async () => (await connectSecurely(command.port, session)).destroy());
  }
}

process.on('message', (/** @type {Command} */ command) => {
  obey(command).then(
    () => process.send?.('done'),
    (error) => process.send?.(String(error)),
  );
});
