import { readdirSync } from 'node:fs';
import {
  ADDRESS_BYTES,
  closeDescriptor,
  descriptorPair,
  receiveDescriptors,
  sendDescriptors,
} from '@roost/poller';
import { eventually } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HandOffKind, HandOffRecord, MAX_BATCH, writeAcknowledgement } from '../../link/hand-off-record.ts';
import { HandOff, type AcceptedSocket } from './hand-off.ts';
import { throwingGuard } from '../fixtures/throwing-guard.ts';

/** What the worker's side of the pair has received, descriptors included. */
interface ReceivedBatch {
  readonly kind: number;
  readonly batch: number;
  readonly numbers: number[];
  readonly addresses: string[];
  readonly flags: number[];
  readonly fds: number[];
}

let workerEnd: number;
let handOff: HandOff;
let acknowledged: number[];
let returned: AcceptedSocket[];
let refused: number[];
let lost: { readonly sockets: readonly AcceptedSocket[]; readonly errno: number }[];
let openBefore: number;
let isEnded: boolean;

beforeEach(() => {
  openBefore = openDescriptors();
  let masterEnd: number;
  [masterEnd, workerEnd] = descriptorPair();
  acknowledged = [];
  returned = [];
  refused = [];
  lost = [];
  isEnded = false;
  handOff = new HandOff(masterEnd, 800, throwingGuard(), {
    acknowledged: (count) => acknowledged.push(count),
    returned: (sockets) => returned.push(...sockets),
    refused: (errno) => refused.push(errno),
    lost: (sockets, errno) => lost.push({ sockets, errno }),
  });
});

afterEach(() => {
  if (!isEnded) HandOff.drop(handOff.end());
  if (workerEnd !== -1) closeDescriptor(workerEnd);
  HandOff.drop(returned);
  expect(openDescriptors(), 'every descriptor is closed exactly once').toBe(openBefore);
});

function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

function end(): AcceptedSocket[] {
  isEnded = true;
  return handOff.end();
}

/** A socket with a descriptor of its own. */
function socket(number: number, flags = 0): AcceptedSocket {
  const [fd, other] = descriptorPair();
  closeDescriptor(other);
  return { fd, number, flags, address: Buffer.alloc(ADDRESS_BYTES, number) };
}

/** What waits on the worker's side; undefined for nothing. Its copies are closed by who asks. */
function receive(room = MAX_BATCH): ReceivedBatch | undefined {
  const record = new HandOffRecord();
  const fds = new Int32Array(room);
  const result = receiveDescriptors(workerEnd, fds, record.buffer, { bytes: 0, count: 0, truncated: false });
  if (result.bytes <= 0) return undefined;
  const indices = Array.from({ length: record.count }, (_, index) => index);
  return {
    kind: record.kind,
    batch: record.batch,
    numbers: indices.map((index) => record.connectionNumber(index)),
    addresses: indices.map((index) => {
      const at = record.addressOffset(index);
      return record.buffer.toString('hex', at, at + ADDRESS_BYTES);
    }),
    flags: indices.map((index) => record.flags(index)),
    fds: [...fds.subarray(0, result.count)],
  };
}

function acknowledge(batch: number, arrived: number): void {
  const record = Buffer.alloc(8);
  writeAcknowledgement(record, batch, arrived);
  expect(sendDescriptors(workerEnd, new Int32Array(0), 0, record)).toBe(0);
}

/** Receives and acknowledges everything, and closes it as a worker that ends. Answers the numbers. */
function takeAll(): number[] {
  const numbers: number[] = [];
  for (let batch = receive(); batch !== undefined; batch = receive()) {
    acknowledge(batch.batch, batch.fds.length);
    for (const fd of batch.fds) closeDescriptor(fd);
    numbers.push(...batch.numbers);
  }
  return numbers;
}

describe('a batch that the kernel does not take', () => {
  it('because it never can is lost, which is told once, and owes no answer', () => {
    handOff.add({ fd: 1_000_000, number: 1, address: Buffer.alloc(ADDRESS_BYTES), flags: 0 });
    handOff.flush();
    // No such descriptor.
    expect(lost.map(({ errno, sockets }) => [errno, sockets.map(({ fd }) => fd)])).toEqual([
      [9, [1_000_000]],
    ]);
    expect([handOff.unacknowledged, handOff.oldestSentAt, refused]).toEqual([0, undefined, []]);
  });
});

describe('a hand-off', () => {
  it('sends what was added with the next flush, with numbers, addresses and flags', () => {
    handOff.add(socket(1));
    handOff.add(socket(2, 1));
    expect(receive()).toBeUndefined();
    handOff.flush();
    const batch = receive();
    expect(batch).toMatchObject({ batch: 1, numbers: [1, 2], flags: [0, 1] });
    expect(batch?.addresses).toEqual(['01'.repeat(18), '02'.repeat(18)]);
    expect(batch?.fds).toHaveLength(2);
    for (const fd of batch?.fds ?? []) closeDescriptor(fd);
    handOff.flush();
    expect(receive()).toBeUndefined();
  });

  it('takes an address from where the acceptor wrote it', () => {
    const { fd } = socket(3);
    const addresses = Buffer.concat([Buffer.alloc(ADDRESS_BYTES, 0xaa), Buffer.alloc(ADDRESS_BYTES, 0xbb)]);
    handOff.add({ fd, number: 3, flags: 0, address: Buffer.alloc(ADDRESS_BYTES) }, addresses, ADDRESS_BYTES);
    handOff.flush();
    const batch = receive();
    expect(batch?.addresses).toEqual(['bb'.repeat(18)]);
    for (const each of batch?.fds ?? []) closeDescriptor(each);
  });

  it('sends a full batch at once', () => {
    for (let number = 1; number <= MAX_BATCH + 1; number++) handOff.add(socket(number));
    const batch = receive();
    expect(batch?.numbers).toHaveLength(MAX_BATCH);
    for (const fd of batch?.fds ?? []) closeDescriptor(fd);
    expect(receive()).toBeUndefined();
  });

  it('keeps our copies until the worker has acknowledged them, and then closes them', () => {
    const before = openDescriptors();
    for (const number of [1, 2, 3]) handOff.add(socket(number));
    handOff.flush();
    expect([handOff.unacknowledged, handOff.room]).toEqual([3, 797]);
    expect(openDescriptors()).toBe(before + 3);
    expect(takeAll()).toEqual([1, 2, 3]);
    expect(openDescriptors()).toBe(before + 3);
    handOff.readAcknowledgements();
    expect(openDescriptors()).toBe(before);
    expect(acknowledged).toEqual([3]);
    expect([handOff.unacknowledged, handOff.room]).toEqual([0, 800]);
    expect(returned).toEqual([]);
  });

  it('has room for so many unacknowledged ones, sent or not', () => {
    for (let number = 1; number <= 100; number++) handOff.add(socket(number));
    expect(handOff.room).toBe(700);
    handOff.flush();
    expect(handOff.room).toBe(700);
    takeAll();
    handOff.readAcknowledgements();
    expect(handOff.room).toBe(800);
  });

  it('knows how long the oldest answer is owed', () => {
    expect(handOff.oldestSentAt).toBeUndefined();
    const before = performance.now();
    handOff.add(socket(1));
    expect(handOff.oldestSentAt).toBeUndefined();
    handOff.flush();
    const first = handOff.oldestSentAt;
    expect(first).toBeGreaterThanOrEqual(before);
    handOff.add(socket(2));
    handOff.flush();
    expect(handOff.oldestSentAt).toBe(first);
    takeAll();
    handOff.readAcknowledgements();
    expect(handOff.oldestSentAt).toBeUndefined();
  });

  it('ignores an acknowledgement of a batch that it does not know, or knows no more', () => {
    handOff.add(socket(1));
    handOff.flush();
    takeAll();
    acknowledge(1, 1);
    acknowledge(77, 64);
    handOff.readAcknowledgements();
    expect(acknowledged).toEqual([1]);
    expect(handOff.unacknowledged).toBe(0);
  });
});

describe('a batch of which only a part arrived', () => {
  it('gives back the rest to be placed again, with its facts', () => {
    const sockets = [socket(1), socket(2), socket(3, 1)];
    for (const each of sockets) handOff.add(each);
    handOff.flush();
    const batch = receive(1);
    expect(batch?.fds).toHaveLength(1);
    acknowledge(batch?.batch ?? 0, 1);
    closeDescriptor(batch?.fds[0] ?? -1);
    handOff.readAcknowledgements();
    expect(acknowledged).toEqual([1]);
    expect(returned.map(({ fd, number, flags }) => ({ fd, number, flags }))).toEqual([
      { fd: sockets[1]?.fd, number: 2, flags: 0 },
      { fd: sockets[2]?.fd, number: 3, flags: 1 },
    ]);
    expect(returned.map(({ address }) => Buffer.from(address).toString('hex'))).toEqual([
      '02'.repeat(18),
      '03'.repeat(18),
    ]);
    expect(handOff.unacknowledged).toBe(0);
  });

  it('gives back all of it when none arrived; they can be handed off again', () => {
    handOff.add(socket(1));
    handOff.flush();
    const batch = receive();
    for (const fd of batch?.fds ?? []) closeDescriptor(fd);
    acknowledge(1, 0);
    handOff.readAcknowledgements();
    expect(acknowledged).toEqual([0]);
    for (const each of returned.splice(0)) handOff.add(each);
    handOff.flush();
    expect(takeAll()).toEqual([1]);
    handOff.readAcknowledgements();
    expect(acknowledged).toEqual([0, 1]);
  });
});

describe('the end of a worker', () => {
  it('gives back exactly what it never acknowledged: sent, waiting or not sent yet', () => {
    handOff.add(socket(1));
    handOff.add(socket(2));
    handOff.flush();
    handOff.add(socket(3));
    handOff.flush();
    const first = receive();
    acknowledge(first?.batch ?? 0, 2);
    for (const fd of first?.fds ?? []) closeDescriptor(fd);
    handOff.add(socket(4));
    closeDescriptor(workerEnd);
    workerEnd = -1;
    returned = end();
    expect(returned.map(({ number }) => number)).toEqual([3, 4]);
    expect(acknowledged).toEqual([2]);
    expect([handOff.unacknowledged, handOff.oldestSentAt]).toEqual([0, undefined]);
  });

  it('before its first flush gives back everything', () => {
    handOff.add(socket(1));
    returned = end();
    expect(returned.map(({ number }) => number)).toEqual([1]);
  });

  it('gives back what could not be sent because it was gone', () => {
    closeDescriptor(workerEnd);
    workerEnd = -1;
    const before = performance.now();
    handOff.add(socket(1));
    handOff.flush();
    expect(handOff.oldestSentAt, 'its silence counts from the first try').toBeGreaterThanOrEqual(before);
    returned = end();
    expect(returned.map(({ number }) => number)).toEqual([1]);
  });
});

describe('a worker that does not read', () => {
  it('makes batches wait; they travel in order when it reads again', async () => {
    const numbers = Array.from({ length: 800 }, (_, index) => index + 1);
    // One socket a batch: the socket holds fewer records than that.
    for (const number of numbers) {
      handOff.add(socket(number));
      handOff.flush();
    }
    expect(handOff.room).toBe(0);
    const taken: number[] = [];
    let rounds = 0;
    await eventually(() => {
      const more = takeAll();
      if (more.length > 0) rounds++;
      taken.push(...more);
      handOff.readAcknowledgements();
      return taken.length === 800;
    });
    expect(taken).toEqual(numbers);
    expect(rounds, 'some had to wait').toBeGreaterThan(1);
    expect(handOff.unacknowledged).toBe(0);
    expect(acknowledged).toHaveLength(800);
  });
});

describe('an end of the pair of a move', () => {
  it('travels in a record of its own, at once, and is not ours any more', () => {
    const [ours, theirs] = descriptorPair();
    handOff.add(socket(1));
    handOff.addPair(77, theirs);
    const pair = receive();
    expect(pair).toMatchObject({ kind: HandOffKind.movePair, batch: 77, numbers: [] });
    const [received = -1] = pair?.fds ?? [];
    expect(sendDescriptors(received, new Int32Array(0), 0, Buffer.from('hello'))).toBe(0);
    const record = Buffer.alloc(8);
    receiveDescriptors(ours, new Int32Array(0), record, { bytes: 0, count: 0, truncated: false });
    expect(record.toString('latin1', 0, 5)).toBe('hello');
    for (const fd of [ours, received]) closeDescriptor(fd);
    expect(handOff.unacknowledged).toBe(1);
    returned = end();
  });

  it('waits for a worker that does not read, and ends with it', async () => {
    const [ours, theirs] = descriptorPair();
    for (let number = 1; number <= 700; number++) {
      handOff.add(socket(number));
      handOff.flush();
    }
    handOff.addPair(78, theirs);
    let pair: ReceivedBatch | undefined;
    await eventually(() => {
      for (let batch = receive(); batch !== undefined; batch = receive()) {
        if (batch.kind === HandOffKind.movePair) pair = batch;
        else {
          acknowledge(batch.batch, batch.fds.length);
          for (const fd of batch.fds) closeDescriptor(fd);
        }
      }
      handOff.readAcknowledgements();
      return pair !== undefined && handOff.unacknowledged === 0;
    });
    for (const fd of [ours, ...(pair?.fds ?? [])]) closeDescriptor(fd);
  });
});
