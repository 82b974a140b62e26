import { afterEach, describe, expect, it } from 'vitest';
import { defineApp, type App, type WorkerContext } from '../api/app.ts';
import type { FarmInfo } from '../api/info.ts';
import { appsOf } from './app/load-app.ts';
import { poll, WorkerHarness } from './fixtures/worker-harness.ts';

const FARM_INFO: FarmInfo = {
  version: 'test',
  uptimeMs: 1,
  connections: 0,
  subscriptions: 0,
  workers: [],
  unanswered: [],
  broker: { kind: 'memory', state: 'ready', reason: '' },
  readiness: { ready: true, reasons: [] },
  counters: {},
};

let harness: WorkerHarness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

async function start(app: App = {}): Promise<{ harness: WorkerHarness; context: WorkerContext }> {
  harness = await WorkerHarness.start(app, { appOptions: { colour: 'red' } });
  const { context } = harness;
  if (context === undefined) expect.unreachable();
  return { harness, context };
}

describe('a worker', () => {
  it('is ready when its apps are loaded, says what it takes, and reports', async () => {
    const { harness: worker } = await start();
    await poll(() => worker.said).toContainEqual({
      type: 'ready',
      capacity: 64,
      cpu: null,
      apps: [{ name: 'app', version: null }],
    });
    const report = await worker.report();
    expect(report).toMatchObject({ connections: 0, subscriptions: 0, broker: { state: 'ready' } });
  });

  it('reports every second', async () => {
    const { harness: worker } = await start();
    await poll(() => worker.said.filter(({ type }) => type === 'report').length).toBe(3);
  });

  it('tells the master how many sockets it has released, each counted once', async () => {
    const { harness: worker } = await start();
    for (let round = 1; round <= 3; round++) {
      const client = await worker.connect();
      client.writeText('nonsense\r\n\r\n');
      await client.closed;
      await poll(() => worker.released).toBe(round);
    }
  });

  it('ends sockets for which its table has no row, and says so in the log', async () => {
    harness = await WorkerHarness.start({}, { capacity: 1, reservedConnections: 1 });
    const clients = [await harness.connect(), await harness.connect()];
    const third = await harness.connect();
    expect(await third.closed).toEqual({ errorCode: undefined });
    expect(harness.logs.map(({ message }) => message)).toContain('connection table is full');
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe('the context of an app', () => {
  it('has the options, the index and the readiness that the master told', async () => {
    const { harness: worker, context } = await start();
    expect(context.worker).toBe(0);
    expect(context.options).toEqual({ colour: 'red' });
    expect(context.readiness()).toEqual({ ready: false, reasons: ['the farm is starting'] });
    worker.send({ type: 'readiness', readiness: { ready: true, reasons: [] } });
    await poll(() => context.readiness()).toEqual({ ready: true, reasons: [] });
  });

  it('counts what the app declares', async () => {
    const { harness: worker, context } = await start();
    context.count('app_orders');
    context.count('app_orders');
    expect((await worker.report()).counters['app_orders']).toBe(2);
  });

  it('asks the master, and gives each its own answer', async () => {
    const { harness: worker, context } = await start();
    const channels = context.channels('news.*');
    const info = context.info();
    await poll(() => worker.said.filter(({ type }) => type === 'query').length).toBe(2);
    const [first, second] = worker.said.filter((message) => message.type === 'query');
    expect([first?.question, first?.pattern, second?.question]).toEqual(['channels', 'news.*', 'info']);
    worker.send({ type: 'answer', id: second?.id ?? 0, answer: { kind: 'info', info: FARM_INFO } });
    worker.send({
      type: 'answer',
      id: 999,
      answer: { kind: 'channels', farm: { channels: [], unanswered: [] } },
    });
    const farm = { channels: [{ channel: 'news.a', subscribers: 2 }], unanswered: [3] };
    worker.send({ type: 'answer', id: first?.id ?? 0, answer: { kind: 'channels', farm } });
    expect(await channels).toEqual(farm);
    expect(await info).toEqual(FARM_INFO);
  });

  it('does not ask for channels by what is no glob, at which every worker would fail', async () => {
    const { harness: worker, context } = await start();
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what URLSearchParams.get() answers to JavaScript.
    const missing = null as unknown as string;
    await expect(context.channels(missing)).rejects.toThrow(
      new TypeError('channels() takes a glob, or nothing for all channels, got null'),
    );
    void context.channels().catch(() => undefined);
    await poll(() => worker.said.filter(({ type }) => type === 'query')).toMatchObject([{ pattern: '*' }]);
  });

  it('rejects questions that wait when the worker stops', async () => {
    const { harness: worker, context } = await start();
    const asked = context.info();
    const rejection = expect(asked).rejects.toMatchObject({ code: 'FARM_ERR_STOPPED' });
    await worker.stop();
    await rejection;
  });

  it('rejects the question behind a thousand that wait', async () => {
    const { harness: worker, context } = await start();
    const waiting = Array.from({ length: 1000 }, () => context.info().catch((error: unknown) => error));
    await expect(context.info()).rejects.toMatchObject({ code: 'FARM_ERR_QUERY' });
    await worker.stop();
    for (const outcome of await Promise.all(waiting))
      expect(outcome).toMatchObject({ code: 'FARM_ERR_STOPPED' });
  });

  it('publishes like a connection', async () => {
    const { harness: worker, context } = await start({
      upgrade: () => ({ kind: 'accept', channels: ['news'] }),
    });
    const client = await worker.client();
    await context.publish('news', 'from nobody');
    expect((await client.nextMessage()).text).toBe('from nobody');
    await expect(context.publish('', 'x')).rejects.toMatchObject({ code: 'FARM_ERR_CHANNEL_NAME' });
    await client.close();
  });
});

describe('the default export of an app module', () => {
  const app = defineApp({ open: () => undefined });

  it.each([
    ['an app', app],
    ['several', [app]],
    ['a function that makes one', () => app],
    ['an asynchronous function that makes several', async () => Promise.resolve([app])],
  ])('may be %s', async (_what, exported) => {
    expect(await appsOf(exported, 'file:///app.js', (await start()).context)).toEqual([app]);
  });

  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a number', 7],
    ['an object without a hook', { onMessage: () => undefined }],
    ['a list with something else', [app, 'app']],
    ['a function that makes nothing', () => undefined],
  ])('must not be %s', async (_what, exported) => {
    await expect(appsOf(exported, 'file:///app.js', (await start()).context)).rejects.toThrow(
      'file:///app.js must have a default export made by defineApp(',
    );
  });
});
