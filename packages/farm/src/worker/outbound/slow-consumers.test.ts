import { MessageDeflater } from '@roost/websocket';
import { beforeEach, describe, expect, it } from 'vitest';
import { Counters } from '../../api/counters.ts';
import { Clock } from '../rows/clock.ts';
import { ConnectionTable, RowFlag, RowState } from '../rows/connection-table.ts';
import { OutboundMemory } from './outbound-memory.ts';
import { OutboundQueue } from './outbound-queue.ts';
import { Outbound } from './outbound.ts';
import { SlowConsumers, type Remainder, type SlowConsumersParts } from './slow-consumers.ts';

const KB = 1000;
const QUEUE_FULL = 'slow consumer: the outbound queue is full';
const ALL_FULL = "slow consumer: the server's outbound queues are full";

let table: ConnectionTable;
let counters: Counters;
let memory: OutboundMemory;
let queues: Map<number, OutboundQueue>;
let slow: SlowConsumers;

/** By default nothing reaches a bound. */
function setUp(config: Partial<SlowConsumersParts['config']> = {}): void {
  table = new ConnectionTable(100);
  counters = new Counters();
  memory = new OutboundMemory();
  queues = new Map();
  const bounds = { maxOutboundBytes: 1000 * KB, maxOutboundBytesPerWorker: 10_000 * KB };
  slow = new SlowConsumers({
    config: { slowConsumerPolicy: 'close', ...bounds, ...config },
    table,
    counters,
    queues,
    memory,
  });
}

/** An open row, in whose queue frames of so many bytes wait. */
function openRow(...frames: readonly number[]): number {
  const slot = table.allocate(20, 1, new Uint8Array(16), 0);
  table.setFlag(slot, RowFlag.open | RowFlag.sendable);
  for (const bytes of frames) add(slot, Buffer.alloc(bytes));
  return slot;
}

function add(slot: number, bytes: Buffer, isShared = false): void {
  const queue = queues.get(slot) ?? new OutboundQueue(memory);
  queues.set(slot, queue);
  queue.add(bytes, 0, isShared);
}

/** Whether a row may keep one more frame of so many bytes. */
function admits(slot: number, bytes: number, facts: Partial<Remainder> = {}): boolean {
  return slow.admits(slot, {
    bytes: Buffer.alloc(bytes),
    start: 0,
    isBegun: false,
    isShared: false,
    ...facts,
  });
}

/** Lengths of what waits for a row. */
function waiting(slot: number): number[] {
  const lengths: number[] = [];
  for (let chunk = queues.get(slot)?.first; chunk !== undefined; chunk = chunk.next) {
    lengths.push(chunk.end - chunk.start);
  }
  return lengths;
}

/** Who was judged, and why, in order. */
function verdicts(): (readonly [slot: number, reason: string | undefined])[] {
  return slow.takeVerdicts().map(({ slot, reason }) => [slot, reason] as const);
}

describe('a queue longer than maxOutboundBytes', () => {
  it('is one that would have a byte more', () => {
    setUp({ maxOutboundBytes: 100 * KB });
    const slot = openRow(40 * KB);
    expect(admits(slot, 60 * KB)).toBe(true);
    expect(admits(slot, 60 * KB + 1)).toBe(false);
  });

  it('costs the message with drop, and nothing else', () => {
    setUp({ maxOutboundBytes: 100 * KB, slowConsumerPolicy: 'drop' });
    const slot = openRow(40 * KB, 40 * KB);
    expect(admits(slot, 40 * KB)).toBe(false);
    expect(waiting(slot)).toEqual([40 * KB, 40 * KB]);
    expect(table.hasFlag(slot, RowFlag.sendable)).toBe(true);
    expect(table.isOpen(slot)).toBe(true);
    expect(slow.hasVerdicts).toBe(false);
    expect(counters.get('messages_dropped_slow_consumer')).toBe(1);
  });

  it('costs the connection with close, and its messages but the one that may have begun', () => {
    setUp({ maxOutboundBytes: 100 * KB });
    const slot = openRow(40 * KB, 40 * KB);
    expect(admits(slot, 40 * KB)).toBe(false);
    expect(waiting(slot)).toEqual([40 * KB]);
    expect(table.hasFlag(slot, RowFlag.open | RowFlag.sendable)).toBe(false);
    expect(verdicts()).toEqual([[slot, QUEUE_FULL]]);
    expect(counters.get('closed_slow_consumer')).toBe(1);
  });

  it.each(['close', 'drop'] as const)(
    'is allowed with %s for the rest of a frame that has begun, or the stream would break',
    (slowConsumerPolicy) => {
      setUp({ maxOutboundBytes: 100 * KB, slowConsumerPolicy });
      const slot = openRow();
      expect(admits(slot, 200 * KB, { isBegun: true, start: 10 })).toBe(true);
      expect(slow.hasVerdicts).toBe(false);
    },
  );
});

describe('all queues together at maxOutboundBytesPerWorker', () => {
  const BOUND = 850 * KB;
  /** Four queues; a frame of 130 KB more is too much. */
  let slots: Readonly<Record<'second' | 'longest' | 'third' | 'late', number>>;

  function fill(slowConsumerPolicy: 'close' | 'drop'): void {
    setUp({ maxOutboundBytesPerWorker: BOUND, slowConsumerPolicy });
    slots = {
      second: openRow(200 * KB, 50 * KB),
      longest: openRow(200 * KB, 30 * KB, 30 * KB),
      third: openRow(200 * KB, 20 * KB),
      late: openRow(),
    };
    expect(admits(slots.late, 100 * KB)).toBe(true);
    expect(slow.hasVerdicts).toBe(false);
  }

  it('with drop cost the longest ones their messages, but those that may have begun, until a sixteenth is free', () => {
    fill('drop');
    expect(admits(slots.late, 130 * KB)).toBe(true);
    expect(waiting(slots.longest)).toEqual([200 * KB]);
    // Without the second there would be room for the frame, and for nothing behind it.
    expect(waiting(slots.second)).toEqual([200 * KB]);
    expect(waiting(slots.third)).toEqual([200 * KB, 20 * KB]);
    expect(memory.bytes).toBeLessThanOrEqual(BOUND - BOUND / 16 - 130 * KB);
    expect(counters.get('messages_dropped_outbound_bytes')).toBe(3);
    expect([slots.longest, slots.second].every((slot) => table.isOpen(slot))).toBe(true);
    expect(slow.hasVerdicts).toBe(false);
  });

  it('with close cost the longest ones their connections, the longest first, until a sixteenth is free', () => {
    fill('close');
    expect(admits(slots.late, 130 * KB)).toBe(true);
    expect(verdicts()).toEqual([
      [slots.longest, ALL_FULL],
      [slots.second, ALL_FULL],
    ]);
    expect(waiting(slots.longest)).toEqual([200 * KB]);
    expect(waiting(slots.third)).toEqual([200 * KB, 20 * KB]);
    expect(table.isOpen(slots.longest)).toBe(false);
    expect(table.isOpen(slots.third)).toBe(true);
    expect(counters.get('closed_outbound_bytes')).toBe(2);
    expect(counters.get('ended_outbound_bytes')).toBe(0);
  });

  it('may cost the receiver itself its connection with close: it takes no more', () => {
    fill('close');
    expect(admits(slots.longest, 130 * KB)).toBe(false);
    expect(verdicts()[0]).toEqual([slots.longest, ALL_FULL]);
  });

  it('may cost the receiver itself what waits for it with drop: it takes the next', () => {
    fill('drop');
    expect(admits(slots.longest, 130 * KB)).toBe(true);
    expect(waiting(slots.longest)).toEqual([200 * KB]);
  });

  it('leave a row that closes already alone: its close frame is behind what has begun', () => {
    fill('close');
    table.clearFlag(slots.longest, RowFlag.open | RowFlag.sendable);
    expect(admits(slots.late, 130 * KB)).toBe(true);
    expect(waiting(slots.longest)).toEqual([200 * KB, 30 * KB, 30 * KB]);
    expect(verdicts().map(([slot]) => slot)).toEqual([slots.second, slots.third]);
  });

  it('leave a row alone that is on its way to another worker: its queue may be sent there already', () => {
    fill('close');
    table.states[slots.longest] = RowState.leaving;
    expect(admits(slots.late, 130 * KB)).toBe(true);
    expect(waiting(slots.longest)).toEqual([200 * KB, 30 * KB, 30 * KB]);
    expect(table.isOpen(slots.longest)).toBe(true);
    expect(verdicts().map(([slot]) => slot)).toEqual([slots.second, slots.third]);
  });

  it('count the frame of a broadcast once, in however many of them it stands', () => {
    setUp({ maxOutboundBytesPerWorker: 300 * KB });
    const bytes = Buffer.alloc(100 * KB);
    for (let row = 0; row < 50; row++) {
      const slot = openRow();
      expect(admits(slot, 0, { bytes, isShared: true })).toBe(true);
      add(slot, bytes, true);
    }
    expect(slow.hasVerdicts).toBe(false);
  });
});

describe.each(['close', 'drop'] as const)('frames that have begun, with %s,', (slowConsumerPolicy) => {
  beforeEach(() => setUp({ maxOutboundBytesPerWorker: 900 * KB, slowConsumerPolicy }));

  it('end the longest connections, when they alone leave no room', () => {
    const second = openRow(250 * KB);
    const longest = openRow(300 * KB);
    const third = openRow(200 * KB);
    const late = openRow();
    expect(admits(late, 200 * KB)).toBe(true);
    expect(verdicts()).toEqual([[longest, undefined]]);
    expect(queues.has(longest)).toBe(false);
    expect([longest, second, third].map((slot) => table.isOpen(slot))).toEqual([false, true, true]);
    expect(memory.bytes).toBeLessThan(460 * KB);
    expect(counters.get('ended_outbound_bytes')).toBe(1);
    expect(counters.get('closed_outbound_bytes')).toBe(0);
  });

  it('end a connection that closes already like any other', () => {
    const closing = openRow(500 * KB);
    table.clearFlag(closing, RowFlag.open | RowFlag.sendable);
    const open = openRow(300 * KB);
    expect(admits(openRow(), 200 * KB)).toBe(true);
    expect(verdicts()).toEqual([[closing, undefined]]);
    expect(table.isOpen(open)).toBe(true);
  });

  it('end their own connection, where what is on its way to another worker leaves no room', () => {
    const leaving = openRow(700 * KB);
    table.states[leaving] = RowState.leaving;
    const slot = openRow();
    expect(admits(slot, 250 * KB)).toBe(false);
    expect(verdicts()).toEqual([[slot, undefined]]);
    expect(waiting(leaving)).toEqual([700 * KB]);
    expect(memory.bytes).toBeLessThan(900 * KB);
  });

  it('of more than half of the bound end their own connection, and nobody else', () => {
    const other = openRow(400 * KB);
    const slot = openRow(10 * KB);
    expect(admits(slot, 500 * KB, { isBegun: true, start: 1 })).toBe(false);
    expect(verdicts()).toEqual([[slot, undefined]]);
    expect(queues.has(slot)).toBe(false);
    expect(waiting(other)).toEqual([400 * KB]);
    expect(table.isOpen(other)).toBe(true);
    expect(counters.get('ended_outbound_bytes')).toBe(1);
  });

  it('of more than half of the bound are kept where they fit', () => {
    expect(admits(openRow(), 500 * KB, { isBegun: true, start: 1 })).toBe(true);
    expect(slow.hasVerdicts).toBe(false);
  });
});

describe('verdicts', () => {
  it('are taken once, with the generation of the row that was judged', () => {
    setUp({ maxOutboundBytes: 10 * KB });
    const ended = openRow();
    table.release(ended);
    table.settle();
    const slot = openRow();
    expect(slot).toBe(ended);
    admits(slot, 11 * KB);
    expect(slow.hasVerdicts).toBe(true);
    expect(slow.takeVerdicts()).toEqual([{ slot, generation: 1, reason: QUEUE_FULL }]);
    expect(slow.hasVerdicts).toBe(false);
    expect(slow.takeVerdicts()).toEqual([]);
  });
});

describe('a row that was judged during a send', () => {
  let outbound: Outbound;
  let told: string[];
  let onTold: (slot: number) => void;
  const FRAME = Buffer.alloc(60 * KB);

  beforeEach(() => {
    table = new ConnectionTable(100);
    told = [];
    onTold = () => undefined;
    // Clients that read nothing.
    const sockets = { send: () => 0, setInterest: () => 0, shutdownWrite: () => 0 };
    const deflater = new MessageDeflater({ level: 1 });
    const config = {
      slowConsumerPolicy: 'close',
      maxOutboundBytes: 100 * KB,
      maxOutboundBytesPerWorker: 400 * KB,
      minCompressBytes: 1024,
      maxCompressBytes: 1024,
    } as const;
    const parts = { config, table, clock: new Clock(), counters: new Counters(), sockets, deflater };
    outbound = new Outbound(parts);
    outbound.connect({
      outboundOnEmpty: () => undefined,
      outboundOnSlow(slot, reason) {
        told.push(`${slot} ${reason}`);
        onTold(slot);
      },
      outboundOnNoRoom(slot) {
        told.push(`${slot} no room`);
        onTold(slot);
      },
    });
  });

  it('is told of when the frame of another has its place', () => {
    const hoarders = [openRow(), openRow(), openRow(), openRow()];
    for (const slot of hoarders)
      for (let count = 0; count < 10; count++) outbound.sendChunk(slot, Buffer.alloc(9 * KB));
    expect(told).toEqual([]);
    const late = openRow();
    onTold = () => expect(outbound.bufferedBytes(late)).toBe(60 * KB);
    expect(outbound.sendChunk(late, FRAME)).toBe(true);
    expect(told).toEqual([`${hoarders[0]} ${ALL_FULL}`]);
  });

  it('is told of at once when the frame was its own', () => {
    const slot = openRow();
    outbound.sendChunk(slot, FRAME);
    expect(outbound.sendChunk(slot, FRAME)).toBe(false);
    expect(told).toEqual([`${slot} ${QUEUE_FULL}`]);
  });

  it('is told of behind the whole broadcast, in the order of the verdicts', () => {
    const [first, second, third] = [openRow(), openRow(), openRow()];
    for (const slot of [first, second]) outbound.enqueueBroadcast(slot, FRAME, 0);
    expect(
      [second, third, first].map((slot) => outbound.enqueueBroadcast(slot, Buffer.alloc(50 * KB), 0)),
    ).toEqual([false, true, false]);
    expect(told).toEqual([]);
    outbound.applyVerdicts();
    expect(told).toEqual([`${second} ${QUEUE_FULL}`, `${first} ${QUEUE_FULL}`]);
    outbound.applyVerdicts();
    expect(told).toHaveLength(2);
  });

  it('takes no more of the same broadcast', () => {
    const slot = openRow();
    outbound.enqueueBroadcast(slot, FRAME, 0);
    expect(outbound.enqueueBroadcast(slot, FRAME, 0)).toBe(false);
    expect(outbound.enqueueBroadcast(slot, Buffer.alloc(100), 0)).toBe(false);
    expect(outbound.bufferedBytes(slot)).toBe(60 * KB);
    outbound.applyVerdicts();
    expect(told).toEqual([`${slot} ${QUEUE_FULL}`]);
  });

  it('ends without a close frame when its frame is larger than any queue may be', () => {
    const slot = openRow();
    const other = openRow();
    outbound.sendChunk(other, Buffer.alloc(90 * KB));
    expect(outbound.enqueueBroadcast(slot, Buffer.alloc(350 * KB), 1)).toBe(false);
    outbound.applyVerdicts();
    expect(told).toEqual([`${slot} no room`]);
    expect(outbound.heldBytes).toBeLessThan(100 * KB);
  });

  it('is not told of when another verdict has ended it', () => {
    const [first, second] = [openRow(), openRow()];
    for (const slot of [first, second]) outbound.enqueueBroadcast(slot, FRAME, 0);
    for (const slot of [first, second]) outbound.enqueueBroadcast(slot, FRAME, 0);
    onTold = () => {
      outbound.release(second);
      table.release(second);
      // Its slot has another owner at once.
      table.settle();
      expect(openRow()).toBe(second);
    };
    outbound.applyVerdicts();
    expect(told).toEqual([`${first} ${QUEUE_FULL}`]);
  });
});
