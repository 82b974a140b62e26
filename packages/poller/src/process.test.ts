import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { program, run } from './fixtures/child.ts';
import { pinThread, releaseFilePages, signalOnParentDeath, trimMemory } from './index.ts';

/** The letter of proc_pid_stat(5); Z where nobody has reaped it yet. */
function stateOf(pid: number): string {
  try {
    return /\) (\w)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1] ?? '';
  } catch {
    return 'gone';
  }
}

describe('pinThread', () => {
  it('pins the calling thread and no other', async () => {
    const ending = await run(process.execPath, [program('pin.mjs')]);
    expect(ending).toMatchObject({ code: 0, signal: null });
    const { allowed, answer, main, others } = JSON.parse(ending.output);
    expect(answer).toBe(0);
    expect(main).toBe(allowed.split(/[,-]/)[0]);
    expect(others.length).toBeGreaterThan(0);
    for (const other of others) expect(other).toBe(allowed);
  });

  it('answers -EINVAL for a CPU that is not allowed to us', () => {
    expect(pinThread(16_000)).toBe(-constants.errno.EINVAL);
  });
});

describe('signalOnParentDeath', () => {
  it('ends a process whose loop is blocked when its parent dies', async () => {
    const parent = spawn(process.execPath, [program('orphan.mjs'), 'parent'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface(parent.stdout);
    const [pid] = (await once(lines, 'line')).map(Number);
    expect(pid).toBeGreaterThan(0);
    parent.kill('SIGKILL');
    // The grandchild holds the pipe as well, and is blocked for ever: it closes when both are dead.
    await once(parent.stdout, 'close');
    await expect.poll(() => stateOf(pid ?? 0)).toMatch(/^(gone|Z)$/);
  });

  it('refuses what is no signal', () => {
    expect(() => signalOnParentDeath(65)).toThrow(TypeError);
    expect(signalOnParentDeath(0)).toBe(0);
  });
});

describe('trimMemory', () => {
  it('may be called at any time, and finds little the second time', () => {
    expect(typeof trimMemory()).toBe('boolean');
    expect(typeof trimMemory()).toBe('boolean');
  });

  it('gives back what small pieces held in the middle of the heap', async () => {
    const child = spawn(process.execPath, ['--expose-gc', program('trim.mjs')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = await once(createInterface(child.stdout), 'line');
    const { before, after } = JSON.parse(String(line));
    expect(before - after).toBeGreaterThan(4 * 1024 * 1024);
  });
});

/** Of this process, pages of files. */
function residentFileKb(): number {
  return Number(/^RssFile:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

describe('releaseFilePages', () => {
  it('takes megabytes of Node out of a process, which reads them again when it needs them', () => {
    const before = residentFileKb();
    const released = releaseFilePages();
    expect(released).toBeGreaterThan(10_000);
    expect(before - residentFileKb()).toBeGreaterThan(released / 2);
    // Code of Node that nothing has called yet.
    expect(gunzipSync(gzipSync('again')).toString()).toBe('again');
  });

  it('leaves what belongs to the process alone', () => {
    const mine = Buffer.alloc(1024 * 1024, 7);
    releaseFilePages();
    expect(mine.every((byte) => byte === 7)).toBe(true);
  });
});
