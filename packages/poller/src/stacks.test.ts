import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { program } from './fixtures/child.ts';
import { closeDescriptor, descriptorPair, receiveDescriptors, sendDescriptors } from './index.ts';

const NONE = new Int32Array(0);
const REQUEST = Buffer.from('?');

const children: ChildProcess[] = [];
const channels: number[] = [];
afterEach(async () => {
  for (const channel of channels.splice(0)) closeDescriptor(channel);
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

interface Stuck {
  readonly child: ChildProcess;
  readonly channel: number;
}

async function start(way: string): Promise<Stuck> {
  const [ours, theirs] = descriptorPair();
  const child = spawn(process.execPath, [program('stuck.mjs'), way], {
    stdio: ['ignore', 'pipe', 'inherit', theirs],
  });
  children.push(child);
  channels.push(ours);
  closeDescriptor(theirs);
  const [line] = child.stdout === null ? [] : await once(child.stdout, 'data');
  expect(String(line)).toBe('0\n');
  return { child, channel: ours };
}

function received(channel: number): string | undefined {
  const record = Buffer.alloc(16 * 1024);
  const { bytes } = receiveDescriptors(channel, NONE, record, { bytes: 0, count: 0, truncated: false });
  if (bytes === -constants.errno.EAGAIN) return undefined;
  return record.toString('utf8', 0, bytes);
}

/** Asks until there is an answer: one that is asked before it is stuck may be between two timers. */
async function stackOf({ channel }: Stuck): Promise<string> {
  let stack: string | undefined;
  await expect
    .poll(
      () => {
        sendDescriptors(channel, NONE, 0, REQUEST);
        stack = received(channel);
        return stack;
      },
      { timeout: 20_000, interval: 20 },
    )
    .toContain('stuckHere');
  return stack ?? '';
}

describe('a thread that answers requests for its stack', () => {
  it.each([
    ['in a loop', 'in a loop'],
    ['in a regular expression', 'RegExp.test'],
    ['in Atomics.wait', 'Atomics.wait'],
    ['with a formatter of stacks that throws', 'with a formatter of stacks that throws'],
    ['with a formatter of stacks that answers objects', 'with a formatter of stacks that answers objects'],
    ['without a single frame in stacks', 'without a single frame in stacks'],
  ])('says where it is stuck: %s', async (way, frame) => {
    const stack = await stackOf(await start(way));
    expect(stack).toMatch(/^Error\n {4}at /);
    expect(stack).toContain(frame);
    expect(stack).toMatch(/at Timeout\.stuckHere \[as _onTimeout\] \(.*stuck\.mjs:\d+:\d+\)/);
  });

  it('is not interrupted again while the app writes the stack of the interrupt before', async () => {
    const { channel } = await start('with a formatter of stacks that is slow');
    const answers: string[] = [];
    while (answers.length < 20) {
      sendDescriptors(channel, NONE, 0, REQUEST);
      const answer = received(channel);
      // One from before the formatter was set may be the first.
      if (answer !== undefined && (answers.length > 0 || answer.includes('the formatter')))
        answers.push(answer);
      await new Promise(setImmediate);
    }
    expect(new Set(answers)).toEqual(new Set(['Error\n    at the formatter']));
  });

  it('says where its own environment is stuck, whatever others answer at the same time', async () => {
    const pairs = [descriptorPair(), descriptorPair()] as const;
    const stdio = ['ignore', 'ignore', 'inherit', ...pairs.map(([, theirs]) => theirs)] as const;
    children.push(spawn(process.execPath, [program('stuck-threads.mjs')], { stdio: [...stdio] }));
    channels.push(...pairs.map(([ours]) => ours));
    for (const [, theirs] of pairs) closeDescriptor(theirs);
    const answers: [string[], string[]] = [[], []];
    while (answers.some(({ length }) => length < 5000)) {
      for (const [index, [ours]] of pairs.entries()) {
        sendDescriptors(ours, NONE, 0, REQUEST);
        const answer = received(ours);
        if (answer !== undefined) answers[index]?.push(...(answer.match(/stuck(?:First|Second)/g) ?? []));
      }
      await new Promise(setImmediate);
    }
    expect(answers.map((names) => new Set(names))).toEqual([
      new Set(['stuckFirst']),
      new Set(['stuckSecond']),
    ]);
  });

  it('says nothing while no JavaScript runs, and its end closes the channel', async () => {
    const { child, channel } = await start('in the event loop');
    sendDescriptors(channel, NONE, 0, REQUEST);
    expect(received(channel)).toBeUndefined();
    child.kill('SIGTERM');
    await once(child, 'exit');
    expect(received(channel)).toBe('');
  });

  it('goes on as before, with its own setting of stacks, and ends cleanly in the middle of requests', async () => {
    const { child, channel } = await start('in short loops');
    for (let answers = 0; answers < 50;) {
      sendDescriptors(channel, NONE, 0, REQUEST);
      // One from before the loop may find the child without its handler of SIGTERM.
      if (received(channel)?.includes('shortLoop') === true) answers++;
      await new Promise(setImmediate);
    }
    child.kill('SIGTERM');
    const exited = once(child, 'exit');
    while (child.exitCode === null && child.signalCode === null) {
      sendDescriptors(channel, NONE, 0, REQUEST);
      received(channel);
      await new Promise(setImmediate);
    }
    // What it exits with is Error.stackTraceLimit.
    expect(await exited).toEqual([10, null]);
  });
});
