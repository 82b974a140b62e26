import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { eventually, freePort, redisIsInstalled, spawnGroup, TestClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import type { Program } from './documents/programs.ts';
import { ofLanguage, snippet } from './documents/snippets.ts';
import { SECRET, stageForAll, startFarm, token } from './documents/stage.ts';
import { API_KEY, connect } from './harness/system.ts';

const execute = promisify(execFile);
const stage = stageForAll();

/** A program of a document: what stands before it, and what happens when it runs. */
interface ProgramWay {
  readonly document: string;
  /** Text that only this block of the document has. */
  readonly having: string;
  /** What the document leaves to its reader. */
  readonly given?: string;
  readonly run: (program: Program) => Promise<void>;
}

const PROGRAMS: readonly ProgramWay[] = [
  {
    document: 'README.md',
    having: '// echo.js',
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
    const without = ofLanguage('js', 'ts').filter(
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

async function publish(channel: string, data: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${stage().farm.port}/api/publish`, {
    method: 'POST',
    headers: { 'X-API-Key': API_KEY },
    body: JSON.stringify({ channel, data }),
  });
  expect(response.status).toBe(200);
}
