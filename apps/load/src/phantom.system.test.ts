import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, registerFixture } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { atEnd, cleanUp, start } from './fixtures/harness.ts';
import type { Outcome } from './fixtures/load-program.ts';
import { createOrSkip } from './phantom/fixtures/create-or-skip.ts';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const MODULES = fileURLToPath(new URL('../../../node_modules', import.meta.url));
const PROGRAM = join(PACKAGE, 'bin/roost-load.js');
const SERVER = `${process.execPath} ${fileURLToPath(new URL('phantom/fixtures/ws-server.mjs', import.meta.url))}`;
const URL_INSIDE = 'ws://127.0.0.1:8080/';

const possible = createOrSkip([]);
possible?.remove();
afterEach(cleanUp);

/** Those that a program has made; others may run at the same time. */
function namespacesOf({ child }: { readonly child: { readonly pid?: number | undefined } }): string[] {
  if (!existsSync('/run/netns')) return [];
  return readdirSync('/run/netns').filter((name) => name.startsWith(`roost-phantom-${child.pid}-`));
}

/** Runs a command to its end, which a deadline enforces (code null then). */
function run(command: string, args: readonly string[], environment: NodeJS.ProcessEnv): Promise<Outcome> {
  const options = {
    env: { ...process.env, ...environment },
    timeout: 60_000,
    killSignal: 'SIGKILL',
  } as const;
  return new Promise((resolve) => {
    const child = execFile(command, args, options, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}

function withServer(flags: string): [string, readonly string[]] {
  return [`--phantom ${flags}`, ['--server', SERVER]];
}

describe.skipIf(possible === undefined)('roost-load --phantom', () => {
  it('echoes to a server in a namespace of its own, and answers its pings, and leaves nothing', async () => {
    const program = start(
      URL_INSIDE,
      ...withServer('--connections 300 --scenario echo --rate 1000/s --hold 1s --json'),
    );
    const { code, stdout, stderr } = await program.exited;
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ connected: 300, failed: {}, closes: {}, ok: true });
    expect(result.echo).toMatchObject({ connections: 300, echoes: 1000, wrong: 0, unanswered: 0 });
    expect(code).toBe(0);
    expect(stderr).toContain('pongs of 300\n');
    expect(namespacesOf(program)).toEqual([]);
  });

  it('counts the close codes of the server, and opens as many over several processes', async () => {
    const program = start(
      `${URL_INSIDE}?close=4001`,
      ...withServer('--connections 101 --processes 3 --control'),
    );
    expect(await program.nextLine()).toMatchObject({ do: 'start', processes: 3 });
    expect(await program.ask({ do: 'open', count: 101 })).toMatchObject({ connected: 101, failed: {} });
    await eventually(
      async () => {
        const { closes } = await program.ask({ do: 'report' });
        return JSON.stringify(closes) === '{"4001":101}';
      },
      { what: 'all are closed by the server' },
    );
    expect((await program.end()).code).toBe(0);
  });

  it('opens and closes connections one after the other', async () => {
    const { code, stdout } = await start(
      URL_INSIDE,
      ...withServer('--connections 1000 --scenario churn --in-flight 20 --json'),
    ).exited;
    expect(JSON.parse(stdout)).toMatchObject({ connected: 1000, open: 0, failed: {}, unended: 0, ok: true });
    expect(code).toBe(0);
  });

  it('removes what a run has left behind that was killed', async () => {
    const killed = start(URL_INSIDE, ...withServer('--connections 50 --control'));
    await killed.nextLine();
    expect(await killed.ask({ do: 'open', count: 50 })).toMatchObject({ connected: 50 });
    killed.child.kill('SIGKILL');
    await killed.exited;
    expect(namespacesOf(killed)).toHaveLength(1);
    const next = start(URL_INSIDE, '--phantom --connections 1 --control');
    await next.nextLine();
    expect(namespacesOf(killed)).toEqual([]);
    expect(namespacesOf(next)).toHaveLength(1);
    await next.end();
    expect(namespacesOf(next)).toEqual([]);
  });

  it('removes it, too, when nobody has asked after the killed one: its entry in /proc is still there', async () => {
    // The sleep that the shell becomes does not know of its child.
    const command = [
      '"$@" </dev/null & echo $!; exec sleep 600',
      'sh',
      process.execPath,
      PROGRAM,
      URL_INSIDE,
    ];
    const parent = spawn('sh', ['-c', ...command, '--phantom'], { stdio: ['ignore', 'pipe', 'ignore'] });
    const release = registerFixture({
      what: 'who does not ask after its child',
      terminate: () => parent.kill('SIGKILL'),
    });
    const [line] = await once(parent.stdout, 'data');
    const pid = Number(line);
    const killed = { child: { pid } };
    await eventually(() => namespacesOf(killed).some((name) => !name.endsWith('-parent')), {
      what: 'it has made its namespace',
    });
    process.kill(pid, 'SIGKILL');
    await eventually(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')), { what: 'it is dead' });
    const next = start(URL_INSIDE, '--phantom --connections 1 --control');
    await next.nextLine();
    expect(namespacesOf(killed)).toEqual([]);
    await next.end();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    release();
  });

  it('refuses a server outside of its namespace', async () => {
    const program = start('ws://192.0.2.1:8080/', '--phantom');
    const { code, stderr } = await program.exited;
    expect(stderr).toContain('the URL must begin with ws://127.0.0.1, got "ws://192.0.2.1:8080/"');
    expect(code).toBe(2);
    expect(namespacesOf(program)).toEqual([]);
  });

  it('says that the server has ended, and ends', async () => {
    const { code, stderr } = await start(URL_INSIDE, '--phantom', ['--server', 'sh -c "exit 3"']).exited;
    expect(stderr).toContain('the command of --server has ended by exit code 3.');
    expect(code).toBe(78);
  });

  it('ends the server that it has started when its clients cannot be', async () => {
    // In a namespace that nobody has prepared: there the device is made anew, and never up.
    const { code, stderr } = await run(
      'unshare',
      [
        '--net',
        process.execPath,
        PROGRAM,
        URL_INSIDE,
        '--phantom',
        '--connections',
        '1',
        '--server',
        'sleep 600',
      ],
      { PHANTOM_NETNS: '/nowhere' },
    );
    expect(stderr).toBe('roost-load: SIOCGIFFLAGS ENETDOWN\n');
    expect(code).toBe(1);
  });

  it('says what to install where its addon cannot be compiled, and starts nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'roost-load-'));
    atEnd(() => rmSync(folder, { recursive: true }));
    for (const part of ['bin', 'dist', 'native', 'package.json']) {
      await cp(join(PACKAGE, part), join(folder, part), { recursive: true });
    }
    symlinkSync(MODULES, join(folder, 'node_modules'));
    const { code, stdout, stderr } = await run(
      process.execPath,
      [join(folder, 'bin/roost-load.js'), URL_INSIDE, '--phantom', '--server', 'echo the server runs'],
      { CXX: '/nonexistent/c++' },
    );
    expect(stderr).toMatch(/^roost-load: phantom clients need an addon .* install a C\+\+ compiler .*\n$/);
    expect(stdout).toBe('');
    expect(code).toBe(78);
  });

  it('says what it needs where it has no right to it', () => {
    const { status, stderr } = spawnSync(
      'setpriv',
      ['--bounding-set', '-net_admin', process.execPath, PROGRAM, URL_INSIDE, '--phantom'],
      { encoding: 'utf8' },
    );
    expect(stderr).toMatch(
      /^roost-load: --phantom makes a network namespace and a TUN device, and needs CAP_NET_ADMIN/,
    );
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(status).toBe(78);
  });
});
