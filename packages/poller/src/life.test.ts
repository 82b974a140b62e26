import { once } from 'node:events';
import net from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { program, run } from './fixtures/child.ts';

describe('a process with a poller', () => {
  it.each([
    'loaded',
    'created',
    'watching',
    'in a callback',
    'with kept rows',
    'with an exception',
    'destroyed',
    'destroyed and exiting at once',
    'collected',
    'after a failed creation',
  ])('ends cleanly: %s', async (stage) => {
    const ending = await run(process.execPath, ['--expose-gc', program('stages.mjs'), stage]);
    expect(ending).toEqual({ code: 0, signal: null, output: '' });
  });

  it('is kept alive by the poller until destroy', async () => {
    const ending = await run(process.execPath, [program('stages.mjs'), 'alive through the poller alone']);
    // The timer that speaks to it does not hold the process; only the poller can have waited for it.
    expect(ending).toEqual({ code: 0, signal: null, output: 'heard\n' });
  });

  it('dies of an exception in onEvents as of any other that nobody catches', async () => {
    const ending = await run(process.execPath, [
      program('stages.mjs'),
      'with an exception that nobody catches',
    ]);
    expect(ending).toMatchObject({ code: 1, signal: null });
    expect(ending.output).toContain('Error: thrown by onEvents');
  });
});

describe('two environments', () => {
  const threads: Worker[] = [];
  const clients: net.Socket[] = [];
  afterEach(async () => {
    for (const client of clients.splice(0)) client.destroy();
    await Promise.all(threads.splice(0).map((thread) => thread.terminate()));
  });

  async function start(workerData: object): Promise<{ thread: Worker; client: net.Socket }> {
    const thread = new Worker(program('thread.mjs'), { workerData });
    threads.push(thread);
    const [{ port }] = await once(thread, 'message');
    const client = net.connect(port, '127.0.0.1');
    client.on('error', () => {});
    clients.push(client);
    await once(client, 'connect');
    return { thread, client };
  }

  it('do not know of each other', async () => {
    const pairs = [await start({}), await start({})];
    for (const [index, { client }] of pairs.entries()) {
      client.write(`to ${index}`);
      expect(String((await once(client, 'data'))[0])).toBe(`to ${index}`);
    }
    const [first, second] = [pairs.at(0)!, pairs.at(1)!];
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- threads have no origin
    first.thread.postMessage('end');
    expect(await once(first.thread, 'exit')).toEqual([0]);
    second.client.write('still there?');
    expect(String((await once(second.client, 'data'))[0])).toBe('still there?');
  });

  it('can be terminated with an open poller', async () => {
    const { thread, client } = await start({});
    client.write('x');
    await once(client, 'data');
    expect(await thread.terminate()).toBe(1);
  });

  it('can be terminated while the poller is busy', async () => {
    const { thread, client } = await start({});
    client.on('data', (chunk) => client.write(chunk));
    client.write(Buffer.alloc(16_384));
    await once(client, 'data');
    expect(await thread.terminate()).toBe(1);
  });

  it('can call process.exit in the callback', async () => {
    const { thread, client } = await start({ exitsInCallback: true });
    client.write('x');
    expect(await once(thread, 'exit')).toEqual([0]);
  });
});
