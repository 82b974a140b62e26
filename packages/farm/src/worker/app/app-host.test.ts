import { afterEach, describe, expect, it } from 'vitest';
import type { TestClient } from '@roost/testing';
import { accept, type App } from '../../api/app.ts';
import { poll, textFrame, upgradeHead, WorkerHarness } from '../fixtures/worker-harness.ts';
import { MoveRig } from '../moving/fixtures/move-rig.ts';

let harness: WorkerHarness;
afterEach(() => harness.stop());

const closes: string[] = [];

async function start(app: App | readonly App[]): Promise<void> {
  closes.length = 0;
  harness = await WorkerHarness.start(app);
}

/** Fails on every tenth message, echoes the others. */
function failingAt(fail: () => void | Promise<void>): App {
  return {
    upgrade: () => accept(),
    message(connection, data) {
      if (Number(data) % 10 === 0) return fail();
      connection.send(String(data));
      return undefined;
    },
    close: (_connection, code) => void closes.push(`close ${code}`),
  };
}

describe('a hook that fails on every tenth message', () => {
  it.each([
    ['throws', () => throwing('sync')],
    ['rejects', async () => Promise.reject(new Error('async'))],
    [
      'answers a foreign promise that rejects',
      () =>
        // oxlint-disable-next-line unicorn/no-thenable, typescript/no-unsafe-type-assertion -- promises of other libraries.
        ({ then: (_: unknown, no: (error: Error) => void) => no(new Error('thenable')) }) as Promise<void>,
    ],
    ['throws what is no error', () => throwing('plain')],
  ])('(%s) closes its own connections with 1011, and all others get every byte', async (_how, fail) => {
    await start(failingAt(fail));
    const clients = await Promise.all(Array.from({ length: 20 }, () => harness.client()));
    const failing = clients.filter((_client, index) => index % 2 === 0);
    const others = clients.filter((_client, index) => index % 2 === 1);
    for (let message = 1; message <= 30; message++) {
      for (const client of others) client.send(String(message % 10 === 0 ? message + 0.5 : message));
      if (message <= 10) for (const client of failing) client.send(String(message));
    }
    const expected = Array.from({ length: 30 }, (_, index) =>
      String((index + 1) % 10 === 0 ? index + 1.5 : index + 1),
    );
    for (const client of others) expect(await received(client, 30)).toEqual(expected);
    for (const client of failing) {
      expect(await received(client, 9)).toEqual(expected.slice(0, 9));
      expect(await client.closed).toEqual({ code: 1011, reason: 'the application failed' });
    }
    expect(await harness.count('app_errors')).toBe(10);
    expect(harness.logs.filter(({ fields }) => fields['hook'] === 'message')).toHaveLength(10);
    await poll(() => closes).toEqual(Array.from({ length: 10 }, () => 'close 1011'));
    for (const client of others) await client.close();
  });
});

describe('a failing hook', () => {
  it.each([
    ['throws', () => throwing('open')],
    ['rejects', async () => Promise.reject(new Error('open'))],
  ])('open that %s closes with 1011, and close follows', async (_how, open) => {
    await start({
      upgrade: () => accept(),
      open,
      close: (_connection, code) => void closes.push(`close ${code}`),
    });
    const client = await harness.client();
    expect((await client.closed).code).toBe(1011);
    await poll(() => closes).toEqual(['close 1011']);
    expect(await harness.count('app_errors')).toBe(1);
  });

  it.each([
    ['throws', () => throwing('close')],
    ['rejects', async () => Promise.reject(new Error('close'))],
  ])('close that %s is counted, and the row is given back', async (_how, close) => {
    await start({ upgrade: () => accept(), close });
    const client = await harness.client();
    await client.close();
    await harness.counts('app_errors', 1);
    await poll(() => harness.released).toBe(1);
    expect((await harness.report()).connections).toBe(0);
  });

  it('that rejects after its connection has gone closes nobody else in that row', async () => {
    let fail: (error: Error) => void = nothing;
    let isFirst = true;
    await start({
      upgrade: () => accept(),
      message(connection, data) {
        if (isFirst) {
          isFirst = false;
          return new Promise((_resolve, reject) => {
            fail = reject;
          });
        }
        connection.send(data);
        return undefined;
      },
    });
    const client = await harness.client();
    client.send('slow');
    await harness.counts('messages_received', 1);
    await client.close();
    await poll(() => harness.released).toBe(1);
    const next = await harness.client();
    fail(new Error('too late'));
    await harness.counts('app_errors', 1);
    next.send('alive');
    expect((await next.nextMessage()).text).toBe('alive');
    await next.close();
  });

  it('that ended its connection before it waited keeps the next one of that row from nothing', async () => {
    let isFirst = true;
    const app: App = {
      upgrade: () => accept(),
      async open(connection) {
        if (!isFirst) return;
        isFirst = false;
        connection.terminate();
        await Promise.resolve();
      },
    };
    const rig = await MoveRig.start([app, app], { handoverGraceMs: 600_000 });
    harness = rig.source;
    try {
      const first = await rig.source.connect();
      first.writeText(upgradeHead());
      await first.closed;
      await rig.source.open();
      rig.begin();
      expect((await rig.ended())[0]).toMatchObject({ reason: 'done', moved: 1, left: 0 });
    } finally {
      await rig.stop();
    }
  });

  it('does not write more than 50 lines a second into the log', async () => {
    await start({ upgrade: () => accept(), message: () => throwing('again') });
    const clients = await Promise.all(Array.from({ length: 64 }, () => harness.open()));
    await poll(async () => (await harness.report()).connections).toBe(64);
    for (const client of clients) client.write(textFrame('x'));
    await harness.counts('app_errors', 64);
    expect(harness.logs.length + (await harness.count('logs_suppressed'))).toBeGreaterThanOrEqual(64);
    expect(harness.logs.length).toBeLessThanOrEqual(102);
    for (const client of clients) await client.close();
  });
});

describe('apps', () => {
  it('are known to other workers by different keys, whatever their names', async () => {
    await start([{}, ...['chat', 'chat', 'chat 2', 'app', 'x'.repeat(60)].map((name) => ({ name }))]);
    await poll(() => harness.said.filter(({ type }) => type === 'ready').length).toBe(1);
    const [ready] = harness.said.filter((message) => message.type === 'ready');
    const keys = ready?.apps.map(({ name }) => name);
    expect(keys).toEqual(['app', 'chat', 'chat 2', 'chat 2 2', 'app 2', 'x'.repeat(50)]);
  });
});

describe('an app that stops', () => {
  it('is asked after its connections have ended, and its error is only logged', async () => {
    const order: string[] = [];
    await start([
      {
        upgrade: () => accept(),
        close: () => void order.push('close'),
        stop() {
          order.push('stop');
          throwing('stop');
        },
      },
      { stop: async () => void order.push('second stop') },
    ]);
    await harness.open();
    await harness.stop();
    expect(order).toEqual(['close', 'stop', 'second stop']);
  });
});

function throwing(message: string): never {
  // Some throw strings.
  // oxlint-disable-next-line no-throw-literal
  throw message === 'plain' ? message : new Error(message);
}

async function received(client: TestClient, count: number): Promise<string[]> {
  const texts: string[] = [];
  while (texts.length < count) texts.push((await client.nextMessage()).text);
  return texts;
}

function nothing(): void {
  // Replaced before it is called.
}
