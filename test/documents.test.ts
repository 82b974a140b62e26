import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import {
  eventually,
  freePort,
  makeCertificate,
  redisIsInstalled,
  spawnGroup,
  startRedis,
  startServer,
  TestClient,
} from '@roost/testing';
import type { FarmProcess, RedisFixture } from '@roost/testing';
import { SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { commandsOf, missingFrom, wayOf, withoutNpm } from './documents/commands.ts';
import type { Command } from './documents/commands.ts';
import { Programs } from './documents/programs.ts';
import type { Program } from './documents/programs.ts';
import { runInShell, runServerInShell } from './documents/shell.ts';
import { allSnippets, ROOT, snippet } from './documents/snippets.ts';
import type { Snippet } from './documents/snippets.ts';
import { API_KEY, connect, endAfterTest } from './system.ts';

const execute = promisify(execFile);
const NGINX = '/usr/sbin/nginx';
const SECRET = 'only-the-farm-and-its-issuer-know-this';

/** Languages of fences, and who tries them. `text` is for diagrams and the like, where nothing can be tried. */
const LANGUAGES = ['text', 'sh', 'js', 'ts', 'yaml', 'http', 'nginx', 'haproxy', 'dockerfile'];

/** Blocks that cannot be tried, by their language. */
const CANNOT_RUN: Readonly<Record<string, string>> = {
  dockerfile: 'needs a Docker engine',
  haproxy: 'needs HAProxy; test/who-is-calling.test.ts sends the headers that it would',
};

let programs: Programs;
let redis: RedisFixture | undefined;
let farm: FarmProcess;

const hasRedis = redisIsInstalled();

beforeAll(async () => {
  programs = await Programs.create();
  redis = hasRedis ? await startRedis() : undefined;
  farm = await startFarmFor([], redis === undefined ? {} : { ROOST_REDIS_URL: redis.url });
});

afterAll(async () => {
  await farm.stop();
  await redis?.stop();
  await programs.remove();
});

function startFarmFor(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<FarmProcess> {
  return startServer(['--workers', '1', '--drain-ms', '0', '--api-key', API_KEY, ...args], { env });
}

/** As {@link startFarmFor}, for one test. */
async function startFarm(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<FarmProcess> {
  const started = await startFarmFor(args, env);
  endAfterTest(() => started.stop());
  return started;
}

function ofLanguage(...languages: readonly string[]): Snippet[] {
  return allSnippets.filter(({ language }) => languages.includes(language));
}

describe('every block of the documents', () => {
  it('says by its first word what it is', () => {
    expect(allSnippets.length).toBeGreaterThan(40);
    const others = allSnippets.filter(({ language }) => !LANGUAGES.includes(language));
    expect(
      others.map(({ where, language }) => `${where}: \`\`\`${language}`),
      `Say what the block is: one of ${LANGUAGES.join(', ')}. For another language, add a way to try it to test/documents.test.ts, or the reason why it cannot be tried to CANNOT_RUN.`,
    ).toEqual([]);
  });

  it('is tried here, or there is a reason', () => {
    for (const [language, reason] of Object.entries(CANNOT_RUN)) {
      expect(reason.length).toBeGreaterThan(10);
      expect(ofLanguage(language).length, `no block is ${language} any more`).toBeGreaterThan(0);
    }
  });
});

describe.skipIf(!hasRedis)('commands for a shell', () => {
  const scripts = ['docs/guide/tokens.md'].map((document) => snippet(document, 'b64() {'));
  const commands = ofLanguage('sh')
    .filter((block) => !scripts.includes(block) && !isOneOf(scripts, block))
    .flatMap(commandsOf);

  it('are of a kind that is known, and name what is there', () => {
    for (const command of commands) {
      wayOf(command);
      expect(missingFrom(command.text), `${command.where}: ${command.text}`).toEqual([]);
    }
  });

  const tried = commands.filter((command) => isTried(command));

  it.each(tried.map((command) => ({ ...command })))('$where: $text', async (command) => {
    const way = wayOf(command);
    switch ('run' in way && way.run) {
      case 'server':
        await tryServer(command);
        break;
      case 'check-config':
        expect(await runInShell(command.text)).toMatchObject({ code: 0, stderr: '' });
        break;
      case 'publish':
        await tryPublish(command);
        break;
      case 'redis': {
        const own = await startRedis();
        endAfterTest(() => own.stop());
        expect(await runInShell(toRedis(command.text, own))).toMatchObject({ code: 0, stdout: 'OK\n' });
        break;
      }
      case 'api': {
        const { code, stdout } = await runInShell(toFarm(command.text), { env: { ROOST_API_KEY: API_KEY } });
        expect([code, JSON.parse(stdout)]).toMatchObject([0, { result: {} }]);
        break;
      }
      case 'load':
        await tryLoad(command);
        break;
      default:
        throw new Error(`${command.where}: nobody tries "${command.text}".`);
    }
  });

  async function tryServer({ text }: Command): Promise<void> {
    const port = await freePort();
    const { cert, key } = makeCertificate();
    const certFile = await programs.write('fullchain.pem', cert);
    const keyFile = await programs.write('privkey.pem', key);
    const command = withoutNpm(text)
      .replace(/--port \d+/, `--port ${port}`)
      .replace('fullchain.pem', certFile)
      .replace('privkey.pem', keyFile);
    const outcome = await runServerInShell(toRedis(command), {
      env: {
        ROOST_PORT: String(port),
        ROOST_HOST: '127.0.0.1',
        ROOST_WORKERS: '1',
        ROOST_DRAIN_MS: '0',
        // Options about tokens are refused without a key.
        ...(text.includes('--tokens-') && { ROOST_TOKENS_SECRET: SECRET }),
      },
    });
    expect(outcome.stdout + outcome.stderr).toContain('"msg":"farm ready"');
  }

  /** Whoever subscribes to the channel gets the message, or is disconnected as the control message says. */
  async function tryPublish({ text }: Command): Promise<void> {
    const client = await connect(farm, '/plain?channel=news');
    const { code, stdout } = await runInShell(toRedis(text));
    expect(code).toBe(0);
    expect(Number(stdout)).toBeGreaterThan(0);
    if (text.includes('roost:control')) expect(await client.closed).toMatchObject(disconnectIn(text));
    else expect((await client.nextMessage()).text).toBe(text.split(' ').at(-1));
  }

  /** With fewer connections, and not as long. */
  async function tryLoad({ text }: Command): Promise<void> {
    const command = toFarm(text)
      .replace('npx roost-load', 'node apps/load/bin/roost-load.js')
      .replace(/--connections \d+/, '--connections 50')
      .replace(/--hold \S+/, '--hold 1s')
      .replace(/--rate \S+/, '$& --hold 1s')
      // A busy machine may be as slow as it likes.
      .replace(/--expect-p99 \S+/, '--expect-p99 30s')
      .replace('X-API-Key: …', `X-API-Key: ${API_KEY}`);
    const { code, stdout, stderr } = await runInShell(command);
    expect(code, stdout + stderr).toBe(0);
  }

  function toFarm(text: string): string {
    return text.replaceAll(/(localhost|127\.0\.0\.1):8080/g, `127.0.0.1:${farm.port}`);
  }

  function toRedis(text: string, other = redis): string {
    return text
      .replaceAll(/(localhost|127\.0\.0\.1):6379/g, `127.0.0.1:${other?.port}`)
      .replace(/^redis-cli /, `redis-cli -p ${other?.port} `);
  }

  it('docs/guide/tokens.md: the shell issues a token that opens a connection', async () => {
    const guarded = await startFarm([], { ROOST_TOKENS_SECRET: SECRET });
    const script = snippet('docs/guide/tokens.md', 'b64() {').text;
    const { stdout } = await runInShell(script, { env: { ROOST_TOKENS_SECRET: SECRET } });
    await connect(guarded, `/plain?channel=news&token=${stdout.trim()}`);
  });
});

function isOneOf(blocks: readonly Snippet[], block: Snippet): boolean {
  return blocks.some(({ where }) => where === block.where);
}

function isTried(command: Command): boolean {
  try {
    return 'run' in wayOf(command);
  } catch {
    // Told by the test of the kinds.
    return false;
  }
}

function disconnectIn(command: string): { code: number; reason: string } {
  const { code, reason } = JSON.parse(/'(\{.*\})'/.exec(command)?.[1] ?? '{}');
  return { code, reason };
}

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
      const path = await program.runnable({ 'localhost:8080': `127.0.0.1:${farm.port}` });
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
      if (hasRedis) await import(pathToFileURL(await program.runnable()).href);
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
      'Add a row to PROGRAMS in test/documents.test.ts, which says what the program does when it runs.',
    ).toEqual([]);
  });

  it.each(PROGRAMS)(
    '$document: the one with $having compiles and runs',
    async ({ document, having, given, run }) => {
      const program = await programs.add(snippet(document, having), given);
      expect(await program.complaints()).toBe('');
      await run(program);
    },
  );
});

describe('configurations', () => {
  const isOfCompose = ({ text }: Snippet): boolean => text.startsWith('services:');

  it.each(ofLanguage('yaml').filter((block) => !isOfCompose(block)))(
    '$where is one of Roost',
    async ({ text }) => {
      const file = await programs.write('roost.yaml', text);
      const { code, stdout, stderr } = await runInShell(
        `node apps/roost/bin/roost.js check-config --config ${file}`,
      );
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain('roost.yaml');
    },
  );

  it.each(ofLanguage('yaml').filter(isOfCompose))(
    '$where overrides what the compose file has, with variables that Roost knows',
    async ({ text }) => {
      const base = composeOf((await runInShell('cat docker-compose.yml')).stdout);
      const override = composeOf(text);
      expect(Object.keys(base.services)).toEqual(expect.arrayContaining(Object.keys(override.services)));
      for (const service of Object.values(override.services)) {
        expect([...COMPOSE_KEYS]).toEqual(expect.arrayContaining(Object.keys(service)));
      }
      const env = Object.fromEntries(
        Object.entries(override.services['roost']?.environment ?? {}).map(([name, value]) => [
          name,
          String(value),
        ]),
      );
      const checked = await runInShell('node apps/roost/bin/roost.js check-config', { env });
      expect([checked.code, checked.stderr]).toEqual([0, '']);
    },
  );
});

/** Of the Compose specification, those that the documents use. */
const COMPOSE_KEYS = new Set([
  'environment',
  'volumes',
  'stop_grace_period',
  'network_mode',
  'ports',
  'sysctls',
  'ulimits',
  'cpuset',
  'image',
  'build',
]);

interface Compose {
  readonly services: Readonly<Record<string, { readonly environment?: Readonly<Record<string, unknown>> }>>;
}

/** `!reset` is Compose's own tag: the value of the base file goes. */
function composeOf(text: string): Compose {
  const document = parseDocument(text, {
    merge: true,
    customTags: [
      { tag: '!reset', collection: 'seq', resolve: () => null },
      { tag: '!reset', collection: 'map', resolve: () => null },
    ],
  });
  expect([...document.errors, ...document.warnings]).toEqual([]);
  return document.toJS();
}

describe('answers over HTTP', () => {
  it('docs/guide/tokens.md: an expired token is answered as the guide shows', async () => {
    const [head = '', body = ''] = snippet('docs/guide/tokens.md', 'HTTP/1.1 401').text.trim().split('\n\n');
    const server = await startFarm([], { ROOST_TOKENS_SECRET: SECRET });
    const response = await fetch(`http://127.0.0.1:${server.port}/plain?channel=news`, {
      headers: { Authorization: `Bearer ${await token({ exp: 1_000_000_000 })}` },
    });
    const shown = head
      .split('\n')
      .slice(1)
      .map((line) => line.split(/: (.*)/s).slice(0, 2));
    expect(shown.length).toBeGreaterThan(0);
    for (const [name = '', value] of shown) expect(response.headers.get(name)).toBe(value);
    expect([response.status, await response.text()]).toEqual([401, body]);
  });

  it('docs/guide/compression.md: an offer is answered as the guide shows', async () => {
    const answer = snippet('docs/guide/compression.md', 'Sec-WebSocket-Extensions').text.trim();
    const server = await startFarm(['--compression', 'on']);
    const { stdout } = await execute('curl', [
      '-si',
      '--http1.1',
      '--max-time',
      '2',
      ...[
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Extensions: permessage-deflate',
      ].flatMap((line) => ['-H', line]),
      `http://127.0.0.1:${server.port}/plain?channel=news`,
    ]).catch((error: unknown) => ({
      stdout: error instanceof Error && 'stdout' in error ? String(error.stdout) : '',
    }));
    expect(stdout.split('\r\n')).toContain(answer);
  });

  it('have a test of their own here', () => {
    expect(ofLanguage('http').map(({ document }) => document)).toEqual([
      'docs/guide/compression.md',
      'docs/guide/tokens.md',
    ]);
  });
});

describe.skipIf(!isExecutable(NGINX, 'nginx-light'))('the proxy', () => {
  it('of docs/guide/deploying.md passes WebSockets on, and says for whom', async () => {
    const blocks = ofLanguage('nginx');
    expect(blocks.map(({ document }) => document)).toEqual(['docs/guide/deploying.md']);
    const probe = join(ROOT, 'test/apps/probe.js');
    const server = await startFarm([probe, '--trusted-proxies', '127.0.0.1']);
    const port = await freePort();
    const site = (blocks[0]?.text ?? '')
      .replace('127.0.0.1:8080', `127.0.0.1:${server.port}`)
      .replace('listen 80;', `listen 127.0.0.1:${port};`);
    const sitePath = await programs.write('roost.conf', site);
    const folder = programs.folder;
    const main = await programs.write(
      'nginx.conf',
      `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr;
       events {}
       http {
         access_log off;
         ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
         include ${sitePath};
       }`,
    );
    await execute(NGINX, ['-t', '-c', main]);
    const nginx = spawnGroup(NGINX, ['-c', main]);
    const ended = once(nginx, 'close');
    endAfterTest(async () => {
      nginx.kill('SIGTERM');
      await ended;
    });
    const client = await eventually(() =>
      TestClient.connect(`ws://127.0.0.1:${port}/who`, { headers: { 'X-Forwarded-For': '203.0.113.9' } }),
    );
    endAfterTest(() => client.terminate());
    expect((await client.nextMessage()).text).toBe('203.0.113.9');
    client.send('through the proxy');
    expect((await client.nextMessage()).text).toBe('through the proxy');
  });
});

function isExecutable(path: string, name: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(
      `The proxy of the guide is not tried: "apt-get install ${name}" brings ${path} in.\n`,
    );
    return false;
  }
}

async function publish(channel: string, data: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${farm.port}/api/publish`, {
    method: 'POST',
    headers: { 'X-API-Key': API_KEY },
    body: JSON.stringify({ channel, data }),
  });
  expect(response.status).toBe(200);
}

function token(claims: Readonly<Record<string, unknown>>): Promise<string> {
  const all = { channels: ['*'], exp: Math.floor(Date.now() / 1000) + 600, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(SECRET));
}
