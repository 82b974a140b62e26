import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { registerFixture } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOrSkip } from './fixtures/create-or-skip.ts';
import { phantomLinks } from './phantom-link.ts';

const PROGRAM = fileURLToPath(new URL('fixtures/differential.mjs', import.meta.url));
const namespace = createOrSkip(phantomLinks(1, 0));
afterAll(() => namespace?.remove());

interface Scenario {
  readonly name: string;
  readonly kernel: unknown;
  readonly phantom: unknown;
  readonly counters?: Readonly<Record<string, number>>;
}

/** What both ends saw in each scenario, with a client of the kernel and with a phantom. */
async function runScenarios(path: string, disturbedPerMillion: number): Promise<Map<string, Scenario>> {
  const child = spawn('nsenter', [`--net=${path}`, process.execPath, PROGRAM, String(disturbedPerMillion)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const release = registerFixture({
    what: `differential.mjs (pid ${child.pid})`,
    terminate: () => child.kill('SIGKILL'),
  });
  const exited = once(child, 'close');
  const scenarios = new Map<string, Scenario>();
  for await (const line of createInterface({ input: child.stdout })) {
    const scenario: Scenario = JSON.parse(line);
    scenarios.set(scenario.name, scenario);
  }
  await exited;
  release();
  return scenarios;
}

const NAMES = [
  'echoes one after the other',
  'bulk to the server',
  'bulk to the client',
  'bulk both ways',
  'the client ends first, and the server goes on',
  'the server ends first, and the client goes on',
  'both end at once',
  'the client closes, and the server closes behind it',
  'the client closes while the server sends',
  'the client resets',
  'the server resets',
  'the client stops reading until the window is closed, and goes on',
  'the server stops reading until the window is closed, and goes on',
  'nobody listens',
];

describe.skipIf(namespace === undefined).each([
  ['on a link that loses nothing', 0],
  ['on a link that loses one packet of a hundred, doubles one and delays one', 10_000],
])("a phantom's TCP is as the kernel's %s", (_where, disturbedPerMillion) => {
  let scenarios: Map<string, Scenario>;
  beforeAll(async () => {
    scenarios = await runScenarios(namespace!.path, disturbedPerMillion);
  });

  it.each(NAMES)('%s', (name) => {
    const scenario = scenarios.get(name);
    expect(scenario?.kernel).toBeDefined();
    expect(scenario?.phantom).toEqual(scenario?.kernel);
  });

  it('sends again only what was lost', () => {
    const { resent = -1, refused, early = -1 } = scenarios.get('counters')?.counters ?? {};
    expect(refused).toBe(0);
    if (disturbedPerMillion > 0) {
      expect(resent).toBeGreaterThan(0);
      expect(early).toBeGreaterThan(0);
    } else {
      expect(early).toBe(0);
    }
  });
});
