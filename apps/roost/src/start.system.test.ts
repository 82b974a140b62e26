import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, closeAfterEach, connect, run, start } from './fixtures/system-test.ts';

closeAfterEach();

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-start-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function written(name: string, source: string): string {
  const path = join(folder, name);
  writeFileSync(path, source);
  return path;
}

describe('roost start', () => {
  it('logs one line when it is ready, with what the farm runs on', async () => {
    const farm = await start();
    const ready = await farm.log((line) => line['msg'] === 'farm ready');
    expect(ready).toMatchObject({
      level: 'info',
      port: farm.port,
      host: '0.0.0.0',
      url: `http://localhost:${farm.port}`,
      broker: 'memory',
      version: '0.2.0',
    });
    expect(farm.workers.map(({ worker }) => worker)).toEqual([0, 1]);
    expect(farm.logs.filter((line) => line['msg'] === 'farm ready')).toHaveLength(1);
    await farm.log((line) => line['msg'] === 'embedded broker serves: broadcasts stay within this farm');
    expect(farm.logs.some((line) => 'curl' in line)).toBe(false);
    expect(farm.otherOutput).toBe('');
  });

  it('takes its configuration from file, environment and flags together', async () => {
    const path = written('roost.yaml', 'workers: 2\nplain:\n  clientPublish: true\n');
    const farm = await start(['--config', path, '--workers', '1'], {
      env: { ROOST_MAX_MESSAGE_BYTES: '200' },
    });
    expect(farm.workers).toHaveLength(1);
    const client = await connect(farm, '/plain?channel=a');
    client.send('x'.repeat(200));
    expect((await client.nextMessage()).data).toHaveLength(200);
    client.send('x'.repeat(201));
    expect((await client.closed).code).toBe(1009);
  });

  it('drains at the first signal: clients are closed with 1001, and the exit code is 0', async () => {
    const farm = await start();
    const client = await connect(farm, '/plain?channel=a');
    farm.signal('SIGINT');
    expect((await client.closed).code).toBe(1001);
    expect(await farm.exited).toEqual({ code: 0, signal: null });
    await farm.log((line) => line['msg'] === 'signal received: draining, a second one forces');
    await farm.log((line) => line['msg'] === 'farm stopped' && line['forced'] === false);
  });

  it('stops at once at a second signal', async () => {
    const farm = await start(['--drain-ms', '600000']);
    await connect(farm, '/plain?channel=a');
    await connect(farm, '/plain?channel=a');
    farm.signal('SIGTERM');
    await farm.log((line) => line['msg'] === 'signal received: draining, a second one forces');
    farm.signal('SIGTERM');
    expect(await farm.exited).toEqual({ code: 130, signal: null });
  });

  it('takes the Ctrl-C that npm passes on a second time for the same one', async () => {
    const farm = await start(['--drain-ms', '300']);
    const client = await connect(farm, '/plain?channel=a');
    farm.signal('SIGINT');
    farm.signal('SIGINT');
    expect((await client.closed).code).toBe(1001);
    expect(await farm.exited).toEqual({ code: 0, signal: null });
  });

  it('reloads at SIGHUP, and its clients stay', async () => {
    const farm = await start();
    const client = await connect(farm, '/plain?channel=a');
    farm.signal('SIGHUP');
    await farm.log((line) => line['msg'] === 'signal received: reloading' && line['signal'] === 'SIGHUP');
    // One reload at a time.
    farm.signal('SIGHUP');
    await farm.log((line) => line['msg'] === 'reload refused');
    await farm.log((line) => line['msg'] === 'change done' && line['change'] === 'reload');
    await call(farm, 'publish', { channel: 'a', data: 'still here' });
    expect(String((await client.nextMessage()).data)).toBe('still here');
  });

  it('runs the application of the user on the paths that it does not take itself', async () => {
    const app = written(
      'app.mjs',
      `export default (context) => ({
        upgrade: (request) => request.path === '/mine' || request.path === '/plain'
          ? { kind: 'accept', attachment: 'mine' } : undefined,
        message: (connection, data) => void connection.send(connection.attachment + ':' + data),
        http: (request, response) => request.url === '/mine' ? void response.end('mine') : false,
      })`,
    );
    const farm = await start([app]);
    const client = await connect(farm, '/mine');
    client.send('hi');
    expect((await client.nextMessage()).text).toBe('mine:hi');
    expect(await (await fetch(`http://127.0.0.1:${farm.port}/mine`)).text()).toBe('mine');
    await expect(connect(farm, '/plain')).rejects.toMatchObject({ status: 400 });
    expect((await fetch(`http://127.0.0.1:${farm.port}/other`)).status).toBe(404);
  });
});

describe('a start that cannot be', () => {
  it('is one line and exit code 78 for a wrong configuration', async () => {
    expect(await run(['start'], { ROOST_WORKERS: 'auto8' })).toEqual({
      exitCode: 78,
      stdout: '',
      stderr:
        'ROOST_WORKERS must be an integer from 1 to 1024, got "auto8". Leave it out to use one worker per CPU.\n',
    });
  });

  it('is one line and exit code 69 for a port in use', async () => {
    const server = createServer().listen(0, '0.0.0.0');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const { exitCode, stderr } = await run(['start', '--port', String(port), '--workers', '1']);
    server.close();
    expect(stderr).toBe(
      `Port ${port} of 0.0.0.0 is in use. Choose another with --port, or stop the program that listens there.\n`,
    );
    expect(exitCode).toBe(69);
  });

  it('is one line and exit code 71 for an address that is not of this machine', async () => {
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    const { exitCode, stderr } = await run(['start', '--port', '0', '--host', '192.0.2.1', '--workers', '1']);
    expect(stderr).toMatch(/^[^\n]*192\.0\.2\.1[^\n]*\n$/);
    expect(exitCode).toBe(71);
  });

  it('is one line and exit code 70 for an application that is not there', async () => {
    expect(await run(['start', join(folder, 'absent.js'), '--port', '0'])).toMatchObject({
      exitCode: 70,
      stderr: `The application ${join(folder, 'absent.js')} cannot be loaded: there is no such file.\n`,
    });
  });

  it('is one line and exit code 70 for a folder as the application', async () => {
    expect(await run(['start', folder, '--port', '0'])).toMatchObject({
      exitCode: 70,
      stderr: `The application ${folder} cannot be loaded: it is a folder; name the module in it, such as index.js.\n`,
    });
  });

  it.each([
    [
      'throws',
      'throw new Error("no database");',
      /^The application \/[^\n]*throws.mjs cannot be loaded: Error: no database/,
    ],
    ['has a slip', 'export default {{', /cannot be loaded: SyntaxError: [^\n]*\(\/[^\n]*slip\.mjs:1\)/],
    [
      'exports nothing',
      'export const app = {};',
      /has no default export, but exports "app"\. Export what defineApp\(\) returns/,
    ],
  ])('is one line and exit code 70 for an application that %s', async (what, source, reason) => {
    const app = written(`${what.replaceAll(' ', '-')}.mjs`, source);
    const { exitCode, stderr } = await run(['start', app, '--port', '0', '--workers', '1']);
    expect(stderr).toMatch(reason);
    expect(stderr.trimEnd()).not.toContain('\n');
    expect(exitCode).toBe(70);
  });
});

describe('the generated API key', () => {
  it('is logged once, as a curl line that publishes when it is pasted into a shell', async () => {
    const { startServer } = await import('@roost/testing');
    const farm = await startServer(['--workers', '1', '--drain-ms', '0']);
    try {
      const { curl } = await farm.log((line) => 'curl' in line);
      expect(farm.logs.filter((line) => 'curl' in line)).toHaveLength(1);
      // As it stands in the JSON of the log, where every " is \".
      const pasted = JSON.stringify(curl).slice(1, -1).replace('localhost', '127.0.0.1');
      const client = await connect(farm, '/plain?channel=news');
      const { execFile } = await import('node:child_process');
      const { promisify } = await import('node:util');
      const { stdout } = await promisify(execFile)('bash', ['-c', `${pasted} -s`]);
      expect(JSON.parse(stdout)).toEqual({ result: {} });
      expect((await client.nextMessage()).text).toBe('hello');
    } finally {
      await farm.stop();
    }
  });
});
