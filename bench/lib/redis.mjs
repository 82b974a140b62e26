import { freePort } from '@roost/testing';
import { Redis } from 'ioredis';
import { ChildProgram } from './child-program.mjs';

/** @typedef {Awaited<ReturnType<typeof startRedis>>} RedisServer */

/** A real redis-server of our own on loopback, without persistence. */
export async function startRedis() {
  const port = await freePort();
  const program = new ChildProgram(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', ''],
    {
      command: 'redis-server',
    },
  );
  program.discardOutput();
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
    /** @type {(channel: string, payload: string) => Promise<number>} */
    publish: (channel, payload) => client.publish(channel, payload),
    async stop() {
      client.disconnect();
      await program.stop();
    },
  };
}
