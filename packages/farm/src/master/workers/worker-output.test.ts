import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { readOutput } from './worker-output.ts';

/** What a program that runs this prints, as it is given to the log. */
async function printed(
  script: string,
  ...flags: readonly string[]
): Promise<{ stdout: string[]; stderr: string[]; outOfHeap: number }> {
  const child = spawn(process.execPath, [...flags, '-e', script], { stdio: ['ignore', 'pipe', 'pipe'] });
  const blocks: { stdout: string[]; stderr: string[]; outOfHeap: number } = {
    stdout: [],
    stderr: [],
    outOfHeap: 0,
  };
  readOutput(
    child,
    (stream, lines) => blocks[stream].push(lines.toString()),
    () => blocks.outOfHeap++,
  );
  await once(child, 'close');
  return blocks;
}

describe('the output of a worker', () => {
  it('is passed on in whole lines, those of stderr apart', async () => {
    const { stdout, stderr } = await printed(`
      const { writeSync } = require('node:fs');
      for (let i = 0; i < 20_000; i++) writeSync(1, i + (i % 2 ? '\\n' : ', '));
      writeSync(2, 'a warning\\nand ');
      writeSync(2, 'another\\n');`);
    for (const block of [...stdout, ...stderr]) expect(block.endsWith('\n')).toBe(true);
    const pairs = Array.from({ length: 10_000 }, (_, i) => `${2 * i}, ${2 * i + 1}\n`);
    expect(stdout.join('')).toBe(pairs.join(''));
    expect(stderr.join('')).toBe('a warning\nand another\n');
  });

  it('gets the end of its last line when there is none', async () => {
    expect((await printed("process.stdout.write('one\\ntwo')")).stdout.join('')).toBe('one\ntwo\n');
  });

  it('has no lines that are longer than can be kept: they are cut', async () => {
    const { stdout } = await printed("process.stdout.write('x'.repeat(1_000_000))");
    expect(stdout.join('').replaceAll('\n', '')).toBe('x'.repeat(1_000_000));
    for (const block of stdout) expect(block.length).toBeLessThanOrEqual(2 * 64 * 1024);
  });

  it('tells when V8 ends it because its heap is full, in the words of this Node', async () => {
    const leak = 'const all = []; for (;;) all.push(new Array(1000).fill(all.length));';
    const { stderr, outOfHeap } = await printed(leak, '--max-old-space-size=32');
    expect(stderr.join('')).toContain('FATAL ERROR');
    expect(outOfHeap).toBe(1);
    expect((await printed("console.error('heap out of memory')")).outOfHeap).toBe(0);
  });

  it('is not waited for when a process of its own holds it open after its end', async () => {
    const child = spawn('sh', ['-c', 'sleep 60 & echo $!'], { stdio: ['ignore', 'pipe', 'pipe'] });
    const output: string[] = [];
    readOutput(
      child,
      (_, lines) => output.push(lines.toString()),
      () => undefined,
    );
    await once(child, 'close');
    process.kill(Number(output.join('')), 'SIGKILL');
  });
});
