import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { registerFixture } from '@roost/testing';
import { afterAll, describe, expect, it } from 'vitest';
import { createOrSkip } from './fixtures/create-or-skip.ts';
import { phantomLinks } from './phantom-link.ts';

const PROGRAM = fileURLToPath(new URL('fixtures/refused-at-once.mjs', import.meta.url));
const namespace = createOrSkip(phantomLinks(1, 0));
afterAll(() => namespace?.remove());

describe.skipIf(namespace === undefined)('the events of phantoms', () => {
  it('are told to the last, also when more come at once than there is room for', async () => {
    const child = spawn('nsenter', [`--net=${namespace!.path}`, process.execPath, PROGRAM], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const release = registerFixture({
      what: `refused-at-once.mjs (pid ${child.pid})`,
      terminate: () => child.kill('SIGKILL'),
    });
    const exited = once(child, 'close');
    let refused = 0;
    for await (const line of createInterface({ input: child.stdout })) refused = Number(line);
    await exited;
    release();
    expect(refused).toBe(4000);
  });
});
