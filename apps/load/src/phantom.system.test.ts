import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually, registerFixture } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { cleanUp, start } from './fixtures/harness.ts';
import { createOrSkip } from './phantom/fixtures/create-or-skip.ts';

const PROGRAM = fileURLToPath(new URL('../bin/roost-load.js', import.meta.url));
const SERVER = `${process.execPath} ${fileURLToPath(new URL('phantom/fixtures/ws-server.mjs', import.meta.url))}`;
const URL_INSIDE = 'ws://127.0.0.1:8080/';

const possible = createOrSkip([]);
possible?.remove();
afterEach(cleanUp);

function namespaces(): string[] {
  if (!existsSync('/run/netns')) return [];
  return readdirSync('/run/netns').filter((name) => name.startsWith('roost-phantom-'));
}

function withServer(flags: string): [string, readonly string[]] {
  return [`--phantom ${flags}`, ['--server', SERVER]];
}

describe.skipIf(possible === undefined)('roost-load --phantom', () => {
  it('echoes to a server in a namespace of its own, and answers its pings, and leaves nothing', async () => {
    const { code, stdout, stderr } = await start(
      URL_INSIDE,
      ...withServer('--connections 300 --scenario echo --rate 1000/s --hold 1s --json'),
    ).exited;
    const result = JSON.parse(stdout);
    expect(result).toMatchObject({ connected: 300, failed: {}, closes: {}, ok: true });
    expect(result.echo).toMatchObject({ connections: 300, echoes: 1000, wrong: 0, unanswered: 0 });
    expect(code).toBe(0);
    expect(stderr).toContain('pongs of 300\n');
    expect(namespaces()).toEqual([]);
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
    const [left] = namespaces();
    killed.child.kill('SIGKILL');
    await killed.exited;
    expect(namespaces()).toEqual([left]);
    const next = start(URL_INSIDE, '--phantom --connections 1 --control');
    await next.nextLine();
    expect(namespaces()).not.toContain(left);
    await next.end();
    expect(namespaces()).toEqual([]);
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
    const isIts = (name: string): boolean => name.startsWith(`roost-phantom-${pid}-`);
    await eventually(() => namespaces().some((name) => isIts(name) && !name.endsWith('-parent')), {
      what: 'it has made its namespace',
    });
    process.kill(pid, 'SIGKILL');
    await eventually(() => / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1')), { what: 'it is dead' });
    const next = start(URL_INSIDE, '--phantom --connections 1 --control');
    await next.nextLine();
    expect(namespaces().filter(isIts)).toEqual([]);
    await next.end();
    parent.kill('SIGKILL');
    await once(parent, 'exit');
    release();
  });

  it('refuses a server outside of its namespace', async () => {
    const { code, stderr } = await start('ws://192.0.2.1:8080/', '--phantom').exited;
    expect(stderr).toContain('the URL must begin with ws://127.0.0.1, got "ws://192.0.2.1:8080/"');
    expect(code).toBe(2);
    expect(namespaces()).toEqual([]);
  });

  it('says that the server has ended, and ends', async () => {
    const { code, stderr } = await start(URL_INSIDE, '--phantom', ['--server', 'sh -c "exit 3"']).exited;
    expect(stderr).toContain('the command of --server has ended by exit code 3.');
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
