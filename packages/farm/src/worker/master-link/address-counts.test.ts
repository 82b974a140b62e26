import { eventually } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { memoryLinkPair } from '../../link/memory-link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';
import { Counters } from '../../api/counters.ts';
import { AddressLimits, type AddressRules } from '../../master/entrance/address-limits.ts';
import { AddressCounts, type ClientVerdict } from './address-counts.ts';
import { throwingGuard } from '../../master/fixtures/throwing-guard.ts';

const IPV4 = 0xffff_ffff;

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** The master's side and the sides of some workers, over the in-memory twin of their channels. */
function farm(rules: Partial<AddressRules>, workers = 2) {
  const all: AddressRules = {
    maxConnectionsPerAddress: 0,
    acceptRatePerAddress: 0,
    maxTrackedAddresses: 1000,
    trustedProxies: ['10.0.0.0/8'],
    ...rules,
  };
  const pairs = Array.from({ length: workers }, () =>
    memoryLinkPair<MasterMessage, WorkerMessage>(1024 * 1024),
  );
  const limits = new AddressLimits(all, new Counters(), throwingGuard(), {
    workers: () => [...pairs.keys()],
    isTrusted: () => false,
    tellWorker: (worker, payload) => pairs[worker]?.[0].send({ type: 'addresses', payload }) === 'sent',
  });
  let told = 0;
  const counts = pairs.map(([ours, theirs], index) => {
    const worker = new AddressCounts(all, theirs);
    ours.open({
      linkOnMessage: (message) => {
        if (message.type === 'addresses') limits.noted(index, message.payload);
      },
      linkOnClose: () => undefined,
    });
    theirs.open({
      linkOnMessage: (message) => {
        if (message.type !== 'addresses') return;
        told++;
        worker.told(message.payload);
      },
      linkOnClose: () => undefined,
    });
    stops.push(() => worker.stop());
    return worker;
  });
  stops.push(() => limits.stop());
  return {
    limits,
    counts,
    told: () => told,
    judge: (worker: number, low: number, now = performance.now()): ClientVerdict | undefined =>
      counts[worker]?.judge(IPV4, low, now),
    /** Waits until a worker lets one of this address in, or does not; who is let in by the question is let go. */
    until: (worker: number, low: number, isIn: boolean): Promise<void> =>
      eventually(() => {
        const verdict = counts[worker]?.judge(IPV4, low, performance.now());
        if (verdict === 'counted') counts[worker]?.clientEnded(IPV4, low);
        expect(verdict === 'counted').toBe(isIn);
      }),
  };
}

describe('clients behind a proxy', () => {
  it('are limited by the worker that sees them, at once', () => {
    const { judge, counts } = farm({ maxConnectionsPerAddress: 2 });
    expect([judge(0, 7), judge(0, 7), judge(0, 7), judge(0, 8)]).toEqual([
      'counted',
      'counted',
      'connections',
      'counted',
    ]);
    counts[0]?.clientEnded(IPV4, 7);
    expect(judge(0, 7)).toBe('counted');
  });

  it('are limited over the whole farm when the others have been told', async () => {
    const { judge, until, counts } = farm({ maxConnectionsPerAddress: 3 }, 3);
    expect([judge(0, 7), judge(0, 7), judge(1, 7)]).toEqual(['counted', 'counted', 'counted']);
    await until(2, 7, false);
    await until(0, 7, false);
    await until(1, 7, false);
    expect(judge(2, 8)).toBe('counted');
    counts[0]?.clientEnded(IPV4, 7);
    await until(2, 7, true);
  });

  it('count together with peers of the same address', async () => {
    const { limits, until } = farm({ maxConnectionsPerAddress: 2 });
    const address = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 9]);
    for (const worker of [0, 1]) {
      expect(limits.judge(address, 0, 0)).toBe('counted');
      limits.handed(worker, address, 0);
    }
    expect(limits.judge(address, 0, 0)).toBe('connections');
    await until(0, 9, false);
    await until(1, 9, false);
    limits.workerEnded(0);
    await until(1, 9, true);
  });

  it('of a worker that is gone are taken back', async () => {
    const { limits, judge, until } = farm({ maxConnectionsPerAddress: 2 });
    judge(0, 7);
    judge(0, 7);
    await until(1, 7, false);
    limits.workerEnded(0);
    await until(1, 7, true);
  });

  it('are told to a worker that has just begun', async () => {
    const { limits, judge, until, told } = farm({ maxConnectionsPerAddress: 1 });
    judge(0, 7);
    await until(1, 7, false);
    const before = told();
    limits.workerReady();
    // Whoever began: each is told everything, and it changes nothing.
    await eventually(() => expect(told()).toBe(before + 2));
    await until(1, 7, false);
  });

  it('come no faster than the rate, on all workers together', async () => {
    const { judge, counts, told } = farm({ acceptRatePerAddress: 10 });
    const now = performance.now();
    for (let count = 0; count < 10; count++) expect(judge(0, 7, now)).toBe('uncounted');
    expect(judge(0, 7, now)).toBe('rate');
    await eventually(() => expect(told()).toBe(1));
    // Told after `now`, so that its bucket is at least as empty as that.
    expect(judge(1, 7, now)).toBe('rate');
    expect(judge(1, 8, now)).toBe('uncounted');
    expect(judge(1, 7, now + 60_000)).toBe('uncounted');
    expect(counts[0]?.judge(IPV4, 7, now + 60_000)).toBe('uncounted');
  });

  it('are forgotten by everybody when they have ended', async () => {
    const { limits, judge, counts } = farm({ maxConnectionsPerAddress: 5 });
    for (let low = 1; low <= 100; low++) judge(low % 2, low);
    await eventually(() => expect([counts[0]?.tracked, counts[1]?.tracked]).toEqual([100, 100]));
    for (let low = 1; low <= 100; low++) counts[low % 2]?.clientEnded(IPV4, low);
    await eventually(() => {
      expect([limits.tracked, counts[0]?.tracked, counts[1]?.tracked]).toEqual([0, 0, 0]);
    });
  });

  it('beyond maxTrackedAddresses are let in', () => {
    const { judge } = farm({ maxConnectionsPerAddress: 1, maxTrackedAddresses: 16 });
    for (let low = 1; low <= 16; low++) expect(judge(0, low)).toBe('counted');
    expect([judge(0, 99), judge(0, 99)]).toEqual(['untracked', 'untracked']);
    expect(judge(0, 3)).toBe('connections');
  });

  it('are not even counted when there is no limit', () => {
    const { judge, counts } = farm({});
    expect([judge(0, 7), counts[0]?.tracked]).toEqual(['uncounted', 0]);
  });
});

describe('notes', () => {
  it('wait for a master that takes none, and are not lost', async () => {
    const [ours, theirs] = memoryLinkPair<MasterMessage, WorkerMessage>(1);
    const counts = new AddressCounts(
      { maxConnectionsPerAddress: 1, acceptRatePerAddress: 0, maxTrackedAddresses: 16 },
      theirs,
    );
    stops.push(() => counts.stop());
    // Two are taken: a message, and an urgent one beside it.
    theirs.send({ type: 'drained', closed: 0 });
    theirs.sendUrgent({ type: 'drained', closed: 0 });
    counts.peerEnded(IPV4, 1);
    counts.peerEnded(IPV4, 2);
    await eventually(() => expect(theirs.bufferedBytes).toBeGreaterThan(1));
    const payloads: string[] = [];
    ours.open({
      linkOnMessage: (message) => {
        if (message.type === 'addresses') payloads.push(message.payload.toString('hex'));
      },
      linkOnClose: () => undefined,
    });
    await eventually(() => expect(payloads.join('')).toBe('00ffffffff0100000000ffffffff02000000'));
  });
});
