import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import {
  eventually,
  freePort,
  livingMembers,
  patient,
  redisIsInstalled,
  spawnGroup,
  TestClient,
} from '@roost/testing';
import { describe, expect, it } from 'vitest';
import type { Program, ProgramWay } from './documents/programs.ts';
import { PUSHER_PROGRAMS } from './documents/pusher-programs.ts';
import { ofLanguage, ROOT, snippet } from './documents/snippets.ts';
import { SECRET, stageForAll, startFarm, token } from './documents/stage.ts';
import { API_KEY, connect, get } from './harness/system.ts';

const execute = promisify(execFile);
const stage = stageForAll();

/** The app of docs/guide/testing-your-app.md, beside one of its tests. */
async function addChat(program: Program): Promise<void> {
  const chat = await stage().programs.add(snippet(TESTING, '// chat.js'));
  await chat.complaints();
  await program.write('chat.js', await readFile(await chat.runnable(), 'utf8'));
}

/** Runs a test in its runner: what that says. No process of it may be left. */
async function outputOf(args: readonly string[]): Promise<string> {
  const child = spawnGroup(process.execPath, args);
  const ended = once(child, 'close');
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  expect(await ended, stdout).toEqual([0, null]);
  expect(livingMembers(child.pid ?? -1)).toEqual([]);
  return stdout;
}

/** Options of a test farm on a busy machine. */
const SLOW_START = `{ deadlineMs: ${patient(10_000)}, startDeadlineMs: ${patient(10_000)} }`;

const TESTING = 'docs/guide/testing-your-app.md';
const EMBEDDING = 'docs/guide/embedding.md';

/** Pages whose blocks are no programs: they are made from the declarations of types (test/api-reference.test.ts). */
const SIGNATURES = new Set(['docs/reference/api.md', 'docs/reference/api-testing.md']);

const PROGRAMS: readonly ProgramWay[] = [
  {
    document: 'README.md',
    having: '// app.ts',
    run: async (program) => {
      const server = await startFarm([await program.runnable()]);
      const client = await connect(server, '/');
      expect((await client.nextMessage()).text).toBe('welcome');
      client.send('hello');
      expect((await client.nextMessage()).text).toBe('hello');
    },
  },
  {
    document: 'docs/guide/getting-started.md',
    having: "from 'ws'",
    run: async (program) => {
      const path = await program.runnable({ 'localhost:8080': `127.0.0.1:${stage().farm.port}` });
      const child = spawnGroup(process.execPath, [path]);
      const ended = once(child, 'close');
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      await eventually(async () => {
        await publish('sports', 'hello from the guide');
        return stdout.includes('hello from the guide\n');
      });
      child.kill();
      await ended;
    },
  },
  ...["await fetch('http://localhost:8080/api/publish'", "from 'ioredis'"].map((having): ProgramWay => ({
    document: 'docs/guide/publishing.md',
    having,
    run: async (program) => {
      const { farm, redis } = stage();
      if (having.includes('ioredis') && redis === undefined) return;
      const client = await connect(farm, '/plain?channel=news');
      const path = await program.runnable(
        having.includes('ioredis')
          ? { 'localhost:6379': `127.0.0.1:${redis?.port}` }
          : { 'localhost:8080': `127.0.0.1:${farm.port}` },
      );
      await execute(process.execPath, [path], { env: { ROOST_API_KEY: API_KEY } });
      expect((await client.nextMessage()).text).toBe('hello');
    },
  })),
  ...['Fastify', 'Express'].map((framework): ProgramWay => ({
    document: EMBEDDING,
    having: `from: '${framework}'`,
    run: async (program) => {
      const server = await startFarm([await program.runnable()]);
      const hello = await get(server, '/hello');
      expect([hello.status, JSON.parse(hello.body)]).toEqual([200, { from: framework, worker: 0 }]);
      const client = await connect(server, '/live?channel=news');
      const said = await fetch(`http://127.0.0.1:${server.port}/say/news`, {
        method: 'POST',
        headers: {
          'Content-Type': framework === 'Fastify' ? 'application/json' : 'text/plain',
          Connection: 'close',
        },
        body: '"hello"',
      });
      expect(said.status).toBe(204);
      expect((await client.nextMessage()).text).toBe('"hello"');
      expect((await get(server, '/nothing')).status).toBe(404);
    },
  })),
  {
    document: EMBEDDING,
    having: '// program.js',
    run: async (program) => {
      const [farmPort, webPort] = [await freePort(), await freePort()];
      await program.write('app.js', "export default { upgrade: () => ({ kind: 'accept' }) };");
      const path = await program.runnable({
        'port: 8080': `port: ${farmPort}, drainMs: 0`,
        'listen(3000,': `listen(${webPort},`,
      });
      const child = spawnGroup(process.execPath, [path]);
      const ended = once(child, 'close');
      const origin = `http://127.0.0.1:${webPort}`;
      expect(await eventually(() => answered(`${origin}/`), { deadlineMs: 30_000 })).toBe(
        'A page of Express',
      );
      expect(await answered(`${origin}/ready`)).toBe('[]');
      const client = await TestClient.connect(`ws://127.0.0.1:${farmPort}/`);
      child.kill('SIGTERM');
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect(await ended).toEqual([0, null]);
    },
  },
  {
    document: TESTING,
    having: '// chat.js',
    run: async (program) => {
      const client = await connect(await startFarm([await program.runnable()]), '/?nick=ann');
      client.send('hello');
      expect((await client.nextMessage()).text).toBe('ann: hello');
    },
  },
  {
    document: TESTING,
    having: '// chat.test.ts',
    run: async (program) => {
      const path = await program.runnable({
        "new URL('./chat.js', import.meta.url)": `new URL('./chat.js', import.meta.url), ${SLOW_START}`,
      });
      await addChat(program);
      await program.write('vitest.config.js', "export default { test: { include: ['run.js'] } };");
      const words = ['run', '--root', dirname(path), '--hookTimeout', '0', '--testTimeout', '0'];
      expect(await outputOf([join(ROOT, 'node_modules/vitest/vitest.mjs'), ...words])).toMatch(
        /Tests .*1 passed/,
      );
    },
  },
  {
    document: TESTING,
    having: '// chat.test.js',
    run: async (program) => {
      const path = await program.runnable({
        "new URL('./chat.js', import.meta.url)": `new URL('./chat.js', import.meta.url), ${SLOW_START}`,
      });
      await addChat(program);
      expect(await outputOf(['--test', path])).toMatch(/^# pass 1$/m);
    },
  },
  ...PUSHER_PROGRAMS,
  {
    document: 'docs/guide/tokens.md',
    having: 'SignJWT',
    run: async (program) => {
      const path = await program.runnable();
      const issue = `import { tokenFor } from ${JSON.stringify(pathToFileURL(path).href)}; console.log(await tokenFor({ id: 'ada' }));`;
      const { stdout } = await execute(process.execPath, ['--input-type=module', '-e', issue], {
        env: { ROOST_TOKENS_SECRET: SECRET },
      });
      const server = await startFarm([], { ROOST_TOKENS_SECRET: SECRET });
      await connect(server, `/plain?channel=user:ada&channel=room:7&token=${stdout.trim()}`);
    },
  },
  {
    document: 'docs/guide/tokens.md',
    having: 'wss://farm.example',
    given: "import { WebSocket } from 'ws';\nconst token = process.env['TOKEN'];\n",
    run: async (program) => {
      const server = await startFarm([], { ROOST_TOKENS_SECRET: SECRET });
      const path = await program.runnable({ 'wss://farm.example': server.url });
      await program.append(
        "\nsocket.on('open', () => { console.log(socket.protocol); socket.terminate(); });\n",
      );
      const { stdout } = await execute(process.execPath, [path], { env: { TOKEN: await token({}) } });
      expect(stdout).toBe('roost\n');
    },
  },
  {
    document: 'docs/guide/tokens.md',
    having: 'Ask your team',
    run: async (program) => {
      const server = await startFarm([await program.runnable()], { ROOST_TOKENS_SECRET: SECRET });
      await expect(TestClient.connect(`${server.url}/?token=${await token({})}`)).rejects.toMatchObject({
        status: 403,
        body: 'Ask your team to add you.',
      });
      const client = await connect(server, `/?token=${await token({ sub: 'ada', team: 'red' })}`);
      client.send('hello');
      expect((await client.nextMessage()).text).toBe('ada: hello');
    },
  },
  {
    document: 'docs/guide/writing-an-app.md',
    having: "request.path === '/echo'",
    run: async (program) => {
      const client = await connect(await startFarm([await program.runnable()]), '/echo');
      client.send('hello');
      expect((await client.nextMessage()).text).toBe('hello');
    },
  },
  {
    document: 'docs/guide/writing-an-app.md',
    having: 'interface Counting',
    run: async (program) => {
      const client = await connect(await startFarm([await program.runnable()]), '/?name=ada');
      for (const count of [1, 2]) {
        client.send('next');
        expect(JSON.parse((await client.nextMessage()).text)).toEqual({ name: 'ada', count });
      }
    },
  },
  {
    document: 'docs/guide/writing-an-app.md',
    having: "'/where'",
    run: async (program) => {
      const client = await connect(await startFarm([await program.runnable()]), '/where');
      expect((await client.nextMessage()).text).toBe('you are on worker 0');
    },
  },
  {
    document: 'packages/broker/README.md',
    having: 'new RedisBroker',
    given: `import type { BrokerHandlers } from '@roost/broker';
let tell: () => void;
const received = new Promise<void>((resolve) => (tell = resolve));
const handlers = new Proxy({} as BrokerHandlers, {
  get: (_, name) => (event: { channel?: string; payload?: Buffer }) => {
    if (name !== 'brokerOnPublication') return;
    console.log(event.channel, String(event.payload));
    tell();
  },
});
`,
    run: async (program) => {
      const { redis } = stage();
      if (redis === undefined) return;
      const path = await program.runnable({
        '127.0.0.1:6379': `127.0.0.1:${redis.port}`,
        // It does not end before the publication is there.
        "broker.unsubscribe('news')": "await received;\nbroker.unsubscribe('news')",
      });
      const { stdout } = await execute(process.execPath, [path]);
      expect(stdout).toBe('news hello\n');
    },
  },
  {
    document: 'packages/farm/README.md',
    having: '// app.ts',
    run: async (program) => {
      const client = await connect(await startFarm([await program.runnable()]), '/?name=ada');
      client.send('hello');
      expect((await client.nextMessage()).text).toBe('hello');
    },
  },
  {
    document: 'packages/farm/README.md',
    having: '// farm.ts',
    run: async (program) => {
      const port = await freePort();
      await program.write('app.js', "export default { upgrade: () => ({ kind: 'accept' }) };");
      const path = await program.runnable({
        'port: 8080': `port: ${port}, host: '127.0.0.1', drainMs: 0`,
        'await farm.stopped': "console.log('it serves');\nawait farm.stopped",
      });
      const child = spawnGroup(process.execPath, [path]);
      const ended = once(child, 'close');
      let stdout = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      await eventually(() => stdout.includes('it serves'), { deadlineMs: 30_000 });
      const client = await TestClient.connect(`ws://127.0.0.1:${port}/`);
      child.kill('SIGTERM');
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect(await ended).toEqual([0, null]);
    },
  },
  {
    document: 'packages/poller/README.md',
    having: 'new Poller',
    run: async (program) => {
      const path = await program.runnable({
        // Descriptors for its columns: a pair, of which the far end sends and gets the same back.
        'EVENT_FIELDS, Poller':
          'descriptorPair, Interest, receiveDescriptors, sendDescriptors, EVENT_FIELDS, Poller',
      });
      const more = `
const [near, far] = descriptorPair();
columns.fds[0] = near;
columns.generations[0] = 1;
poller.watch(0, Interest.readable);
sendDescriptors(far, new Int32Array(0), 0, Buffer.from('hello'));
setTimeout(() => {
  const record = Buffer.alloc(64);
  const { bytes } = receiveDescriptors(far, new Int32Array(8), record, { bytes: 0, count: 0, truncated: false });
  console.log(record.toString('latin1', 0, bytes));
  poller.destroy();
}, 200);
`;
      await program.append(more);
      const { stdout } = await execute(process.execPath, [path]);
      expect(stdout).toBe('hello\n');
    },
  },
  {
    document: 'packages/websocket/README.md',
    having: 'new SimpleFrameReader',
    run: async (program) => {
      const { stdout } = await execute(process.execPath, [await program.runnable()]);
      expect(stdout).toBe('810548656c6c6f\n');
    },
  },
  {
    document: 'docs/guide/writing-an-app.md',
    having: 'encode: ({ channel, event, payload })',
    run: async (program) => {
      const farm = await startFarm([await program.runnable()]);
      const [one, other] = [await connect(farm, '/room'), await connect(farm, '/room')];
      one.send('{"ping":true}');
      expect((await one.nextMessage()).text).toBe('{"pong":true}');
      one.send('hello');
      expect((await other.nextMessage()).text).toBe('{"channel":"room","event":"said","data":"hello"}');
      await one.roundTrip();
      expect(one.messageCount).toBe(1);
    },
  },
  {
    document: 'apps/roost/README.md',
    having: '// echo.mjs',
    run: async (program) => {
      const client = await connect(await startFarm([await program.runnable()]), '/');
      client.send('hello');
      expect((await client.nextMessage()).text).toBe('hello');
    },
  },
  {
    document: 'packages/testing/README.md',
    having: 'startRedis()',
    given: "import { expect } from 'vitest';\n",
    run: async (program) => {
      if (redisIsInstalled()) await import(pathToFileURL(await program.runnable()).href);
    },
  },
];

describe('programs', () => {
  it('have a way to run', () => {
    const programs = ofLanguage('js', 'ts').filter(({ document }) => !SIGNATURES.has(document));
    const without = programs.filter(
      ({ document, text }) => !PROGRAMS.some((way) => way.document === document && text.includes(way.having)),
    );
    expect(
      without.map(({ where }) => where),
      'Add a row to PROGRAMS in test/document-programs.test.ts, which says what the program does when it runs.',
    ).toEqual([]);
  });

  it.each(PROGRAMS)(
    '$document: the one with $having compiles and runs',
    async ({ document, having, given, run }) => {
      const program = await stage().programs.add(snippet(document, having), given);
      expect(await program.complaints()).toBe('');
      await run(program);
    },
  );
});

async function answered(url: string): Promise<string> {
  const response = await fetch(url, { headers: { Connection: 'close' } });
  return response.text();
}

async function publish(channel: string, data: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${stage().farm.port}/api/publish`, {
    method: 'POST',
    headers: { 'X-API-Key': API_KEY },
    body: JSON.stringify({ channel, data }),
  });
  expect(response.status).toBe(200);
}
