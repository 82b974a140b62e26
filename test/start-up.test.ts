import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listenLocally, startServer } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { connect, endAfterTest, expectEcho, info, startFarm } from './system.ts';

/** How a start ends that cannot succeed: the exit code and all that was written. */
async function failedStart(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  try {
    const farm = await startServer(args, { env });
    await farm.stop();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  throw new Error(`roost start ${args.join(' ')} was expected to fail.`);
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
        'Roost\'s poller needs Linux (epoll), and this is darwin: run it with "docker compose up" instead.',
      ),
    );
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

describe('a start with Redis', () => {
  it('never shows the password of the URL', async () => {
    const farm = await startFarm(['--redis-url', 'redis://:hunter2@127.0.0.1:1/0']);
    await farm.log(({ msg }) => msg === 'broker state');
    const { readiness } = await info(farm);
    expect(JSON.stringify([farm.logs, readiness]) + farm.otherOutput).not.toContain('hunter2');
  });
});
