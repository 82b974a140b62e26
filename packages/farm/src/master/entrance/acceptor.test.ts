import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import { closeDescriptor, listen, localAddress, Poller } from '@roost/poller';
import { eventually } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Counters } from '../../api/counters.ts';
import { Acceptor } from './acceptor.ts';
import { throwingGuard } from '../fixtures/throwing-guard.ts';

/** More than one batch of accept(2), in more than one burst. */
const MANY = 600;
const BURST = 20;

const silent = { debug() {}, info() {}, warn() {}, error() {}, fatal() {} };

describe('the acceptor', () => {
  let poller: Poller;
  let acceptor: Acceptor;
  let port: number;
  const clients: Socket[] = [];
  const fds: number[] = [];
  /** How many sockets had been accepted at the end of each batch, and when that was. */
  const batches: { readonly accepted: number; readonly at: number }[] = [];

  beforeEach(() => {
    const listener = listen({ host: '127.0.0.1', port: 0 });
    port = localAddress(listener).port;
    poller = new Poller({
      columns: { fds: new Int32Array(1), generations: new Int32Array(1), flags: new Uint16Array(1) },
      onEvents: () => acceptor.run(),
    });
    const hooks = {
      room: () => MANY,
      accepted: (accepted: Int32Array, count: number) => {
        fds.push(...accepted.subarray(0, count));
        batches.push({ accepted: fds.length, at: performance.now() });
        return count;
      },
    };
    acceptor = new Acceptor(poller, listener, 0, 0, hooks, new Counters(), silent, throwingGuard());
    acceptor.resume();
  });
  afterEach(() => {
    acceptor.close();
    poller.destroy();
    for (const client of clients.splice(0)) client.destroy();
    for (const fd of fds.splice(0)) closeDescriptor(fd);
    batches.length = 0;
  });

  const connect = (): Socket => {
    const client = createConnection({ host: '127.0.0.1', port });
    clients.push(client);
    return client;
  };

  it('accepts one that comes alone at once', async () => {
    await once(connect(), 'connect');
    await eventually(() => fds.length === 1);
    expect(batches).toHaveLength(1);
  });

  it('takes sockets that keep coming together: of each three batches that are not full, two are a millisecond apart', async () => {
    while (clients.length < MANY) {
      for (let count = 0; count < BURST; count++) connect();
      await new Promise(setImmediate);
    }
    await eventually(() => fds.length === MANY);
    const partial = batches.filter(
      ({ accepted }, index) => accepted - (batches[index - 1]?.accepted ?? 0) < 64,
    );
    for (let index = 2; index < partial.length; index++) {
      // Timers have the resolution of a millisecond, and may come a little early.
      expect(partial.at(index)!.at - partial.at(index - 2)!.at).toBeGreaterThan(0.9);
    }
  });
});
