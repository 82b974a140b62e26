import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@roost/testing';
import { Redis } from 'ioredis';
import { ChildProgram } from './child-program.mjs';

const RETRY_MS = 50;

/** @typedef {Awaited<ReturnType<typeof startRedis>>} RedisServer */

/** A real redis-server of our own on loopback, without persistence. */
export async function startRedis() {
  const port = await freePort();
  let program = startProgram(port);
  const client = new Redis({ port, host: '127.0.0.1' });
  // Refused connections until the server listens are expected; ioredis tries again.
  client.on('error', () => {});
  try {
    await Promise.race([client.ping(), program.failWhenEnded()]);
  } catch (error) {
    client.disconnect();
    throw error;
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    pid: program.pid,
    /** SIGKILL; another one is there on the same port when it answers. */
    async replace() {
      await program.kill();
      program = startProgram(port);
      while (!(await client.ping().catch(() => undefined))) await delay(RETRY_MS);
    },
    /** @type {(channel: string, payload: string) => Promise<number>} */
    publish: (channel, payload) => client.publish(channel, payload),
    /** All that it has. */
    keys: () => client.keys('*'),
    async stop() {
      client.disconnect();
      await program.stop();
    },
  };
}

/** @param {number} port */
function startProgram(port) {
  const program = new ChildProgram(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', ''],
    { command: 'redis-server' },
  );
  program.discardOutput();
  return program;
}
