import { expect, it } from 'vitest';
import { OutboundMemory } from './outbound-memory.ts';
import { OutboundQueue } from './outbound-queue.ts';

/** Takes everything, so many bytes at a time. */
function drain(queue: OutboundQueue, step: number): Buffer {
  const taken: Buffer[] = [];
  for (let { first } = queue; first !== undefined; { first } = queue) {
    const count = Math.min(step, first.end - first.start);
    taken.push(Buffer.from(first.buffer.subarray(first.start, first.start + count)));
    queue.taken(count);
  }
  return Buffer.concat(taken);
}

it.each([1, 7, 511, 1_000_000])('gives back what was added, in order, %i bytes at a time', (step) => {
  const queue = new OutboundQueue(new OutboundMemory());
  const added: Buffer[] = [];
  for (const length of [1, 2, 512, 513, 3, 20_000, 5, 512, 512, 512, 600, 1]) {
    const bytes = Buffer.alloc(length + 2, added.length + 1);
    queue.add(bytes, 2, false);
    added.push(bytes.subarray(2));
  }
  expect(queue.bytes).toBe(Buffer.concat(added).length);
  expect(drain(queue, step).equals(Buffer.concat(added))).toBe(true);
  expect(queue.bytes).toBe(0);
});

it('takes what is added while the block before it is being sent', () => {
  const queue = new OutboundQueue(new OutboundMemory());
  queue.add(Buffer.from('abc'), 0, false);
  queue.taken(2);
  queue.add(Buffer.from('def'), 0, false);
  expect(String(drain(queue, 10))).toBe('cdef');
  queue.add(Buffer.from('ghi'), 1, false);
  expect(String(drain(queue, 10))).toBe('hi');
});

it('shares large frames and gathers small ones: the memory is about the bytes', () => {
  const queue = new OutboundQueue(new OutboundMemory());
  const large = Buffer.alloc(10_000);
  queue.add(large, 0, false);
  expect(queue.first?.buffer).toBe(large);
  for (let count = 0; count < 10_000; count++) queue.add(Buffer.from('x'), 0, false);
  let memory = 0;
  let chunks = 0;
  for (let chunk = queue.first; chunk !== undefined; chunk = chunk.next) {
    memory += chunk.buffer.length;
    chunks++;
  }
  expect(queue.bytes).toBe(20_000);
  expect(memory).toBeLessThan(30_000);
  expect(chunks).toBeLessThan(10);
});

it('keeps of a stream that is given up only the chunk that may have begun', () => {
  const queue = new OutboundQueue(new OutboundMemory());
  queue.keepFirst();
  queue.add(Buffer.alloc(1000, 'a'), 0, false);
  queue.add(Buffer.alloc(1000, 'b'), 0, false);
  queue.add(Buffer.from('c'), 0, false);
  queue.taken(10);
  queue.keepFirst();
  expect(queue.bytes).toBe(990);
  queue.add(Buffer.from('d'), 0, false);
  expect(String(drain(queue, 1000))).toBe(`${'a'.repeat(990)}d`);
});
