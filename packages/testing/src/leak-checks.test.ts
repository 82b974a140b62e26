import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventually, within } from './eventually.ts';
import { registerFixture } from './fixtures.ts';
import { assertNoLeaks } from './leak-checks.ts';
import { livingMembers, spawnGroup } from './process-group.ts';

describe('assertNoLeaks', () => {
  it('passes when everything is stopped', async () => {
    const release = registerFixture({ what: 'something', terminate: () => {} });
    release();
    await assertNoLeaks(0);
  });

  it('names a fixture that was left running, and ends it', async () => {
    let isRunning = true;
    const release = registerFixture({
      what: 'a farm on port 4711',
      terminate: () => {
        isRunning = false;
        release();
      },
    });
    await expect(assertNoLeaks(20)).rejects.toThrow('Left running by this test file: a farm on port 4711.');
    expect(isRunning).toBe(false);
    await assertNoLeaks(20);
  });

  it('finds and kills a grandchild whose parent is dead', async () => {
    const shell = spawnGroup('sh', ['-c', 'sleep 600 & echo started']);
    const group = shell.pid ?? 0;
    await once(shell, 'exit');
    await expect(assertNoLeaks(20)).rejects.toThrow(/Left running by this test file: process \d+/);
    await eventually(() => livingMembers(group).length === 0);
  });
});

/** Runs the file in which all goes wrong and returns what it printed. */
async function runFailingFile(env: Readonly<Record<string, string>> = {}): Promise<string> {
  const vitest = join(dirname(createRequire(import.meta.url).resolve('vitest/package.json')), 'vitest.mjs');
  const root = join(import.meta.dirname, 'failing-file');
  const runner = spawnGroup(process.execPath, [vitest, 'run', '--root', root], {
    env: { ...process.env, ...env, NO_COLOR: '1' },
  });
  let output = '';
  runner.stdout.on('data', (text) => (output += String(text)));
  runner.stderr.on('data', (text) => (output += String(text)));
  await within(once(runner, 'close'), { deadlineMs: 30_000, what: 'the runner ends', seen: () => output });
  return output;
}

/** The processes that it started. */
function sleepersOf(output: string): number[] {
  return [...output.matchAll(/^SLEEPER (\d+)$/gm)].map(([, pid]) => Number(pid));
}

describe('a test file in which bodies and hooks throw', () => {
  it('leaves nothing running', async () => {
    const output = await runFailingFile();
    expect(output).toContain('FIXTURE ENDED');
    expect(output).toContain('a hook behind the file');
    const [pid = 0, ...others] = sleepersOf(output);
    expect(output).toContain(`Left running by this test file: process ${pid}.`);
    expect(others).toEqual([]);
    await eventually(() => livingMembers(pid).length === 0);
  });

  it('leaves nothing running when its process is killed', async () => {
    const output = await runFailingFile({ DIES: '1' });
    const pids = sleepersOf(output);
    expect(pids).toHaveLength(2);
    for (const pid of pids) await eventually(() => livingMembers(pid).length === 0);
  });
});
