import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { constants, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf } from './harness/failures-guide.ts';
import { flagsOf, LoggedFarm, Pipe, splitLog, temporaryFolder } from './harness/logged-farm.ts';
import { ownMemoryOf } from './harness/processes.ts';
import { endAfterTest, expectEcho } from './harness/system.ts';

const SERVER = fileURLToPath(new URL('../apps/roost/bin/roost.js', import.meta.url));
const LOST = 'log lines lost: they could not be written in time';
/** What the application prints. */
const LINE = 'x'.repeat(1000);
const MEGABYTE = 1024 * 1024;

const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;
if (!canMount) console.log('The spec of a full disk is skipped: mounting a tmpfs needs root.');

const hasPython = spawnSync('python3', ['--version']).status === 0;
if (!hasPython) console.log('The spec of a closed terminal is skipped: python3 is not installed.');

/** So many of the 1,000 lines that were printed are missing, or a few less: a slow machine makes a worker log a line. */
function expectAllBut(lines: unknown, printed: readonly string[]): void {
  expect(new Set(printed)).toEqual(new Set([LINE]));
  expect(printed.length + Number(lines)).toBeGreaterThanOrEqual(1000);
  expect(printed.length + Number(lines)).toBeLessThanOrEqual(1003);
}

describe('a log that nobody reads', () => {
  it('keeps nobody waiting, is bounded, and goes on with the number of lines that were lost', async () => {
    const pipe = new Pipe();
    const farm = await LoggedFarm.start(`exec "$@" > ${pipe.path}`, {
      settings: ['--max-log-buffer-bytes', '100000'],
    });
    await pipe.log('farm ready');
    // The pipe itself is left as it is, for those who share it.
    expect(flagsOf(farm.pid, 1) & constants.O_NONBLOCK).toBe(0);
    const client = await farm.connect();
    await expectEcho(client, 'print 1000');
    // What the pipe and the buffer hold is 64 KB and 100 KB.
    await eventually(async () => (await farm.linesLost()) > 800);
    await farm.expectService();
    const { lines } = await pipe.log(LOST);
    expect(await farm.linesLost()).toBe(lines);
    // In whole lines, and none but those is missing.
    const { others } = pipe.lines;
    expectAllBut(lines, others);
    await expectEcho(client, 'print 1');
    await eventually(() => {
      pipe.read();
      expect(pipe.lines.others).toHaveLength(others.length + 1);
    });
    expect(await farm.stop()).toEqual({ code: 0, signal: null });
    await pipe.log('farm stopped');
  });

  it('does not grow the memory of the master', async () => {
    const pipe = new Pipe();
    const farm = await LoggedFarm.start(`exec "$@" > ${pipe.path}`);
    const client = await farm.connect();
    await expectEcho(client, 'print 10000');
    const hasLost = (lines: number): Promise<unknown> =>
      eventually(async () => (await farm.linesLost()) > lines, { deadlineMs: 20_000 });
    // What waits is about 1,000 lines.
    await hasLost(8000);
    const before = ownMemoryOf(farm.pid);
    for (let round = 0; round < 8; round++) await expectEcho(client, 'print 10000');
    await hasLost(88_000);
    // 80 MB are gone; what is left of them is garbage that was not collected yet.
    expect((ownMemoryOf(farm.pid) - before) / MEGABYTE).toBeLessThan(50);
  });

  it('does not keep the process from ending: a socket, as under systemd', async () => {
    const farm = await LoggedFarm.start('exec "$@"');
    farm.process.stdout.pause();
    const client = await farm.connect();
    await expectEcho(client, 'print 5000');
    await eventually(async () => (await farm.linesLost()) > 0);
    await farm.expectService();
    expect(await farm.stop()).toEqual({ code: 0, signal: null });
  });

  it('does not keep a master from ending that fails, and its last words come out if somebody reads then', async () => {
    const pipe = new Pipe();
    const program = `
      if (process.argv[1].endsWith('roost.js')) process.on('SIGUSR2', () => { throw new Error('the master fails'); });`;
    const farm = await LoggedFarm.start(`exec "$@" > ${pipe.path} 2>&1`, {
      settings: ['--log-flush-ms', '10000'],
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(program)}` },
    });
    await expectEcho(await farm.connect(), 'print 5000');
    await eventually(async () => (await farm.linesLost()) > 0);
    farm.process.kill('SIGUSR2');
    const line = await pipe.log('uncaught exception in the master: the farm ends');
    expect(line).toMatchObject({ level: 'fatal', err: { message: 'the master fails' } });
    expect(await farm.exited).toEqual({ code: 70, signal: null });
  });
});

describe('a log whose reader has gone', () => {
  it('costs the farm nothing, and goes on with the next reader', async () => {
    const pipe = new Pipe();
    const farm = await LoggedFarm.start(`exec "$@" > ${pipe.path} 2>&1`, {
      settings: ['--max-log-buffer-bytes', '65536'],
    });
    const { workers } = await farm.info();
    pipe.close();
    const client = await farm.connect();
    for (const text of ['write', 'print 500', 'write']) await expectEcho(client, text);
    await eventually(async () => (await farm.linesLost()) > 0);
    await farm.expectService();
    pipe.open();
    expect(await pipe.log(LOST)).toMatchObject({ lines: expect.any(Number) });
    const now = await farm.info();
    expect(now.workers.map(({ pid }) => pid)).toEqual(workers.map(({ pid }) => pid));
    await drillOf('Nobody reads the log').expectQuoted(() => pipe.lines.logs);
    expect(await farm.stop()).toEqual({ code: 0, signal: null });
    await pipe.log('farm stopped');
  });

  it('that was closed before the start costs the farm nothing', async () => {
    const farm = await LoggedFarm.start('exec "$@" >&- 2>&-');
    const client = await farm.connect();
    for (const text of ['write', 'print 500', 'write']) await expectEcho(client, text);
    await farm.expectService();
    expect(await farm.stop()).toEqual({ code: 0, signal: null });
  });

  it('costs the farm nothing either when it is a pipe without a name', async () => {
    const farm = await LoggedFarm.start('"$@" 2>&1 | head -1');
    await expectEcho(await farm.connect(), 'write');
    await expectEcho(await farm.connect(), 'print 5000');
    await eventually(async () => (await farm.linesLost()) > 0);
    await farm.expectService();
  });
});

describe('a log on a full disk', () => {
  it('costs the farm nothing', async () => {
    const farm = await LoggedFarm.start('exec "$@" > /dev/full 2> /dev/full');
    const client = await farm.connect();
    for (const text of ['write', 'print 5000', 'write']) await expectEcho(client, text);
    await eventually(async () => (await farm.linesLost()) > 0);
    await farm.expectService();
    expect(await farm.stop()).toEqual({ code: 0, signal: null });
  });

  it.skipIf(!canMount)('goes on when there is room again, with the number of lines lost', async () => {
    const folder = temporaryFolder();
    const mount = `mount -t tmpfs -o size=1m tmpfs ${folder} && head -c 900k /dev/zero > ${folder}/filler`;
    const farm = await LoggedFarm.start(`${mount} && exec "$@" > ${folder}/log 2>&1`, {
      settings: ['--max-log-buffer-bytes', '100000'],
      // The mount ends with the farm.
      under: ['unshare', '-m'],
    });
    const inside = join(`/proc/${farm.pid}/root`, folder);
    const output = (): ReturnType<typeof splitLog> => splitLog(readFileSync(join(inside, 'log'), 'latin1'));
    await eventually(() => output().logs.some(({ msg }) => msg === 'farm ready'));
    await expectEcho(await farm.connect(), 'print 1000');
    await eventually(async () => (await farm.linesLost()) > 700);
    await farm.expectService();
    rmSync(join(inside, 'filler'));
    await eventually(() => output().logs.some(({ msg }) => msg === LOST));
    const { logs, others } = output();
    const { lines } = logs.find(({ msg }) => msg === LOST) ?? {};
    expectAllBut(lines, others);
    await drillOf('The disk of the log is full').expectQuoted(() => output().logs);
    expect(await farm.stop()).toEqual({ code: 0, signal: null });
  });
});

/** Runs its arguments on a terminal that nobody reads, and closes it when a line comes. */
const TERMINAL = `
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
sys.stdin.readline()
os.close(terminal)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;

describe('a terminal', () => {
  it.skipIf(!hasPython)('that is not read, and then closed, costs the farm nothing', async () => {
    const input = new Pipe();
    // Read and write: a shell that opens a named pipe to read waits for a writer.
    const farm = await LoggedFarm.start(`exec python3 -c "$TERMINAL" "$@" <> ${input.path}`, {
      settings: ['--max-log-buffer-bytes', '65536'],
      env: { TERMINAL },
    });
    const client = await farm.connect();
    await expectEcho(client, 'print 500');
    await eventually(async () => (await farm.linesLost()) > 0);
    await farm.expectService();
    const lost = await farm.linesLost();
    writeFileSync(input.path, 'close\n');
    for (const text of ['write', 'print 500']) await expectEcho(client, text);
    await eventually(async () => (await farm.linesLost()) > lost);
    await farm.expectService();
    expect(await farm.stop()).toEqual({ code: 0, signal: null });
  });
});

describe('what a command prints', () => {
  it.each([
    ['is cut off by a reader that has enough, which is no error', '"$@" | head -1', 0, /^$/],
    ['that cannot be written is an error', '"$@" > /dev/full', 74, /^[^\n]*ENOSPC[^\n]*\n?$/],
    ['is waited for by a slow reader', '"$@" | (read line; cat) | tail -1', 0, /^$/],
  ])('%s', async (_, shell, code, complaint) => {
    const script = `set -o pipefail; ${shell}`;
    const child = spawn('bash', ['-c', script, 'bash', process.execPath, SERVER, 'check-config'], {
      env: { PATH: process.env['PATH'] },
      // A bash whose input is a socket reads ~/.bashrc, as if rshd had started it.
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    endAfterTest(async () => void child.kill('SIGKILL'));
    let errors = '';
    child.stderr.on('data', (text: Buffer) => (errors += text.toString()));
    await once(child, 'close');
    expect(child.exitCode).toBe(code);
    expect(errors).toMatch(complaint);
  });
});
