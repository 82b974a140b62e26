import { describe, expect, it } from 'vitest';
import { capacityPerProcess, findObstacles, type MachineLimits, readLimits, type Wish } from './limits.ts';

const LIMITS: MachineLimits = {
  maxOpenFiles: 20_000,
  ports: 28_232,
  conntrackLeft: 262_144,
  filesLeft: 1_000_000,
  availableBytes: 8e9,
};
const WISH: Wish = {
  connections: 30_000,
  processes: 2,
  sourceAddresses: 2,
  isLoopback: true,
  isTls: false,
};

describe('findObstacles', () => {
  it('finds none when descriptors, ports and connection tracking suffice', () => {
    expect(findObstacles(WISH, LIMITS)).toEqual([]);
    expect(findObstacles(WISH, { ...LIMITS, conntrackLeft: null })).toEqual([]);
  });

  it('says how many processes are needed', () => {
    const [obstacle] = findObstacles({ ...WISH, processes: 1 }, LIMITS);
    expect(obstacle).toContain('--processes 2');
    expect(obstacle).toContain('ulimit -n');
  });

  it('says how many source addresses are needed', () => {
    const [obstacle] = findObstacles(
      { ...WISH, connections: 60_000, processes: 4, sourceAddresses: 0 },
      LIMITS,
    );
    expect(obstacle).toContain('--source-addresses with 3 or more, such as 127.0.0.2-127.0.0.4');
  });

  it('names the limit of connection tracking', () => {
    const wish = { ...WISH, connections: 1000, processes: 1, sourceAddresses: 0 };
    expect(findObstacles(wish, { ...LIMITS, conntrackLeft: 999 })[0]).toContain(
      'net.netfilter.nf_conntrack_max',
    );
  });

  it('counts both ends of a connection on loopback: open files', () => {
    const limits = { ...LIMITS, filesLeft: 50_000 };
    expect(findObstacles(WISH, limits)[0]).toContain('30000 connections need 60000: raise fs.file-max');
    expect(findObstacles({ ...WISH, isLoopback: false }, limits)).toEqual([]);
  });

  it('says how much memory is missing, far more of it with TLS', () => {
    const limits = { ...LIMITS, availableBytes: 1e9 };
    expect(findObstacles(WISH, limits)).toEqual([]);
    expect(findObstacles({ ...WISH, isTls: true }, limits)[0]).toContain(
      '30000 connections need about 3.3 GB of memory for both ends, and 1.0 GB are available',
    );
  });
});

describe('readLimits', () => {
  it('reads what this machine allows', () => {
    const limits = readLimits();
    expect(capacityPerProcess(limits)).toBeGreaterThan(0);
    expect(limits.ports).toBeGreaterThan(1000);
    expect(limits.filesLeft).toBeGreaterThan(1000);
    expect(limits.availableBytes).toBeGreaterThan(1e6);
  });
});
