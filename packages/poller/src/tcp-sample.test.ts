import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Rig } from './fixtures/rig.ts';
import { TcpSample } from './index.ts';

describe('a sample of TCP connections', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  it('has the round-trip time and the segments of each', async () => {
    const rows = await rig.connectSeveral(3);
    for (const { client, slot } of rows) {
      const received = once(client, 'data');
      rig.poller.send(slot, Buffer.from('hello'), 0, 5);
      await received;
    }
    const sample = new TcpSample(8);
    for (const [index, { slot }] of rows.entries()) sample.fds[index] = rig.fds.at(slot)!;
    sample.take(3);
    expect(sample.count).toBe(3);
    for (let index = 0; index < 3; index++) {
      // Loopback on a busy machine: some time, and less than a minute.
      expect(sample.rttMicros(index)).toBeGreaterThan(0);
      expect(sample.rttMicros(index)).toBeLessThan(60_000_000);
      expect(sample.sentSegments(index)).toBeGreaterThan(0);
      expect(sample.retransmittedSegments(index)).toBeLessThanOrEqual(sample.sentSegments(index));
      expect(sample.unansweredTimeouts(index)).toBe(0);
      expect([0, 5]).toContain(sample.acknowledgedBytes(index));
      expect(sample.receivedBytes(index)).toBe(0);
    }
  });

  it('leaves out what is no TCP socket, or not open', async () => {
    const { slot } = await rig.connect();
    const sample = new TcpSample(3);
    // Standard input is a file, a pipe or a terminal.
    sample.fds.set([-1, 0, rig.fds.at(slot)!]);
    sample.take(3);
    expect(sample.count).toBe(1);
    expect(sample.rttMicros(0)).toBeGreaterThan(0);
    sample.take(2);
    expect(sample.count).toBe(0);
  });

  it('takes no more than it has room for', () => {
    expect(() => new TcpSample(2).take(3)).toThrow('count must be an integer from 0 to 2, got 3');
  });
});
