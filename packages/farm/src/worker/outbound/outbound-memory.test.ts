import { expect, it } from 'vitest';
import { OutboundMemory } from './outbound-memory.ts';
import { OutboundQueue } from './outbound-queue.ts';

it('counts buffers whole, whatever part of them waits, until their last byte is taken', () => {
  const memory = new OutboundMemory();
  const queue = new OutboundQueue(memory);
  const empty = memory.bytes;
  queue.add(Buffer.alloc(100_000), 99_000, false);
  expect(memory.bytes - empty).toBeGreaterThanOrEqual(100_000);
  queue.taken(999);
  expect(memory.bytes - empty).toBeGreaterThanOrEqual(100_000);
  queue.taken(1);
  expect(memory.bytes).toBe(empty);
});

it('counts a shared buffer once, and a little for each queue that it stands in', () => {
  const memory = new OutboundMemory();
  const frame = Buffer.alloc(100_000);
  const queues = Array.from({ length: 100 }, () => new OutboundQueue(memory));
  for (const queue of queues) queue.add(frame, 0, true);
  expect(memory.bytes).toBeGreaterThan(100_000);
  expect(memory.bytes).toBeLessThan(100_000 + 100 * 512);
  for (const queue of queues.slice(1)) queue.release();
  expect(memory.bytes).toBeGreaterThan(100_000);
  queues[0]?.taken(100_000);
  expect(memory.bytes).toBeLessThan(1000);
  queues[0]?.release();
  expect(memory.bytes).toBe(0);
});

it('counts what gathered frames hold, not what they are', () => {
  const memory = new OutboundMemory();
  const queue = new OutboundQueue(memory);
  queue.add(Buffer.from('abc'), 0, true);
  expect(memory.bytes).toBeGreaterThan(512);
  for (let count = 0; count < 10_000; count++) queue.add(Buffer.from('abc'), 0, true);
  const full = memory.bytes;
  expect(full).toBeGreaterThan(30_000);
  expect(full).toBeLessThan(70_000);
  expect(queue.keepFirst()).toBe(10_001 - Math.floor(512 / 3));
  expect(memory.bytes).toBeLessThan(2000);
  queue.release();
  expect(memory.bytes).toBe(0);
});

it('foresees no less than what an addition costs', () => {
  const memory = new OutboundMemory();
  const frame = Buffer.alloc(100_000);
  for (const isShared of [true, true, false]) {
    for (const buffer of [frame, Buffer.alloc(513), Buffer.alloc(5)]) {
      const cost = memory.costOf(buffer, isShared);
      const before = memory.bytes;
      new OutboundQueue(memory).add(buffer, 0, isShared);
      expect(memory.bytes - before).toBeLessThanOrEqual(cost);
    }
  }
});
