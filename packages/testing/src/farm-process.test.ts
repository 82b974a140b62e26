import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer } from './farm-process.ts';
import { livingMembers } from './process-group.ts';

/** A program with the manners of the server: JSON lines, a worker process, an end on SIGTERM. */
const PROGRAM = `
import { spawn } from 'node:child_process';
const log = (msg, fields) => console.log(JSON.stringify({ level: 30, msg, ...fields }));
const [command, ...args] = process.argv.slice(2);
if (args.includes('--broken')) {
  console.error('no such application: ' + process.env.APPLICATION);
  process.exit(78);
}
process.on('SIGTERM', () => { if (!args.includes('--deaf')) { log('draining'); process.exit(0); } });
process.on('SIGHUP', () => log('reloaded'));
const worker = spawn('sleep', ['600'], { stdio: 'inherit' });
console.log('plain text');
log('farm ready', { port: 4711, workers: [{ worker: 1, pid: worker.pid, cpu: 0 }], command, args });
`;

let directory: string;
let program: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'roost-farm-process-'));
  program = join(directory, 'program.mjs');
  writeFileSync(program, PROGRAM);
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

describe('startServer', () => {
  it('sets the limit of open files for the server and its workers', async () => {
    const farm = await startServer([], { program, maxOpenFiles: 123 });
    for (const pid of [farm.pid, ...farm.workers.map((worker) => worker.pid)]) {
      expect(readFileSync(`/proc/${pid}/limits`, 'latin1')).toMatch(/^Max open files\s+123\s+123 /m);
    }
    await farm.stop();
  });

  it('starts on port 0, and without an admin port, unless told otherwise, and knows port and workers once ready', async () => {
    const farm = await startServer(['--app', 'echo'], { program });
    expect(farm.url).toBe('ws://127.0.0.1:4711');
    expect(farm.workers).toMatchObject([{ worker: 1, cpu: 0 }]);
    expect(farm.logs[0]).toMatchObject({
      command: 'start',
      args: ['--port', '0', '--admin-port', 'off', '--app', 'echo'],
    });
    expect(farm.otherOutput).toBe('plain text\n');
    await farm.stop();
    const other = await startServer(['--port=8080', '--admin-port=8081'], { program });
    expect(other.logs[0]).toMatchObject({ args: ['--port=8080', '--admin-port=8081'] });
    await other.stop();
  });

  it('waits for lines of the log', async () => {
    const farm = await startServer([], { program });
    const from = farm.logs.length;
    farm.signal('SIGHUP');
    expect(await farm.log((line) => line['msg'] === 'reloaded', from)).toMatchObject({ level: 30 });
    await farm.stop();
  });

  it('ends the whole tree when stopped, workers that outlive the master too', async () => {
    const farm = await startServer([], { program });
    expect(livingMembers(farm.pid)).toHaveLength(2);
    expect(await farm.stop()).toEqual({ code: 0, signal: null });
    expect(farm.logs.at(-1)).toMatchObject({ msg: 'draining' });
    expect(livingMembers(farm.pid)).toEqual([]);
    await farm.stop();
  });

  it('kills a server that does not end in time, and says so', async () => {
    const farm = await startServer(['--deaf'], { program, deadlineMs: 1_000 });
    await expect(farm.stop()).rejects.toMatchObject({ code: 'TESTING_DEADLINE' });
    expect(livingMembers(farm.pid)).toEqual([]);
  });

  it('rejects with the output when the server ends before it is ready', async () => {
    const start = startServer(['--broken'], { program, env: { APPLICATION: 'chat' } });
    await expect(start).rejects.toThrow(/ended with 78 before .*\n.*no such application: chat/s);
  });
});
