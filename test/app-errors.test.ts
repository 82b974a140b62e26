import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startServer } from '@roost/testing';
import type { FarmProcess, TestClient } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  API_KEY,
  connect,
  connectMany,
  counter,
  endAfterTest,
  expectEcho,
  get,
  info,
} from './harness/system.ts';

const FAILING_APP = fileURLToPath(new URL('./apps/failing.js', import.meta.url));
/** Throws in a timer when a message says so. */
const THROWING_APP = fileURLToPath(new URL('./apps/printing.js', import.meta.url));

/** Sent by each client, if it is let. */
const MESSAGES = 5;

/** Echoes until it is closed or has had enough; returns how many came back. */
async function talk(client: TestClient, index: number): Promise<number> {
  for (let count = 0; count < MESSAGES; count++) {
    const text = `${index}:${count} ${'x'.repeat((index * 97 + count * 31) % 500)}`;
    client.send(text);
    try {
      expect((await client.nextMessage()).text).toBe(text);
    } catch (error) {
      if (!client.isClosed) throw error;
      return count;
    }
  }
  return MESSAGES;
}

describe('an application that fails', () => {
  let farm: FarmProcess;

  beforeAll(async () => {
    farm = await startServer([FAILING_APP, '--workers', '2', '--api-key', API_KEY, '--drain-ms', '0']);
  });

  afterAll(async () => {
    await farm.stop();
  });

  it('on every tenth message loses those connections with 1011, and every other gets every byte', async () => {
    const errorsBefore = await counter(farm, 'app_errors');
    const clients = await connectMany(farm, '/talk', 60);
    const counts = await Promise.all(clients.map(talk));
    const failed = clients.filter((_, index) => counts[index] !== MESSAGES);
    // A tenth of at least the 60 first messages, and of at most 300.
    expect(failed.length).toBeGreaterThanOrEqual(5);
    expect(failed.length).toBeLessThanOrEqual(30);
    for (const client of failed) {
      expect(await client.closed).toEqual({ code: 1011, reason: 'the application failed' });
    }
    for (const client of clients) {
      expect(client.isClosed).toBe(failed.includes(client));
      if (!client.isClosed) await client.roundTrip();
    }
    expect((await counter(farm, 'app_errors')) - errorsBefore).toBe(failed.length);
    const { workers } = await info(farm);
    expect(workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
    for (const hook of ['throws', 'rejects']) {
      await farm.log(
        ({ msg, error }) =>
          msg === 'app hook failed' && String(error).startsWith(`Error: the message hook ${hook}`),
      );
    }
  });

  it.each(['throw', 'reject'])('in the upgrade hook (%s) refuses that client with 500', async (how) => {
    const before = await counter(farm, 'refused_app_error');
    await expect(connect(farm, `/talk?${how}`)).rejects.toMatchObject({ status: 500 });
    expect((await counter(farm, 'refused_app_error')) - before).toBe(1);
  });

  it('in the upgrade hook by answering nonsense refuses that client with 500', async () => {
    await expect(connect(farm, '/talk?nonsense')).rejects.toMatchObject({ status: 500 });
  });

  it('in the open hook loses that connection with 1011', async () => {
    const client = await connect(farm, '/open-throws');
    expect((await client.closed).code).toBe(1011);
  });

  it('in the close hook harms nobody', async () => {
    const before = await counter(farm, 'app_errors');
    const [leaving, staying] = await connectMany(farm, '/close-throws', 2);
    expect((await leaving!.close(4000, 'bye')).code).toBe(4000);
    await expectEcho(staying!, 'still here');
    expect((await counter(farm, 'app_errors')) - before).toBe(1);
  });

  it.each(['throw', 'reject'])('in the http hook (%s) answers 500', async (how) => {
    expect((await get(farm, `/${how}`)).status).toBe(500);
    expect((await get(farm, '/health/live')).status).toBe(200);
  });
});

async function startThrowing(...args: readonly string[]): Promise<FarmProcess> {
  const common = ['--workers', '2', '--api-key', API_KEY, '--drain-ms', '0'];
  const farm = await startServer([THROWING_APP, ...common, ...args]);
  endAfterTest(() => farm.stop());
  return farm;
}

describe('an exception outside of hooks', () => {
  it('is in the log with its stack, and ends its worker only, which another replaces', async () => {
    const farm = await startThrowing();
    const clients = await connectMany(farm, '/', 8);
    clients[0]!.send('throw');
    expect((await clients[0]!.closed).code).toBe(1006);
    const line = await farm.log(({ msg }) => msg === 'uncaught exception: the worker ends');
    expect(line).toMatchObject({ level: 'fatal', worker: expect.any(Number) });
    expect(line['error']).toMatch(/^Error: a timer threw\n +at .*printing\.js/);
    const died = await farm.log(({ msg }) => msg === 'worker died');
    expect(died).toMatchObject({ worker: line['worker'], code: 1, signal: null, connections: 4 });
    const isNew = ({ msg, worker, pid }: Record<string, unknown>): boolean =>
      msg === 'worker ready' && worker === line['worker'] && pid !== died['pid'];
    await farm.log(isNew);
    const open = clients.filter(({ isClosed }) => !isClosed);
    expect(open).toHaveLength(4);
    for (const client of open) await expectEcho(client, 'still here');
    await expectEcho(await connect(farm, '/'), 'a new one');
    // It was not killed, and nothing of it is raw text on stderr.
    expect(farm.logs.filter(({ msg }) => msg === 'killing worker')).toEqual([]);
    expect(farm.otherOutput).toBe('');
    const { counters } = await info(farm);
    expect(counters).toMatchObject({ worker_kills: 0, worker_restarts: 1, app_errors: 1 });
  });

  it('is only logged, and disconnects nobody, with uncaughtException: log', async () => {
    const farm = await startThrowing('--uncaught-exception', 'log');
    const client = await connect(farm, '/');
    await expectEcho(client, 'throw');
    const line = await farm.log(
      ({ msg, hook }) => msg === 'app hook failed' && hook === 'uncaught exception',
    );
    expect(line['error']).toMatch(/^Error: a timer threw\n +at /);
    await expectEcho(client, 'still here');
    expect(await counter(farm, 'app_errors')).toBe(1);
  });

  it('that is a rejection which nobody handles is only logged', async () => {
    const farm = await startThrowing();
    const client = await connect(farm, '/');
    await expectEcho(client, 'reject');
    await farm.log(({ msg, hook }) => msg === 'app hook failed' && hook === 'unhandled rejection');
    await expectEcho(client, 'still here');
  });
});

describe('a worker that is killed by others', () => {
  it('is not said to be killed by the master', async () => {
    const farm = await startServer(['--workers', '2', '--api-key', API_KEY, '--drain-ms', '0']);
    endAfterTest(() => farm.stop());
    for (let round = 0; round < 3; round++) {
      const ready = farm.logs.findLast(({ msg, worker }) => msg === 'worker ready' && worker === 0);
      const from = farm.logs.length;
      process.kill(Number(ready!['pid']), 'SIGKILL');
      const died = await farm.log(({ msg }) => msg === 'worker died', from);
      expect(died).toMatchObject({ pid: ready!['pid'], signal: 'SIGKILL' });
      await farm.log(({ msg, worker }) => msg === 'worker ready' && worker === 0, from);
    }
    expect(farm.logs.filter(({ msg }) => msg === 'killing worker')).toEqual([]);
    expect((await info(farm)).counters).toMatchObject({ worker_kills: 0, worker_restarts: 3 });
  });
});

describe('an application that throws when it is imported', () => {
  it('keeps the farm from starting, with one sentence and an exit code', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'roost-app-errors-'));
    endAfterTest(async () => rmSync(folder, { recursive: true }));
    const app = join(folder, 'broken.mjs');
    writeFileSync(app, "throw new Error('the database is not there');\nexport default { open() {} };\n");
    const start = startServer([app, '--workers', '2']);
    await expect(start).rejects.toThrow(/The server ended with 70 before/);
    await expect(start).rejects.toThrow(
      `The application ${app} cannot be loaded: Error: the database is not there`,
    );
  });
});

describe('an application whose import never ends', () => {
  it.each([
    ['waits', 'await new Promise(() => undefined);'],
    ['loops', 'for (;;);'],
  ])('because it %s keeps the farm from starting, with one sentence that names it', async (_, statement) => {
    const folder = mkdtempSync(join(tmpdir(), 'roost-app-errors-'));
    endAfterTest(async () => rmSync(folder, { recursive: true }));
    const app = join(folder, 'endless.mjs');
    writeFileSync(app, `${statement}\nexport default { open() {} };\n`);
    const start = startServer([app, '--workers', '2', '--app-start-timeout-ms', '1000']);
    await expect(start).rejects.toThrow(/The server ended with 70 before/);
    await expect(start).rejects.toThrow(
      `The application ${app} was not loaded within 1000 ms. Look for an import, a top-level await`,
    );
  });
});
