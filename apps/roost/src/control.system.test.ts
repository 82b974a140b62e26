import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectSocket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, within, type FarmProcess, type TestClient } from '@roost/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { call, closeAfterEach, connect, run, start, type Ended } from './fixtures/system-test.ts';

closeAfterEach();

let folder: string;
let socket: string;
let farms = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-control-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  socket = join(folder, `${++farms}.sock`);
});

function commandable(args: readonly string[] = []): Promise<FarmProcess> {
  return start(['--control-socket', socket, '--probation-ms', '0', ...args]);
}

function command(...words: readonly string[]): Promise<Ended> {
  return run([...words, '--control-socket', socket]);
}

async function textOf(client: TestClient): Promise<string> {
  return String((await client.nextMessage()).data);
}

/** An application that says which version of its file a worker has read. */
function app(source: string): string {
  const path = join(folder, `app-${farms}.mjs`);
  writeFileSync(path, source);
  return path;
}

const versioned = (version: number): string => `
  export default {
    name: 'versioned', version: '${version}',
    upgrade: (request) => request.path === '/app' ? { kind: 'accept' } : undefined,
    message: (connection) => void connection.send('version ${version}'),
  };`;

describe('the control socket', () => {
  it('is for its user alone, and goes with its farm', async () => {
    const farm = await commandable();
    expect(statSync(socket).mode & 0o777).toBe(0o600);
    farm.signal('SIGTERM');
    await farm.exited;
    expect(existsSync(socket)).toBe(false);
  });

  it('takes the place of what a farm that was killed has left', async () => {
    const first = await commandable();
    process.kill(first.pid, 'SIGKILL');
    await first.exited;
    expect(existsSync(socket)).toBe(true);
    await commandable();
    expect((await command('status')).exitCode).toBe(0);
  });

  it('that another farm has keeps a second one from starting, with 69 and one sentence', async () => {
    await commandable();
    const second = await run(['start', '--port', '0', '--admin-port', 'off', '--control-socket', socket]);
    expect(second.exitCode).toBe(69);
    expect(second.stderr).toBe(
      `The control socket ${socket} cannot be opened (EADDRINUSE). Another farm has it: choose another path with --control-socket, or turn it off with --control-socket off.\n`,
    );
  });

  it('that cannot be made keeps a farm from starting, with 78', async () => {
    const missing = join(folder, 'missing', 'c.sock');
    const { exitCode, stderr } = await run(['start', '--port', '0', '--control-socket', missing]);
    expect(exitCode).toBe(78);
    expect(stderr).toContain(`The control socket ${missing} cannot be opened`);
  });

  it('answers what is no command with a refusal, and goes on', async () => {
    await commandable();
    for (const line of ['{"command":"fly"}', 'nonsense', '{"command":"workers","workers":0}']) {
      const answer = await new Promise<string>((resolve) => {
        const client = connectSocket(socket, () => client.write(`${line}\n`));
        client.setEncoding('utf8').once('data', (text: string) => {
          client.destroy();
          resolve(text);
        });
      });
      expect(JSON.parse(answer)).toMatchObject({ code: 'CONTROL_ERR_COMMAND' });
    }
    expect((await command('rebalance')).exitCode).toBe(0);
  });

  it('hangs up on whom it has answered, so that nobody keeps others out', async () => {
    await commandable();
    for (const line of ['nonsense', '{"command":"status"}', '{"command":"rebalance"}']) {
      const client = connectSocket(socket, () => client.write(`${line}\n`));
      client.resume();
      onTestFinished(() => void client.destroy());
      await within(once(client, 'end'));
    }
  });

  it('does not take the place of a file', async () => {
    writeFileSync(socket, 'port: 8080');
    const { exitCode, stderr } = await run(['start', '--port', '0', '--control-socket', socket]);
    expect([exitCode, readFileSync(socket, 'utf8')]).toEqual([78, 'port: 8080']);
    expect(stderr).toContain(`The control socket ${socket} cannot be opened`);
  });
});

describe('a command for a farm', () => {
  it('that does not run says where it was looked for, with 69', async () => {
    const { exitCode, stderr } = await command('reload');
    expect(exitCode).toBe(69);
    expect(stderr).toBe(
      `No farm answers at ${socket} (ENOENT). Is it running, as this user? Say which it is with --port or --control-socket.\n`,
    );
  });

  it('that does not run is told to programs as JSON, too', async () => {
    const { stdout, stderr } = await command('reload', '--json');
    const answer: unknown = JSON.parse(stdout);
    expect(answer).toEqual({ refused: stderr.trimEnd(), code: 'CONTROL_ERR_NO_FARM' });
  });

  it('whose port the kernel has chosen needs the name of its socket: 78', async () => {
    expect((await run(['status', '--port', '0'])).exitCode).toBe(78);
  });

  it('that ends in the middle says so', async () => {
    const server = createServer((client) => {
      client.once('data', () => client.end(`${JSON.stringify({ progress: {} })}\n`));
    });
    await new Promise<void>((resolve) => server.listen(socket, resolve));
    const { exitCode, stdout, stderr } = await command('reload', '--json');
    server.close();
    expect([exitCode, stderr]).toEqual([69, 'The farm has ended.\n']);
    expect(stdout).toBe('{"progress":{}}\n{"refused":"The farm has ended.","code":"FARM_ERR_STOPPED"}\n');
  });

  it('that is another program says so', async () => {
    for (const said of ['-ERR unknown command', '5', '{"ok":true}']) {
      const server = createServer((client) => void client.once('data', () => client.end(`${said}\r\n`)));
      await new Promise<void>((resolve) => server.listen(socket, resolve));
      const { exitCode, stderr } = await command('status');
      server.close();
      expect([exitCode, stderr]).toEqual([
        69,
        `No farm answers at ${socket} (it is no farm of this version). Is it running, as this user? Say which it is with --port or --control-socket.\n`,
      ]);
    }
  });

  it('status lists its workers, for people and for programs', async () => {
    const farm = await commandable();
    const pids = farm.workers.map(({ pid }) => pid);
    const { stdout } = await command('status');
    expect(stdout.split('\n').filter((line) => line !== '')).toHaveLength(2);
    for (const [index, pid] of pids.entries()) {
      expect(stdout).toContain(`worker ${index}: current, ready, pid ${pid}, 0 connections`);
    }
    const answer: unknown = JSON.parse((await command('status', '--json')).stdout);
    expect(answer).toMatchObject({ status: { lives: pids.map((pid) => ({ pid, role: 'current' })) } });
  });
});

describe('roost reload', () => {
  it('replaces the workers by new ones, with the application as it is now, and no client notices', async () => {
    const path = app(versioned(1));
    const farm = await commandable([path]);
    const clients = await Promise.all(Array.from({ length: 40 }, () => connect(farm, '/app')));
    writeFileSync(path, versioned(2));
    const before = farm.workers.map(({ pid }) => pid);
    const { exitCode, stdout, stderr } = await command('reload');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /All workers are new: 40 connections moved, 0 closed, in [\d.]+ s; pause p99 [\d.]+ ms/,
    );
    for (const client of clients) {
      client.send('which?');
      expect(await textOf(client)).toBe('version 2');
    }
    const { stdout: status } = await command('status');
    expect(status).toMatch(/, apps: plain, .*versioned 2, /);
    for (const pid of before) expect(status).not.toContain(`pid ${pid},`);
  });

  it('stops at an application that does not load: 75 and one sentence, and the old workers stay', async () => {
    const path = app(versioned(1));
    const farm = await commandable([path]);
    const client = await connect(farm, '/app');
    writeFileSync(path, 'throw new Error("not today");');
    const { exitCode, stderr } = await command('reload');
    expect(exitCode).toBe(75);
    expect(stderr).toMatch(/^Stopped: Worker 0: The new worker did not start, 2 times: .*not today.*\n$/);
    client.send('which?');
    expect(await textOf(client)).toBe('version 1');
  });

  it('stops at an application that never ends loading, and says so', async () => {
    const path = app(versioned(1));
    await commandable(['--workers', '1', '--app-start-timeout-ms', '2000', path]);
    writeFileSync(path, 'setInterval(() => undefined, 1000); await new Promise(() => undefined);');
    const { exitCode, stderr } = await command('reload');
    expect(exitCode).toBe(75);
    expect(stderr).toContain('2 times: its app was not loaded within 2000 ms (appStartTimeoutMs).');
  });

  it('stops at an application that dies with its first connections: it costs 16 at most', async () => {
    const path = app(versioned(1));
    const farm = await start(['--control-socket', socket, '--workers', '1', '--probation-ms', '60000', path]);
    const clients = await Promise.all(Array.from({ length: 40 }, () => connect(farm, '/app')));
    let closed = 0;
    for (const client of clients) void client.closed.then(() => closed++);
    writeFileSync(path, versioned(2).replace('message:', 'moved: () => process.exit(3), message:'));
    const { exitCode, stderr } = await command('reload');
    expect(exitCode).toBe(75);
    expect(stderr).toContain('The new worker died in its probation.');
    await eventually(() => closed === 16);
    const left = clients.filter(({ isClosed }) => !isClosed);
    expect(left).toHaveLength(24);
    for (const client of left) {
      client.send('which?');
      expect(await textOf(client)).toBe('version 1');
    }
  });

  it('stops at an attachment that cannot be serialised: 75 and why, and its client stays', async () => {
    const source = versioned(1)
      .replace("{ kind: 'accept' }", "{ kind: 'accept', attachment: { path: request.url } }")
      .replace('message:', "handover: ({ attachment }) => { attachment.reply = () => 'late'; }, message:");
    const farm = await commandable(['--workers', '1', app(source)]);
    const client = await connect(farm, '/app');
    const { exitCode, stderr } = await command('reload');
    expect(exitCode).toBe(75);
    expect(stderr).toContain('because attachments cannot be serialised');
    expect(stderr).toContain('; one is still with the old worker.');
    const { reason } = await farm.log(({ msg }) => String(msg).startsWith('connection cannot move'));
    expect(reason).toContain("() => 'late' could not be cloned");
    client.send('which?');
    expect(await textOf(client)).toBe('version 1');
  });

  it('ends with 70 and one sentence when connections died with the old worker', async () => {
    const path = app(versioned(1));
    const farm = await start(['--control-socket', socket, '--workers', '1', '--probation-ms', '60000', path]);
    await Promise.all(Array.from({ length: 40 }, () => connect(farm, '/app')));
    const [old] = farm.workers;
    const reload = command('reload');
    await eventually(async () => (await command('status')).stdout.includes('other, ready, pid'));
    await eventually(async () => (await command('status')).stdout.includes('16 moved'));
    process.kill(old?.pid ?? -1, 'SIGKILL');
    const { exitCode, stderr } = await reload;
    expect(exitCode).toBe(70);
    expect(stderr).toMatch(
      /^All workers are new, but not without a loss: Worker 0 died meanwhile, and 24 connections with it\. \(16 connections moved, 0 closed, 24 lost, .*\)\n$/,
    );
    expect((await command('status')).stdout).toContain('24 lost');
  });

  it('is refused while another is under way, with 69', async () => {
    await start(['--control-socket', socket, '--probation-ms', '60000']);
    const first = command('reload');
    let second: Ended | undefined;
    await eventually(async () => (await command('status')).stdout.includes('reload: worker 1 of 2'));
    second = await command('reload');
    expect(second.exitCode).toBe(69);
    expect(second.stderr).toMatch(/^A change of this farm is under way \(reload, worker 1 of 2\)\./);
    void first;
  });

  it('is ended by the end of its farm, whose log says that it has stopped', async () => {
    const farm = await start(['--control-socket', socket, '--probation-ms', '60000']);
    const reload = command('reload');
    await eventually(async () => (await command('status')).stdout.includes('reload: worker 1 of 2'));
    farm.signal('SIGTERM');
    const { exitCode, stderr } = await reload;
    // Whichever ends first, the change or the socket.
    expect(`${exitCode} ${stderr}`).toMatch(
      /^(?:69 The farm has ended\.|75 Stopped: The farm is stopping\. .*)\n$/,
    );
    await farm.exited;
    const { reason } = await farm.log(({ msg }) => msg === 'change stopped');
    expect(reason).toBe('The farm is stopping.');
  });

  it('goes on when its command is interrupted, which says so, with 130', async () => {
    const farm = await start(['--control-socket', socket, '--probation-ms', '2000']);
    let child: ChildProcess | undefined;
    const reload = run(['reload', '--control-socket', socket], {}, (started) => (child = started));
    await eventually(async () => (await command('status')).stdout.includes('reload: worker 1 of 2'));
    child?.kill('SIGINT');
    const { exitCode, stderr } = await reload;
    expect(exitCode).toBe(130);
    expect(stderr).toBe('The farm goes on with it: "roost status" shows how far it is.\n');
    await farm.log(({ msg, change }) => msg === 'change done' && change === 'reload');
  });

  it('goes on when its command is ended', async () => {
    const farm = await commandable();
    const client = connectSocket(socket, () => client.end('{"command":"reload"}\n'));
    client.resume();
    await farm.log((line) => line['msg'] === 'change done' && line['change'] === 'reload');
  });

  it('tries a canary with a share of all connections, and takes it back, or goes on with it', async () => {
    const path = app(versioned(1));
    const farm = await commandable([path]);
    const clients = await Promise.all(Array.from({ length: 40 }, () => connect(farm, '/app')));
    const versions = async (): Promise<Record<string, number>> => {
      const counts: Record<string, number> = {};
      for (const client of clients) {
        client.send('which?');
        const version = await textOf(client);
        counts[version] = (counts[version] ?? 0) + 1;
      }
      return counts;
    };
    writeFileSync(path, versioned(2));
    expect((await command('reload', '--canary', '25%')).exitCode).toBe(0);
    expect(await versions()).toEqual({ 'version 1': 30, 'version 2': 10 });
    const { exitCode, stderr } = await command('reload');
    expect([exitCode, stderr]).toEqual([
      69,
      'A canary runs: end it first, with "roost reload --continue" or "roost reload --rollback".\n',
    ]);
    expect((await command('status')).stdout).toContain('worker 0: canary, ready');
    expect((await command('reload', '--rollback')).exitCode).toBe(0);
    expect(await versions()).toEqual({ 'version 1': 40 });
    // It was asked to go.
    expect(farm.logs.filter(({ level }) => level === 'error')).toEqual([]);
    expect((await command('reload', '--canary', '25%')).exitCode).toBe(0);
    expect((await command('reload', '--continue')).exitCode).toBe(0);
    expect(await versions()).toEqual({ 'version 2': 40 });
  });

  it('has the connections of a canary closed with 1001 when its farm drains, also behind the others', async () => {
    const path = app(versioned(1));
    const farm = await commandable(['--workers', '1', '--drain-ms', '1000', path]);
    const clients = await Promise.all(Array.from({ length: 10 }, () => connect(farm, '/app')));
    writeFileSync(path, versioned(2));
    expect((await command('reload', '--canary', '50%')).exitCode).toBe(0);
    const tried: TestClient[] = [];
    for (const client of clients) {
      client.send('which?');
      if ((await textOf(client)) === 'version 2') tried.push(client);
      else await client.terminate();
    }
    expect(tried).toHaveLength(5);
    await eventually(async () => / 0 connections/.test((await command('status')).stdout));
    farm.signal('SIGTERM');
    const codes = await Promise.all(tried.map(async ({ closed }) => (await closed).code));
    expect(codes).toEqual(tried.map(() => 1001));
    await farm.exited;
  });
});

describe('roost workers', () => {
  it('makes it more and fewer workers, with as many connections each', async () => {
    const farm = await commandable();
    const clients = await Promise.all(Array.from({ length: 60 }, () => connect(farm, '/plain?channel=a')));
    const counts = async (): Promise<number[]> => {
      const { stdout } = await command('status');
      return Array.from(stdout.matchAll(/^worker .* (\d+) connections/gm), (match) => Number(match[1]));
    };
    expect((await command('workers', '4')).exitCode).toBe(0);
    expect(await counts()).toEqual([15, 15, 15, 15]);
    expect((await command('workers', '1')).exitCode).toBe(0);
    expect(await counts()).toEqual([60]);
    await call(farm, 'publish', { channel: 'a', data: 'all here' });
    for (const client of clients) expect(await textOf(client)).toBe('all here');
  });
});
