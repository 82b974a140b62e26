import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startTestFarm } from '@roost/farm/testing';
import type { TestFarm } from '@roost/farm/testing';

describe('a room', () => {
  let farm: TestFarm;
  before(async () => {
    farm = await startTestFarm(new URL('../app.ts', import.meta.url), { startDeadlineMs: 30_000 });
  });
  after(() => farm.stop());

  it('passes what one client says on to all', async () => {
    const ann = await farm.connect('/room/lobby');
    const bob = await farm.connect('/room/lobby');
    assert.equal((await ann.next()).text, 'welcome');
    assert.equal((await bob.next()).text, 'welcome');
    ann.send('hello');
    assert.equal((await ann.next()).text, 'hello');
    assert.equal((await bob.next()).text, 'hello');
  });

  it('is refused when its name is none', async () => {
    await assert.rejects(farm.connect('/room/'), { status: 404 });
  });
});
