import { describe, expect, it } from 'vitest';
import { capacityPerProcess, findObstacles, type MachineLimits, readLimits } from './limits.ts';

const LIMITS: MachineLimits = { maxOpenFiles: 20_000, ports: 28_232, conntrackLeft: 262_144 };

describe('findObstacles', () => {
  it('finds none when descriptors, ports and connection tracking suffice', () => {
    expect(findObstacles({ connections: 30_000, processes: 2, sourceAddresses: 2 }, LIMITS)).toEqual([]);
    expect(
      findObstacles(
        { connections: 30_000, processes: 2, sourceAddresses: 2 },
        { ...LIMITS, conntrackLeft: null },
      ),
    ).toEqual([]);
  });

  it('says how many processes are needed', () => {
    const [obstacle] = findObstacles({ connections: 30_000, processes: 1, sourceAddresses: 2 }, LIMITS);
    expect(obstacle).toContain('--processes 2');
    expect(obstacle).toContain('ulimit -n');
  });

  it('says how many source addresses are needed', () => {
    const [obstacle] = findObstacles({ connections: 60_000, processes: 4, sourceAddresses: 0 }, LIMITS);
    expect(obstacle).toContain('--source-addresses with 3 or more, such as 127.0.0.2-127.0.0.4');
  });

  it('names the limit of connection tracking', () => {
    const wish = { connections: 1000, processes: 1, sourceAddresses: 0 };
    expect(findObstacles(wish, { ...LIMITS, conntrackLeft: 999 })[0]).toContain(
      'net.netfilter.nf_conntrack_max',
    );
  });
});

describe('readLimits', () => {
  it('reads what this machine allows', () => {
    const limits = readLimits();
    expect(capacityPerProcess(limits)).toBeGreaterThan(0);
    expect(limits.ports).toBeGreaterThan(1000);
  });
});
