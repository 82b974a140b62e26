import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, freePort, listenLocally, livingMembers, spawnGroup, startServer } from '@roost/testing';
import type { CapturedProcess, StartServerOptions } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { FaultFile, type Fault } from './faults/faults.ts';
import { connect, connectRaw, endAfterTest, expectEcho, info, startFarm } from './harness/system.ts';

const ROOST = fileURLToPath(new URL('../apps/roost/bin/roost.js', import.meta.url));

/** How a start ends that cannot succeed: the exit code and all that was written. */
async function failedStart(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  options: StartServerOptions = {},
): Promise<string> {
  try {
    const farm = await startServer(args, { env, ...options });
    await farm.stop();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error(`roost start ${args.join(' ')} was expected to fail.`);
}

interface InShell {
  readonly shell: CapturedProcess;
  readonly port: number;
  readonly output: () => string;
  /** The processes of the farm that live. */
  readonly living: () => number[];
}

/** The code and the sentence, and nothing else. */
function ended(code: number, sentence: string): string {
  return `The server ended with ${code} before the wanted line is logged. Its output:\n${sentence}\n`;
}

describe('a farm on a port in use', () => {
  it('says so in one sentence, and the farm that has the port goes on', async () => {
    const first = await startFarm();
    const client = await connect(first, '/echo');
    const port = String(first.port);
    expect(await failedStart(['--port', port, '--workers', '2'])).toBe(
      ended(
        69,
        `Port ${port} of 0.0.0.0 is in use. Choose another with --port, or stop the program that listens there.`,
      ),
    );
    await expectEcho(client, 'still here');
    await expectEcho(await connect(first, '/echo'), 'a new one');
  });

  it('says the same of any other program', async () => {
    const server = createServer();
    const port = await listenLocally(server);
    endAfterTest(async () => {
      server.close();
      await once(server, 'close');
    });
    expect(await failedStart(['--host', '127.0.0.1', '--port', String(port)])).toContain('is in use.');
  });

  it('may start there as soon as the one before has stopped', async () => {
    const first = await startFarm();
    const { port } = first;
    const client = await connect(first, '/echo');
    await first.stop();
    expect((await client.closed).code).toBe(1001);
    // Its connections linger in TIME_WAIT.
    const second = await startFarm(['--port', String(port)]);
    expect(second.port).toBe(port);
    await expectEcho(await connect(second, '/echo'), 'hello');
  });
});

describe('a farm on another system than Linux', () => {
  it('says in one sentence how to run it all the same', async () => {
    const isDarwin = "Object.defineProperty(process, 'platform', { value: 'darwin' })";
    const options = `--import=data:text/javascript,${encodeURIComponent(isDarwin)}`;
    expect(await failedStart([], { NODE_OPTIONS: options })).toBe(
      ended(
        71,
        'Roost\'s poller needs Linux (epoll), and this is darwin: run it in a container of Linux, as "docker compose up" does in Roost\'s repository.',
      ),
    );
  });
});

describe('a farm on an old Node', () => {
  const SENTENCE =
    /^The server ended with 71 [^\n]+\nRoost needs Node\.js 20\.19 or newer, and \/[^\n]+ is [\d.]+\. Install a newer one, and run it with that\.\n$/;

  it.each(['20.18.3', '18.20.8', '8.17.0'])('says so in one sentence: %s', async (version) => {
    const isOld = `Object.defineProperty(process.versions, 'node', { value: '${version}' })`;
    const options = `--import=data:text/javascript,${encodeURIComponent(isOld)}`;
    expect(await failedStart([], { NODE_OPTIONS: options })).toMatch(SENTENCE);
  });

  const { OLD_NODE } = process.env;
  it.skipIf(OLD_NODE === undefined)('says so in one sentence: that of OLD_NODE', async () => {
    const child = spawnGroup(OLD_NODE ?? '', [ROOST, 'start']);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    await once(child, 'close');
    expect(stderr).toMatch(/^Roost needs Node\.js 20\.19 or newer, and [^\n]+\n$/);
    expect(child.exitCode).toBe(71);
  });

  it('is one for which its packages are not either', () => {
    const manifest: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    expect(manifest).toMatchObject({ engines: { node: '>=20.19' } });
  });
});

describe('a farm that may open few files', () => {
  it.each([30, 64, 100, 300])(
    'says in one sentence how to raise the limit when none fit: %i',
    async (maxOpenFiles) => {
      const output = await failedStart(['--workers', '1'], {}, { maxOpenFiles });
      expect(output).toMatch(/^The server ended with 71 [^\n]+\n[^\n]*"ulimit -n \d+"[^\n]*\n$/);
    },
  );

  it('says so of its workers, too', async () => {
    const output = await failedStart(['--workers', '200'], {}, { maxOpenFiles: 400 });
    expect(output).toMatch(
      /ended with 71 [^\n]+\n[^\n]*may open 400 files[^\n]*200 workers needs at least 1064\. [^\n]*\n$/,
    );
  });

  it('warns how to raise the limit when fewer connections fit than are wanted', async () => {
    const farm = await startServer(['--workers', '2', '--max-connections', '2000'], { maxOpenFiles: 1024 });
    endAfterTest(() => farm.stop());
    const warning = await farm.log(({ capacity, wanted }) => capacity !== undefined && wanted !== undefined);
    expect(warning).toMatchObject({
      level: 'warn',
      capacity: 1408,
      wanted: 2000,
      raise:
        'Run "ulimit -n 1320" before, as root; or set LimitNOFILE=1320 (systemd), --ulimit nofile=1320 (docker run), or ulimits: { nofile: 1320 } (compose).',
    });
  });

  it('says nothing when as many fit as are wanted', async () => {
    const farm = await startServer(['--workers', '2', '--max-connections', '2000'], { maxOpenFiles: 1320 });
    endAfterTest(() => farm.stop());
    expect(farm.logs.filter(({ level }) => level === 'warn' || level === 'error')).toMatchObject([
      { msg: expect.stringContaining('no API key') },
    ]);
  });
});

describe('a farm among neighbours', () => {
  it('starts beside a Kubernetes Service of its own name, and says what it ignores', async () => {
    const port = await freePort();
    const farm = await startFarm(['--port', String(port)], {
      env: {
        ROOST_SERVICE_HOST: '10.96.0.5',
        ROOST_SERVICE_PORT: '8080',
        ROOST_SERVICE_PORT_HTTP: '8080',
        ROOST_PORT: 'tcp://10.96.0.5:8080',
        ROOST_PORT_8080_TCP: 'tcp://10.96.0.5:8080',
        ROOST_PORT_8080_TCP_PORT: '8080',
        ROOST_REDIS_PORT: 'tcp://10.96.0.6:6379',
        ROOST_WOKERS: '7',
      },
    });
    expect(farm.port).toBe(port);
    expect(farm.workers).toHaveLength(2);
    const lines = farm.logs.filter(({ msg }) => String(msg).includes('ignored'));
    expect(lines).toMatchObject([
      { level: 'info', msg: expect.stringMatching(/^ROOST_\w+ and 6 more .*"enableServiceLinks: false"/) },
      { level: 'warn', msg: expect.stringMatching(/^ROOST_WOKERS .* Did you mean ROOST_WORKERS\?$/) },
    ]);
    await expectEcho(await connect(farm, '/echo'), 'hello');
  });
});

/** A shell that waits for the farm, as `npx` and npm scripts have one. */
async function startInShell(command: string, env: Readonly<Record<string, string>>): Promise<InShell> {
  const port = await freePort();
  const args = `--host 127.0.0.1 --port ${port} --workers 1 --drain-ms 0 --handshake-timeout-ms 1500`;
  const shell = spawnGroup(
    '/bin/sh',
    ['-c', command.replace('roost start', `"$0" "$1" start ${args}`), process.execPath, ROOST],
    {
      env: { PATH: process.env['PATH'] ?? '', ...env },
    },
  );
  let output = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const group = shell.pid ?? 0;
  endAfterTest(async () => {
    if (livingMembers(group).length > 0) process.kill(-group, 'SIGKILL');
    await eventually(() => expect(livingMembers(group)).toEqual([]));
  });
  await eventually(() => expect(output).toContain('farm ready'));
  return {
    shell,
    port,
    output: () => output,
    living: () => livingMembers(group).filter((pid) => pid !== group),
  };
}

describe('a farm whose parent ends', () => {
  it.each([{ npm_command: 'exec' }, { npm_command: 'run', npm_lifecycle_event: 'start' }])(
    'drains under npm, which has nobody else to pass SIGTERM to: %j',
    async (env) => {
      const { shell, output, living } = await startInShell('roost start; true', env);
      shell.kill('SIGTERM');
      await eventually(() => expect(living()).toEqual([]));
      await eventually(() => expect(output()).toContain('farm stopped'));
      expect(output()).toContain('parent process ended: draining');
    },
  );

  it('goes on without npm: it was left behind on purpose, and SIGTERM drains it', async () => {
    const { shell, port, output, living } = await startInShell('roost start & echo pid=$!; wait; true', {});
    const master = Number(/pid=(\d+)/.exec(output())?.[1]);
    shell.kill('SIGKILL');
    await once(shell, 'exit');
    // Its handshake times out, which takes longer than it would to notice that the parent is gone.
    await (
      await connectRaw(port)
    ).closed;
    process.kill(master, 'SIGTERM');
    await eventually(() => expect(living()).toEqual([]));
    await eventually(() => expect(output()).toContain('farm stopped'));
    expect(output()).toContain('signal received: draining');
    expect(output()).not.toContain('parent process ended');
  });
});

describe('a wrong configuration', () => {
  it.each([
    ['a flag', ['--workers', '0'], {}, '--workers must be an integer from 1 to 1024, got 0.'],
    ['a variable', [], { ROOST_PORT: 'http' }, 'ROOST_PORT must be '],
    ['a limit', ['--max-message-bytes', '1'], {}, '--max-message-bytes must be '],
  ])('in %s is exit code 78 and one sentence that names it', async (_, args, env, sentence) => {
    const output = await failedStart(args, env);
    expect(output).toContain('The server ended with 78 ');
    const [, ...lines] = output.trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain(sentence);
  });

  it('in a file is exit code 78 and names the line', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'roost-start-up-'));
    endAfterTest(async () => rmSync(folder, { recursive: true }));
    const path = join(folder, 'roost.yaml');
    writeFileSync(path, 'workers: 2\nmaxConections: 5\n');
    const output = await failedStart(['--config', path]);
    expect(output).toContain('The server ended with 78 ');
    expect(output).toContain('maxConections');
    expect(output).toContain('maxConnections');
    expect(output).toMatch(/line 2\b|:2\b/);
  });
});

describe('a farm on an address that this machine does not have', () => {
  it('does not start, and says which to choose instead', async () => {
    // 192.0.2.1 is nobody's (RFC 5737).
    const output = await failedStart(['--host', '192.0.2.1']);
    expect(output).toContain('The server ended with 71 ');
    expect(output).toContain(
      '192.0.2.1 is not an address of this machine; choose one that is, or 0.0.0.0 for all of them.',
    );
  });
});

describe('a machine that has nothing left', () => {
  const fork = 'Worker 0 could not be forked (';
  const machine = 'The machine has no descriptors, memory or disk left to start with: ';
  it.each<[string, Fault, string]>([
    ['no descriptor for a worker', { call: 'descriptorPair', errno: 'EMFILE', times: 9 }, fork],
    ['no descriptor to fork with', { call: 'spawn', errno: 'ENFILE', times: 9 }, fork],
    ['no process', { call: 'spawn', errno: 'EAGAIN', times: 9 }, fork],
    ['no memory to fork in', { call: 'spawn', errno: 'ENOMEM', times: 9 }, fork],
    ['no descriptor for the poller', { call: 'createPoller', errno: 'EMFILE', times: 9 }, machine],
    ['no descriptor to listen', { call: 'listen', errno: 'EMFILE', times: 9 }, 'Cannot listen on '],
  ])('(%s) is exit code 71 and one sentence', async (_, fault, sentence) => {
    const faults = new FaultFile();
    endAfterTest(async () => faults.remove());
    faults.write({ ...fault, atStart: 'master' });
    const output = await failedStart(['--workers', '2'], faults.env);
    expect(output).toContain('The server ended with 71 ');
    const lines = output
      .trimEnd()
      .split('\n')
      .slice(1)
      .filter((line) => !line.startsWith('{') && !line.startsWith('fault '));
    expect(lines).toEqual([expect.stringContaining(sentence)]);
  });
});

describe('a start with Redis', () => {
  it('never shows the password of the URL', async () => {
    const farm = await startFarm(['--redis-url', 'redis://:hunter2@127.0.0.1:1/0']);
    await farm.log(({ msg }) => msg === 'broker state');
    const { readiness } = await info(farm);
    expect(JSON.stringify([farm.logs, readiness]) + farm.otherOutput).not.toContain('hunter2');
  });
});
