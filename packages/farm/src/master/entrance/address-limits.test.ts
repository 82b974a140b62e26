import { afterEach, describe, expect, it } from 'vitest';
import { parseAddress } from '../../addresses/address.ts';
import { AddressNote, AddressRecords, NOTE_BYTES } from '../../link/address-records.ts';
import { addressKeyHigh, addressKeyLow } from '../../addresses/address-table.ts';
import { Counters } from '../../api/counters.ts';
import { AddressLimits, type AddressRules, type AddressVerdict } from './address-limits.ts';
import { throwingGuard } from '../fixtures/throwing-guard.ts';

const OFF: AddressRules = {
  maxConnectionsPerAddress: 0,
  acceptRatePerAddress: 0,
  maxTrackedAddresses: 100,
  trustedProxies: [],
};

const made: AddressLimits[] = [];
afterEach(() => {
  for (const limits of made.splice(0)) limits.stop();
});

function bytesOf(text: string): Uint8Array {
  return parseAddress(text) ?? new Uint8Array(16);
}

/** The limits of a farm of two workers, and what is done with them by the text of an address. */
function rig(rules: Partial<AddressRules>) {
  const counters = new Counters();
  const limits = new AddressLimits({ ...OFF, ...rules }, counters, throwingGuard(), {
    workers: () => [0, 1],
    isTrusted: (addresses) => addresses[12] === 10,
    tellWorker: () => true,
  });
  made.push(limits);
  return {
    counters,
    limits,
    judge: (address: string, now = 0): AddressVerdict => limits.judge(bytesOf(address), 0, now),
    connections: (address: string): number => limits.connections(bytesOf(address), 0),
    /** Lets one in and hands it to a worker. */
    enter: (worker: number, address: string, now = 0): AddressVerdict => {
      const verdict = limits.judge(bytesOf(address), 0, now);
      if (verdict === 'counted') limits.handed(worker, bytesOf(address), 0);
      return verdict;
    },
    leave: (worker: number, address: string): void => {
      const records = new AddressRecords(NOTE_BYTES);
      const bytes = bytesOf(address);
      records.addNote(AddressNote.peerEnded, addressKeyHigh(bytes, 0), addressKeyLow(bytes, 0));
      limits.noted(worker, records.bytes);
    },
  };
}

/** As a worker reports a batch that has come. */
function notes(...addresses: readonly string[]): Buffer {
  const records = new AddressRecords(NOTE_BYTES);
  for (const address of addresses) {
    const bytes = bytesOf(address);
    records.addNote(AddressNote.peerEnded, addressKeyHigh(bytes, 0), addressKeyLow(bytes, 0));
  }
  return records.bytes;
}

describe('limits of an address that are off', () => {
  it('cost nothing: there is nobody who counts', () => {
    const hooks = { workers: () => [0, 1], isTrusted: () => false, tellWorker: () => true };
    expect(AddressLimits.when(OFF, new Counters(), throwingGuard(), hooks)).toBeUndefined();
  });
});

describe('maxConnectionsPerAddress', () => {
  it('refuses one more, of that address only, until one has ended', () => {
    const { enter, leave, judge, counters } = rig({ maxConnectionsPerAddress: 2 });
    expect([enter(0, '192.0.2.1'), enter(1, '192.0.2.1'), enter(0, '192.0.2.1')]).toEqual([
      'counted',
      'counted',
      'connections',
    ]);
    expect(judge('192.0.2.2')).toBe('counted');
    leave(1, '192.0.2.1');
    expect(enter(0, '192.0.2.1')).toBe('counted');
    expect(judge('192.0.2.1')).toBe('connections');
    expect(counters.get('refused_address_connections')).toBe(2);
  });

  it('counts a /64 of IPv6 as one, and mapped IPv4 as IPv4', () => {
    const { enter } = rig({ maxConnectionsPerAddress: 1 });
    expect(enter(0, '2001:db8:1:2::1')).toBe('counted');
    expect(enter(0, '2001:db8:1:2:aaaa::2')).toBe('connections');
    expect(enter(0, '2001:db8:1:3::1')).toBe('counted');
    expect(enter(0, '192.0.2.1')).toBe('counted');
    expect(enter(0, '::ffff:192.0.2.1')).toBe('connections');
  });

  it('takes back what a dead worker had, and what one returned', () => {
    const { enter, limits, connections } = rig({ maxConnectionsPerAddress: 10 });
    for (let count = 0; count < 3; count++) enter(0, '192.0.2.1');
    for (let count = 0; count < 4; count++) enter(1, '192.0.2.1');
    limits.returned(1, bytesOf('192.0.2.1'), 0);
    expect(connections('192.0.2.1')).toBe(6);
    limits.workerEnded(0);
    expect(connections('192.0.2.1')).toBe(3);
    // What it had not acknowledged is returned after its end, and was taken back with the rest.
    limits.returned(0, bytesOf('192.0.2.1'), 0);
    expect(connections('192.0.2.1')).toBe(3);
    limits.workerEnded(1);
    expect(connections('192.0.2.1')).toBe(0);
    expect(limits.tracked).toBe(0);
  });

  it('is not for trusted proxies', () => {
    const { enter } = rig({ maxConnectionsPerAddress: 1, trustedProxies: ['10.0.0.0/8'] });
    expect([enter(0, '10.0.0.1'), enter(0, '10.0.0.1')]).toEqual(['uncounted', 'uncounted']);
    expect([enter(0, '192.0.2.1'), enter(0, '192.0.2.1')]).toEqual(['counted', 'connections']);
  });
});

describe('connections that move', () => {
  it('count as before, with the worker that has them now', () => {
    const { enter, leave, limits, connections } = rig({ maxConnectionsPerAddress: 2 });
    enter(0, '192.0.2.1');
    enter(0, '192.0.2.1');
    limits.moved(0, 1, notes('192.0.2.1', '192.0.2.1'));
    expect(connections('192.0.2.1')).toBe(2);
    expect(enter(1, '192.0.2.1')).toBe('connections');
    // The one that had them may die now.
    limits.workerEnded(0);
    expect(connections('192.0.2.1')).toBe(2);
    leave(1, '192.0.2.1');
    expect(enter(0, '192.0.2.1')).toBe('counted');
    limits.workerEnded(1);
    expect(connections('192.0.2.1')).toBe(1);
  });

  it('count also when the worker that had them has died before this was told', () => {
    const { enter, limits, connections } = rig({ maxConnectionsPerAddress: 2 });
    enter(0, '192.0.2.1');
    limits.workerEnded(0);
    limits.moved(0, 1, notes('192.0.2.1'));
    expect(connections('192.0.2.1')).toBe(1);
    limits.workerEnded(1);
    expect([connections('192.0.2.1'), limits.tracked]).toEqual([0, 0]);
  });
});

describe('acceptRatePerAddress', () => {
  it('lets in a second’s worth at once, then at its pace, and does not punish who was refused', () => {
    const { judge, counters } = rig({ acceptRatePerAddress: 5 });
    const verdicts = (now: number, count: number): string =>
      Array.from({ length: count }, () => (judge('192.0.2.1', now) === 'rate' ? '-' : '+')).join('');
    expect(verdicts(1000, 8)).toBe('+++++---');
    expect(judge('192.0.2.2', 1000)).toBe('uncounted');
    expect(verdicts(1199, 2)).toBe('--');
    expect(verdicts(1200, 2)).toBe('+-');
    expect(verdicts(1600, 4)).toBe('++--');
    expect(verdicts(9000, 6)).toBe('+++++-');
    expect(counters.get('refused_address_rate')).toBe(9);
  });

  it('holds beside the limit of connections, which is named first', () => {
    const { enter } = rig({ acceptRatePerAddress: 2, maxConnectionsPerAddress: 1 });
    expect([enter(0, '192.0.2.1', 5), enter(0, '192.0.2.1', 5)]).toEqual(['counted', 'connections']);
  });
});

describe('memory of addresses', () => {
  it('is given back when they have ended', () => {
    const { enter, leave, limits } = rig({ maxConnectionsPerAddress: 5 });
    for (let host = 1; host <= 50; host++) enter(0, `192.0.2.${host}`);
    expect(limits.tracked).toBe(50);
    for (let host = 1; host <= 50; host++) leave(0, `192.0.2.${host}`);
    expect(limits.tracked).toBe(0);
  });

  it('is given back when their buckets are full again, without a timer, as others come', () => {
    const { judge, limits } = rig({ acceptRatePerAddress: 10 });
    for (let host = 1; host <= 90; host++) judge(`192.0.2.${host}`, 0);
    expect(limits.tracked).toBe(90);
    // A hundredth of the bucket was taken from each.
    for (let host = 1; host <= 60; host++) judge(`198.51.100.${host}`, 101);
    expect(limits.tracked).toBeLessThan(100);
  });

  it('is bounded: beyond maxTrackedAddresses new ones are let in, uncounted', () => {
    const { enter, leave, limits, counters } = rig({ maxConnectionsPerAddress: 1, maxTrackedAddresses: 16 });
    for (let host = 1; host <= 16; host++) expect(enter(0, `192.0.2.${host}`)).toBe('counted');
    expect([enter(0, '198.51.100.1'), enter(0, '198.51.100.1')]).toEqual(['uncounted', 'uncounted']);
    expect(enter(0, '192.0.2.7')).toBe('connections');
    expect([limits.tracked, counters.get('addresses_untracked')]).toEqual([16, 2]);
    leave(0, '192.0.2.7');
    expect([enter(0, '198.51.100.1'), enter(0, '198.51.100.1')]).toEqual(['counted', 'connections']);
  });
});
