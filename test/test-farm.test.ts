import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { startTestFarm, TestingError, UpgradeRefusedError } from '@roost/farm/testing';
import type { TestFarm, TestFarmOptions } from '@roost/farm/testing';
import { eventually, livingMembers, patient, spawnGroup } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT } from './documents/snippets.ts';
import { endAfterTest } from './harness/system.ts';

const APP = `import { accept, defineApp, reject } from '@roost/farm';
export default defineApp((context) => ({
  upgrade: ({ path, query }) =>
    path === '/closed' ? reject(403, 'members only') : accept({ channels: ['room'], attachment: query.get('nick') }),
  open: (connection) => void connection.send(JSON.stringify([context.worker, context.options, process.env['GREETING']])),
  message(connection, data) {
    if (String(data) === 'throw') throw new Error('as the test wants');
    connection.send(data);
  },
  close: (connection, code) => console.log(connection.attachment, 'left with', code),
  stop: () => console.log('worker stopped'),
}));
`;

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'roost-test-farm-'));
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  await writeFile(join(folder, 'app.js'), APP);
});

afterAll(() => rm(folder, { recursive: true }));

async function start(options: TestFarmOptions = {}, app = 'app.js'): Promise<TestFarm> {
  const deadlineMs = patient(10_000);
  const farm = await startTestFarm(join(folder, app), {
    deadlineMs,
    startDeadlineMs: deadlineMs,
    ...options,
  });
  endAfterTest(() => farm.stop());
  return farm;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a test farm', () => {
  it('runs the app in two workers, with its options and its environment', async () => {
    const farm = await start({ appOptions: { a: [1] }, env: { GREETING: 'hello' } });
    // Placement is by least connections: one for each worker.
    const greetings = new Set<string>();
    for (const client of [await farm.connect(), await farm.connect()]) {
      greetings.add((await client.next()).text);
    }
    expect(greetings).toEqual(new Set(['[0,{"a":[1]},"hello"]', '[1,{"a":[1]},"hello"]']));
  });

  it('publishes to the clients of every worker, text as text and other bytes as binary', async () => {
    const farm = await start();
    const clients = [await farm.connect(), await farm.connect()];
    await farm.publish('room', 'hello');
    await farm.publish('room', Buffer.from('00ff', 'hex'));
    for (const client of clients) {
      expect(await client.nextWhere(({ text }) => text === 'hello')).toMatchObject({ isBinary: false });
      expect(await client.next()).toMatchObject({ data: Buffer.from('00ff', 'hex'), isBinary: true });
    }
    await expect(farm.publish('', 'hello')).rejects.toMatchObject({ code: 'TESTING_PUBLISH_FAILED' });
  });

  it('says what had come when a message does not come in time, and where it was waited for', async () => {
    const client = await (await start()).connect();
    client.send('something else');
    const error = await client
      .nextWhere(() => false, { deadlineMs: 200 })
      .then(
        () => expect.unreachable(),
        (reason: unknown) => reason,
      );
    expect(error).toMatchObject({ code: 'TESTING_DEADLINE' });
    expect(String(error)).toMatch(
      /^TestingError: Within 200 ms it did not come true that the wanted message arrives/,
    );
    client.send('first');
    client.send('second');
    await client.roundTrip();
    expect(client.waiting.map(({ text }) => text)).toEqual(['first', 'second']);
    const told = await client.whenClosed({ deadlineMs: 1 }).catch((reason: unknown) => reason);
    expect(String(told)).toContain('the connection is open, and 2 messages wait ("first", "second")');
    expect(told).toHaveProperty('stack', expect.stringContaining('test-farm.test.ts'));
  });

  it('runs an app in TypeScript as roost start does, with what it imports by the name of the compiled file', async () => {
    await writeFile(join(folder, 'words.ts'), "export enum Word { Hello = 'hello' }\n");
    await writeFile(
      join(folder, 'typed.ts'),
      `import { accept, defineApp } from '@roost/farm';
import { Word } from './words.js';
export default defineApp({
  upgrade: () => accept({ attachment: Word.Hello as string }),
  open: (connection) => void connection.send(connection.attachment),
});
`,
    );
    const farm = await start({}, 'typed.ts');
    expect((await (await farm.connect()).next()).text).toBe('hello');
  });

  it('shows why the app lets nobody in', async () => {
    const farm = await start();
    const refused = farm.connect('/closed');
    await expect(refused).rejects.toThrow(UpgradeRefusedError);
    await expect(refused).rejects.toMatchObject({ status: 403, body: 'members only' });
  });

  it('shows a hook that throws: the close, the counter and the log', async () => {
    const farm = await start();
    const client = await farm.connect('/?nick=ada');
    client.send('throw');
    expect(await client.whenClosed()).toMatchObject({ code: 1011 });
    await client.next();
    await expect(client.next()).rejects.toMatchObject({ code: 'TESTING_CLOSED' });
    expect((await farm.info()).counters['app_errors']).toBe(1);
    await eventually(() => farm.logs.some(({ message }) => message === 'app hook failed'));
    expect(JSON.stringify(farm.logs)).toContain('as the test wants');
  });

  it('rejects with the reason when the app cannot be loaded or an option is wrong', async () => {
    const startDeadlineMs = patient(10_000);
    await expect(startTestFarm(join(folder, 'missing.js'), { startDeadlineMs })).rejects.toThrow(
      /^The farm did not start: .*Cannot find module '\S*missing\.js'/,
    );
    const wrong = startTestFarm(join(folder, 'app.js'), { workers: 0, startDeadlineMs });
    await expect(wrong).rejects.toThrow(TestingError);
    await expect(wrong).rejects.toThrow('workers must be an integer from 1 to 1024, got 0');
  });

  it('stops as in production: clients get 1001, hooks run, and no process is left', async () => {
    const farm = await start();
    const client = await farm.connect('/?nick=ada');
    const { workers } = await farm.info();
    expect(workers).toHaveLength(2);
    await Promise.all([farm.stop(), farm.stop()]);
    expect(await client.whenClosed()).toMatchObject({ code: 1001 });
    expect(farm.output).toContain('ada left with 1001\n');
    expect(farm.output.match(/worker stopped\n/g)).toHaveLength(2);
    expect(workers.filter(({ pid }) => isAlive(pid))).toEqual([]);
    await expect(farm.connect()).rejects.toMatchObject({ code: 'TESTING_STOPPED' });
  });

  it.each([
    ['is killed', 'SIGKILL', [null, 'SIGKILL']],
    ['ends without stopping it', undefined, [0, null]],
  ] as const)('ends with a test process that %s', async (_, signal, status) => {
    const built = new URL('../packages/farm/dist/testing/index.js', import.meta.url);
    const program = `import { startTestFarm } from ${JSON.stringify(built.href)};
const farm = await startTestFarm(${JSON.stringify(pathToFileURL(join(folder, 'app.js')).href)}, { startDeadlineMs: ${patient(10_000)} });
await farm.connect();
console.log('started');
${signal === undefined ? '' : 'setInterval(() => undefined, 1000);'}`;
    const child = spawnGroup(process.execPath, ['--input-type=module', '-e', program]);
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    const group = child.pid ?? -1;
    if (signal !== undefined) {
      // The test process, its master and two workers.
      expect(livingMembers(group)).toHaveLength(4);
      child.kill(signal);
    }
    expect(await ended).toEqual(status);
    await eventually(() => livingMembers(group).length === 0, { what: 'the farm has ended, too' });
  });
});
