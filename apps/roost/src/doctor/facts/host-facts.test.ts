import { endianness } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { rootWith } from '../fixtures/facts.ts';
import { readControlGroup, type ControlGroup } from './control-group.ts';
import { readHostFacts, SYSCTLS } from './host-facts.ts';
import { SystemFiles } from './system-files.ts';

let remove: () => void = () => undefined;
afterEach(() => remove());

function root(files: Readonly<Record<string, string | Uint8Array>>): string {
  const made = rootWith(files);
  remove = made.remove;
  return made.path;
}

function read(files: Readonly<Record<string, string>>): ControlGroup {
  return readControlGroup(new SystemFiles(root(files)));
}

describe('what the host tells', () => {
  it('is read from this one', () => {
    const facts = readHostFacts();
    expect(facts.openFiles.hard).toBeGreaterThan(0);
    expect(facts.memory.totalBytes).toBeGreaterThan(facts.memory.availableBytes);
    expect(facts.memory.availableBytes).toBeGreaterThan(1e6);
    expect([4096, 16_384, 65_536]).toContain(facts.pageBytes);
    expect(facts.cpus.length).toBeGreaterThan(0);
    expect(facts.sysctls.get('net.core.somaxconn')).toHaveLength(1);
    expect(facts.sysctls.get('net.ipv4.tcp_mem')).toHaveLength(3);
    for (const [name, values] of facts.sysctls) {
      expect(SYSCTLS).toContain(name);
      for (const value of values) expect(value).toBeGreaterThanOrEqual(0);
    }
  });

  it.skipIf(endianness() === 'BE')('is read from the files of another one', () => {
    const auxiliary = Buffer.alloc(48);
    for (const [index, word] of [3n, 0x40_0040n, 6n, 16_384n, 0n, 0n].entries()) {
      auxiliary.writeBigUInt64LE(word, index * 8);
    }
    const path = root({
      'proc/self/limits':
        'Limit                     Soft Limit           Hard Limit           Units     \n' +
        'Max open files            1024                 unlimited            files     \n',
      'proc/self/auxv': auxiliary,
      'proc/meminfo':
        'MemTotal:       16384256 kB\nMemAvailable:    8000000 kB\nSwapTotal:       1024 kB\nSwapFree:        24 kB\n',
      'proc/sys/fs/file-nr': '1504\t0\t9223372036854775807\n',
      'proc/sys/net/ipv4/tcp_mem': '90000\t120000\t180000\n',
    });
    const facts = readHostFacts(path, [2, 3]);
    expect(facts).toEqual({
      openFiles: { soft: 1024, hard: Number.POSITIVE_INFINITY },
      sysctls: new Map([
        ['fs.file-nr', [1504, 0, 2 ** 63]],
        ['net.ipv4.tcp_mem', [90_000, 120_000, 180_000]],
      ]),
      memory: {
        totalBytes: 16_384_256 * 1024,
        availableBytes: 8_000_000 * 1024,
        swapTotalBytes: 1024 * 1024,
        swapFreeBytes: 24 * 1024,
      },
      pageBytes: 16_384,
      controlGroup: { memory: undefined, cpuQuota: undefined, tasks: undefined },
      cpus: [2, 3],
    });
  });

  it('is little where there are no files, and no exception', () => {
    const facts = readHostFacts(root({}), [0]);
    expect(facts.sysctls.size).toBe(0);
    expect(facts.openFiles.hard).toBe(Number.POSITIVE_INFINITY);
    expect(facts.pageBytes).toBe(4096);
  });
});

describe('the control group', () => {
  it('of version 2 is that which leaves least, of all around the process', () => {
    expect(
      read({
        'proc/self/cgroup': '0::/system.slice/roost.service\n',
        'sys/fs/cgroup/system.slice/memory.max': '8000000000\n',
        'sys/fs/cgroup/system.slice/memory.current': '7000000000\n',
        'sys/fs/cgroup/system.slice/memory.stat': 'anon 1\ninactive_file 500000000\n',
        'sys/fs/cgroup/system.slice/roost.service/memory.max': '4000000000\n',
        'sys/fs/cgroup/system.slice/roost.service/memory.current': '1000000000\n',
        'sys/fs/cgroup/system.slice/roost.service/cpu.max': '150000 100000\n',
        'sys/fs/cgroup/system.slice/roost.service/pids.max': '512\n',
        'sys/fs/cgroup/system.slice/roost.service/pids.current': '12\n',
        'sys/fs/cgroup/system.slice/cpu.max': 'max 100000\n',
      }),
    ).toEqual({
      memory: { limitBytes: 8e9, freeBytes: 1.5e9 },
      cpuQuota: 1.5,
      tasks: { max: 512, used: 12 },
    });
  });

  it('of version 2 in a container is at the top of what is there', () => {
    expect(
      read({
        'proc/self/cgroup': '0::/\n',
        'sys/fs/cgroup/memory.max': '2000000000\n',
        'sys/fs/cgroup/memory.current': '100000000\n',
        'sys/fs/cgroup/cpu.max': '50000 100000\n',
        'sys/fs/cgroup/pids.max': 'max\n',
      }),
    ).toEqual({ memory: { limitBytes: 2e9, freeBytes: 1.9e9 }, cpuQuota: 0.5, tasks: undefined });
  });

  it('of version 1 has a path for each controller, which may be that of the host while only its own part is there', () => {
    expect(
      read({
        'proc/self/cgroup': '9:pids:/docker/1f\n4:memory:/docker/1f\n2:cpu,cpuacct:/docker/1f\n0::/\n',
        'sys/fs/cgroup/memory/memory.limit_in_bytes': '1000000000\n',
        'sys/fs/cgroup/memory/memory.usage_in_bytes': '700000000\n',
        'sys/fs/cgroup/memory/memory.stat': 'cache 9\ntotal_inactive_file 200000000\n',
        'sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_quota_us': '200000\n',
        'sys/fs/cgroup/cpu,cpuacct/docker/1f/cpu.cfs_period_us': '100000\n',
        'sys/fs/cgroup/pids/docker/1f/pids.max': '100\n',
        'sys/fs/cgroup/pids/docker/1f/pids.current': '20\n',
      }),
    ).toEqual({
      memory: { limitBytes: 1e9, freeBytes: 5e8 },
      cpuQuota: 2,
      tasks: { max: 100, used: 20 },
    });
  });

  it('without limits is none', () => {
    expect(
      read({
        'proc/self/cgroup': '4:memory:/a\n2:cpu:/a\n0::/a\n',
        'sys/fs/cgroup/a/memory.max': 'max\n',
        'sys/fs/cgroup/memory/a/memory.limit_in_bytes': '9223372036854771712\n',
        'sys/fs/cgroup/cpu/a/cpu.cfs_quota_us': '-1\n',
        'sys/fs/cgroup/cpu/a/cpu.cfs_period_us': '100000\n',
      }),
    ).toEqual({ memory: undefined, cpuQuota: undefined, tasks: undefined });
  });
});
