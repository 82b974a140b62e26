import { readFileSync, readlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { once } from 'node:events';
import { program, run } from './fixtures/child.ts';
import { Rig } from './fixtures/rig.ts';
import {
  accept,
  ADDRESS_BYTES,
  closeDescriptor,
  connect,
  descriptorPair,
  duplicateDescriptor,
  Interest,
  listen,
  localAddress,
  MAX_DESCRIPTORS_PER_MESSAGE,
  PollFlag,
  receiveDescriptors,
  sendDescriptors,
  setCloseOnExec,
} from './index.ts';

const { EAGAIN, EBADF, EPIPE } = constants.errno;
const NONE = new Int32Array(0);
const FLAGS = /^flags:\s+(\d+)$/m;
const O_CLOEXEC = 0o2000000;

/** What the kernel knows a descriptor by, which copies share. */
function identity(fd: number): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}

describe('a descriptor pair', () => {
  let left: number;
  let right: number;
  const result = { bytes: 0, count: 0, truncated: false };
  const record = Buffer.alloc(64);
  const fds = new Int32Array(MAX_DESCRIPTORS_PER_MESSAGE);
  beforeEach(() => {
    [left, right] = descriptorPair();
  });
  afterEach(() => {
    closeDescriptor(left);
    closeDescriptor(right);
  });

  it('carries a record and its descriptors, and the sender keeps its own', () => {
    const sent = Int32Array.of(left, 0, right);
    expect(sendDescriptors(left, sent, 3, Buffer.from('01020304', 'hex'))).toBe(0);
    expect(receiveDescriptors(right, fds, record, result)).toBe(result);
    expect(result).toEqual({ bytes: 4, count: 3, truncated: false });
    expect(record.toString('hex', 0, 4)).toBe('01020304');
    const received = [...fds.subarray(0, 3)];
    expect(received.map(identity)).toEqual([left, 0, right].map(identity));
    expect(received).not.toContain(left);
    received.forEach(closeDescriptor);
  });

  it('keeps record boundaries, and carries records without descriptors', () => {
    expect(sendDescriptors(left, NONE, 0, Buffer.from('first'))).toBe(0);
    expect(sendDescriptors(left, NONE, 0, Buffer.from('second'))).toBe(0);
    expect(receiveDescriptors(right, fds, record, result)).toEqual({ bytes: 5, count: 0, truncated: false });
    expect(receiveDescriptors(right, fds, record, result)).toEqual({ bytes: 6, count: 0, truncated: false });
    expect(receiveDescriptors(right, fds, record, result)).toEqual({
      bytes: -EAGAIN,
      count: 0,
      truncated: false,
    });
  });

  it('carries 253 descriptors at once and refuses 254', () => {
    const many = new Int32Array(MAX_DESCRIPTORS_PER_MESSAGE + 1).fill(left);
    expect(sendDescriptors(left, many, MAX_DESCRIPTORS_PER_MESSAGE, Buffer.from('x'))).toBe(0);
    receiveDescriptors(right, fds, record, result);
    expect(result).toEqual({ bytes: 1, count: MAX_DESCRIPTORS_PER_MESSAGE, truncated: false });
    fds.forEach(closeDescriptor);
    expect(() => sendDescriptors(left, many, MAX_DESCRIPTORS_PER_MESSAGE + 1, Buffer.from('x'))).toThrow(
      TypeError,
    );
  });

  it('says when a record or its descriptors had too little room', () => {
    sendDescriptors(left, new Int32Array(4).fill(left), 4, Buffer.from('long record'));
    const three = new Int32Array(3);
    receiveDescriptors(right, three, record.subarray(0, 4), result);
    expect(result).toEqual({ bytes: 4, count: 3, truncated: true });
    three.forEach(closeDescriptor);
  });

  it('says how many arrived when the receiver is at its descriptor limit', async () => {
    const ending = await run('sh', [
      '-c',
      'ulimit -n 64 && exec "$0" "$1"',
      process.execPath,
      program('descriptor-limit.mjs'),
    ]);
    expect(JSON.parse(ending.output)).toMatchObject({
      sent: 0,
      result: { bytes: 4, count: 2, truncated: true },
      valid: [true, true, false, false, false],
    });
  });

  it('answers 0 bytes when the other side is gone, after what it had sent', () => {
    sendDescriptors(left, NONE, 0, Buffer.from('last'));
    const gone = left;
    left = duplicateDescriptor(0);
    closeDescriptor(gone);
    expect(receiveDescriptors(right, fds, record, result)).toMatchObject({ bytes: 4 });
    expect(receiveDescriptors(right, fds, record, result)).toEqual({ bytes: 0, count: 0, truncated: false });
    expect(sendDescriptors(right, NONE, 0, Buffer.from('x'))).toBe(-EPIPE);
  });

  it('answers -EAGAIN when the receiver does not read, and reports when it does', async () => {
    const rig = new Rig();
    while (sendDescriptors(left, NONE, 0, record) === 0);
    expect(sendDescriptors(left, NONE, 0, record)).toBe(-EAGAIN);
    expect(rig.poller.watchDescriptor(left, 5, Interest.writable)).toBe(0);
    await rig.settle();
    expect(rig.batches.flat().filter(({ slot }) => slot === 5)).toEqual([]);
    while (receiveDescriptors(right, fds, record, result).bytes > 0);
    rig.onBatch = (batch) => {
      // The same call changes the interest.
      if (batch.some(({ slot }) => slot === 5)) rig.poller.watchDescriptor(left, 6, Interest.readable);
    };
    await rig.until(() => rig.batches.flat().some(({ slot }) => slot === 5), 'the channel is writable');
    sendDescriptors(right, NONE, 0, record);
    await rig.until(() => rig.batches.flat().some(({ slot }) => slot === 6), 'the channel is readable');
    expect(rig.batches.at(-1)).toMatchObject([{ slot: 6, flags: PollFlag.descriptor | PollFlag.readable }]);
    rig.dispose();
  });

  it('hands a connection to whoever receives it, while the sender closes its copy', async () => {
    const rig = new Rig();
    const { client, slot } = await rig.connect();
    sendDescriptors(left, Int32Array.of(rig.fds.at(slot)!), 1, Buffer.from('adopt'));
    closeDescriptor(rig.fds.at(slot)!);
    receiveDescriptors(right, fds, record, result);
    rig.fds[slot] = fds.at(0)!;
    rig.poller.watch(slot, Interest.readable);
    client.write('hello');
    await rig.event(slot, PollFlag.data);
    expect(rig.poller.send(slot, Buffer.from('adopted'), 0, 7)).toBe(7);
    expect(String((await once(client, 'data'))[0])).toBe('adopted');
    rig.dispose();
  });
});

describe('a descriptor', () => {
  it.each<[string, () => number[]]>([
    ['duplicated', () => [duplicateDescriptor(1)]],
    ['of a pair', () => descriptorPair()],
    ['listening', () => [listen({ host: '127.0.0.1', port: 0 })]],
    [
      'connected and accepted',
      () => {
        const listener = listen({ host: '127.0.0.1', port: 0 });
        const client = connect({ host: '127.0.0.1', port: localAddress(listener).port });
        const accepted = new Int32Array(1);
        expect(accept(listener, accepted, new Uint8Array(ADDRESS_BYTES))).toBe(1);
        return [listener, client, ...accepted];
      },
    ],
    [
      'received',
      () => {
        const [left, right] = descriptorPair();
        const received = new Int32Array(1);
        sendDescriptors(left, Int32Array.of(0), 1, Buffer.from('x'));
        receiveDescriptors(right, received, Buffer.alloc(1), { bytes: 0, count: 0, truncated: false });
        return [left, right, ...received];
      },
    ],
  ])('is close-on-exec: %s', (_, open) => {
    for (const fd of open()) {
      const octal = FLAGS.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
      expect(parseInt(octal, 8) & O_CLOEXEC).toBe(O_CLOEXEC);
      closeDescriptor(fd);
    }
  });

  it('can be made close-on-exec', () => {
    expect(setCloseOnExec(1_000_000)).toBe(-EBADF);
    expect(duplicateDescriptor(1_000_000)).toBe(-EBADF);
    expect(setCloseOnExec(0)).toBe(0);
  });
});
