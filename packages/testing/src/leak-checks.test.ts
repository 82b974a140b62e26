import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { eventually } from './eventually.ts';
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
