import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { redisIsInstalled, seededRandom, testSeed } from '@roost/testing';
import { beforeAll, describe, expect, it } from 'vitest';
import { growthOf } from '../bench/soak/growth.mjs';

interface Verdict {
  readonly what: string;
  readonly value: number;
  readonly passes: boolean;
}

interface Soaked {
  readonly code: number;
  readonly said: string;
  readonly failed: readonly string[];
  readonly verdicts: readonly Verdict[];
}

/** A soak of a few seconds: a farm of its own, with a Redis of its own. */
async function soak(...more: readonly string[]): Promise<Soaked> {
  const folder = mkdtempSync(join(tmpdir(), 'roost-soak-'));
  try {
    const args = [
      'bench/soak.mjs',
      '--minutes=0.06',
      '--connections=60',
      '--chart=off',
      `--results=${folder}`,
    ];
    const child = spawn(process.execPath, [...args, ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
    const output = Promise.all([text(child.stdout), text(child.stderr)]);
    const [code] = await once(child, 'close');
    const said = (await output).join('');
    const [file] = readdirSync(folder);
    if (file === undefined) throw new Error(`the soak has found nothing: ${said}`);
    const { verdicts }: { verdicts: readonly Verdict[] } = JSON.parse(
      readFileSync(join(folder, file), 'utf8'),
    );
    const failed = verdicts.filter(({ passes }) => !passes).map(({ what }) => what);
    return { code: Number(code), said, failed, verdicts };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

describe.skipIf(!redisIsInstalled())('a soak', () => {
  let sound: Soaked;
  let leaking: Soaked;
  beforeAll(async () => {
    // What a heap takes in its first seconds is no leak.
    [sound, leaking] = await Promise.all([
      soak('--max-growth-mb=64'),
      // Workers report every second, and growth is judged by the second half.
      soak('--leak', '--minutes=0.15'),
    ]);
  });

  it('passes a farm that is well: nothing lost, nothing left, nobody thrown out', () => {
    expect(sound.failed, sound.said).toEqual([]);
    expect(sound.code, sound.said).toBe(0);
    expect(sound.verdicts.length).toBeGreaterThan(30);
  });

  it('fails a farm whose application keeps memory and descriptors of connections that have gone', () => {
    expect(leaking.code, leaking.said).toBe(1);
    expect(leaking.failed).toContainEqual(expect.stringMatching(/^growth of external memory of worker/));
    expect(leaking.failed).toContainEqual(expect.stringMatching(/^growth of memory of worker/));
    expect(leaking.failed).toContainEqual(
      expect.stringMatching(/^descriptors of worker \d that were not there before$/),
    );
  });

  it('fails a farm that loses messages and ends connections', () => {
    expect(leaking.failed).toContain('messages lost');
    expect(leaking.failed).toContain('roost_closes_total of other codes');
    expect(leaking.said).toContain('a connection ended with 4900 for no reason');
  });
});

describe('growth', () => {
  const random = seededRandom(testSeed(18));
  /** A heap: it grows by garbage, is collected now and then, and leaks so much with each sample. */
  const heap = (leak: number): number[] => {
    let garbage = 0;
    return Array.from({ length: 360 }, (_, sample) => {
      garbage = random(8) === 0 ? 0 : garbage + random(100) / 50;
      return 20 + garbage + leak * sample;
    });
  };

  it('is what leaks, whatever collections do', () => {
    expect(Math.abs(growthOf(heap(0)))).toBeLessThan(0.2);
    // Over the second half: 180 samples.
    expect(growthOf(heap(0.01))).toBeGreaterThan(1.5);
    expect(growthOf(heap(0.01))).toBeLessThan(2);
    expect(growthOf(heap(-0.01))).toBeLessThan(-1.5);
  });

  it('leaves out the first half, in which a farm warms up, and is not bent by a few bad windows', () => {
    const warmingUp = Array.from({ length: 180 }, (_, sample) => sample).concat(Array(180).fill(200));
    expect(growthOf(warmingUp)).toBe(0);
    const peaks = heap(0).map((value, sample) => (sample >= 300 && sample < 345 ? value + 50 : value));
    expect(Math.abs(growthOf(peaks))).toBeLessThan(5);
  });

  it('is 0 of what cannot be told', () => {
    expect([growthOf([]), growthOf([7])]).toEqual([0, 0]);
  });
});
