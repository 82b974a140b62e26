import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { judgeAll, type NamedFinding, type Status } from '../finding.ts';
import { hostOf } from '../fixtures/facts.ts';
import { HOST_CHECKS } from './host-checks.ts';

function judged(differences: Parameters<typeof hostOf>[0] = {}): NamedFinding[] {
  return judgeAll(HOST_CHECKS, hostOf(differences));
}

function findingOf(check: string, differences: Parameters<typeof hostOf>[0]): NamedFinding {
  const finding = judged(differences).find((one) => one.check === check);
  if (finding === undefined) throw new Error(`There is no finding of ${check}.`);
  return finding;
}

describe('a host', () => {
  it('with infra/sysctl.conf, the descriptors of the unit and the backlog of the compose file is ready for a million', () => {
    const findings = judged();
    expect(findings.filter(({ status }) => status !== 'ok')).toEqual([]);
    expect(findings.flatMap(({ fix }) => fix)).toEqual([]);
  });

  it('as it comes lacks nearly everything for a million, and nothing for a thousand', () => {
    const sysctls = {
      'fs.file-nr': [1500, 0, 300_000],
      'net.core.somaxconn': [4096],
      'net.ipv4.tcp_max_syn_backlog': [512],
      'net.ipv4.tcp_mem': [90_000, 120_000, 180_000],
      'net.ipv4.tcp_rmem': [4096, 131_072, 6_291_456],
      'net.netfilter.nf_conntrack_max': [262_144],
      'fs.epoll.max_user_watches': [400_000],
    };
    const host = {
      openFiles: { soft: 1024, hard: 4096 },
      memory: { totalBytes: 4e9, availableBytes: 3e9, swapTotalBytes: 0, swapFreeBytes: 0 },
    };
    const failing = judged({ sysctls, host, wanted: { backlog: 4096 } }).filter(
      ({ status }) => status === 'fail',
    );
    expect(failing.map(({ check }) => check)).toEqual([
      'open files of a process',
      'fs.file-max',
      'fs.epoll.max_user_watches',
      'memory',
      'net.ipv4.tcp_mem',
      'connection tracking',
    ]);
    const few = { connections: 1000, descriptors: { worker: 570, master: 84 }, backlog: 4096 };
    expect(judged({ sysctls, host, wanted: few }).filter(({ status }) => status !== 'ok')).toEqual([]);
  });

  it('is told of what the kernel has no file for nothing', () => {
    const sysctls = {
      'net.netfilter.nf_conntrack_max': undefined,
      'fs.nr_open': undefined,
      'net.ipv4.tcp_mem': undefined,
    };
    const names = judged({ sysctls }).map(({ check }) => check);
    expect(names).not.toContain('connection tracking');
    expect(names).not.toContain('fs.nr_open');
    expect(names).not.toContain('net.ipv4.tcp_rmem');
  });
});

interface Weak {
  readonly check: string;
  readonly facts: Parameters<typeof hostOf>[0];
  readonly status: Status;
  readonly found: string;
  readonly lines: readonly string[];
}

const ROWS: readonly [string, Weak['facts'], Status, string, string[]][] = [
  [
    'configured limits',
    { wanted: { maxConnections: 500_000, maxConnectionsPerWorker: 200_000 } },
    'fail',
    '500,000 connections',
    ['--max-connections 1000000', '--max-connections-per-worker 250000'],
  ],
  [
    'open files of a process',
    { host: { openFiles: { soft: 1024, hard: 4096 } } },
    'fail',
    '1,024, at most 4,096',
    ['LimitNOFILE=250320', 'ulimits: { nofile: 250320 }', 'ulimit -n 250320'],
  ],
  [
    'fs.nr_open',
    { sysctls: { 'fs.nr_open': [200_000] } },
    'fail',
    '200,000',
    ['sysctl -w fs.nr_open=250320'],
  ],
  [
    'fs.file-max',
    { sysctls: { 'fs.file-nr': [1500, 0, 1_000_000] } },
    'fail',
    '1,000,000, of which 1,500 are open',
    ['sysctl -w fs.file-max=1006620'],
  ],
  [
    'fs.epoll.max_user_watches',
    { sysctls: { 'fs.epoll.max_user_watches': [1_000_000] } },
    'fail',
    '1,000,000',
    ['sysctl -w fs.epoll.max_user_watches=1004096'],
  ],
  [
    'memory',
    { host: { memory: { totalBytes: 8e9, availableBytes: 5e9, swapTotalBytes: 0, swapFreeBytes: 0 } } },
    'warn',
    '5.0 GB available',
    ['a host with 6.5 GB to spare'],
  ],
  ['memory', { wanted: { isTls: true } }, 'fail', '14.0 GB available', ['a host with 37.3 GB to spare']],
  [
    'memory',
    {
      host: {
        controlGroup: {
          memory: { limitBytes: 2e9, freeBytes: 1.9e9 },
          cpuQuota: undefined,
          tasks: undefined,
        },
      },
    },
    'fail',
    '1.9 GB available of the 2.0 GB of the control group',
    ['mem_limit: 6549m', 'MemoryMax=6549M'],
  ],
  [
    'swap',
    { host: { memory: { totalBytes: 16e9, availableBytes: 14e9, swapTotalBytes: 2e9, swapFreeBytes: 1e9 } } },
    'warn',
    '1.0 GB of 2.0 GB are used',
    ['sysctl -w vm.swappiness=1', 'swapoff -a && swapon -a'],
  ],
  [
    'vm.overcommit_memory',
    { sysctls: { 'vm.overcommit_memory': [2] } },
    'warn',
    '2 (never)',
    ['sysctl -w vm.overcommit_memory=0'],
  ],
  ['CPUs', { host: { cpus: [0, 1] } }, 'warn', '2 for 4 workers', ['--workers 2', "cpuset: '0-3'"]],
  [
    'CPU quota',
    { host: { controlGroup: { memory: undefined, cpuQuota: 2.5, tasks: undefined } } },
    'warn',
    '2.5 CPUs for 4 workers',
    ["cpuset: '0-3'", '--workers 2'],
  ],
  [
    'processes and threads',
    { host: { controlGroup: { memory: undefined, cpuQuota: undefined, tasks: { max: 64, used: 14 } } } },
    'fail',
    '64, of which 14 are used',
    ['pids_limit: 174', 'TasksMax=174'],
  ],
  [
    'accept queue',
    { sysctls: { 'net.core.somaxconn': [128] }, wanted: { backlog: 4096 } },
    'warn',
    '128 (net.core.somaxconn 128, backlog 4,096)',
    ['sysctl -w net.core.somaxconn=16384', "sysctls: { net.core.somaxconn: '16384' }", '--backlog 16384'],
  ],
  [
    'net.ipv4.tcp_max_syn_backlog',
    { sysctls: { 'net.ipv4.tcp_max_syn_backlog': [512] } },
    'warn',
    '512',
    ['sysctl -w net.ipv4.tcp_max_syn_backlog=16384', "sysctls: { net.ipv4.tcp_max_syn_backlog: '16384' }"],
  ],
  [
    'net.ipv4.tcp_mem',
    { sysctls: { 'net.ipv4.tcp_mem': [300_000, 400_000, 600_000] } },
    'warn',
    'pressure from 1.6 GB, no more than 2.5 GB',
    ['sysctl -w net.ipv4.tcp_mem="750000 1000000 1500000"'],
  ],
  [
    'net.ipv4.tcp_mem',
    { sysctls: { 'net.ipv4.tcp_mem': [90_000, 120_000, 180_000] } },
    'fail',
    'pressure from 492 MB, no more than 737 MB',
    ['sysctl -w net.ipv4.tcp_mem="750000 1000000 1500000"'],
  ],
  [
    'net.ipv4.tcp_rmem',
    { sysctls: { 'net.ipv4.tcp_rmem': [4096, 131_072, 6_291_456] } },
    'warn',
    'at most 6 MB a connection',
    [
      'sysctl -w net.ipv4.tcp_rmem="4096 16384 1048576"',
      "sysctls: { net.ipv4.tcp_rmem: '4096 16384 1048576' }",
    ],
  ],
  [
    'net.ipv4.tcp_wmem',
    { sysctls: { 'net.ipv4.tcp_wmem': [4096, 16_384, 4_194_304] }, wanted: { tcpSendBufferBytes: 0 } },
    'warn',
    'at most 4 MB a connection',
    [
      'sysctl -w net.ipv4.tcp_wmem="4096 16384 1048576"',
      "sysctls: { net.ipv4.tcp_wmem: '4096 16384 1048576' }",
    ],
  ],
  [
    'connection tracking',
    { sysctls: { 'net.netfilter.nf_conntrack_max': [1_100_000] } },
    'warn',
    '1,100,000 entries, of which 12 are used',
    ['sysctl -w net.netfilter.nf_conntrack_max=2000000', 'network_mode: host'],
  ],
  [
    'local ports',
    { sysctls: { 'net.ipv4.ip_local_port_range': [32_768, 60_999] }, wanted: { hasLocalProxy: true } },
    'warn',
    '28,232 (32768 to 60999)',
    [
      'sysctl -w net.ipv4.ip_local_port_range="10240 65535"',
      "sysctls: { net.ipv4.ip_local_port_range: '10240 65535' }",
      '19 source addresses',
    ],
  ],
];

const WEAK = ROWS.map(([check, facts, status, found, lines]): Weak => ({
  check,
  facts,
  status,
  found,
  lines,
}));

describe('a finding', () => {
  it.each(WEAK)(
    'of $check is a $status, with the lines that help: $found',
    ({ check, facts, status, found, lines }) => {
      const finding = findingOf(check, facts);
      expect(finding).toMatchObject({ status, found });
      expect(finding.fix.map(({ line }) => line)).toEqual(lines);
      for (const { where } of finding.fix) expect(where).not.toBe('');
      // One sentence.
      expect(finding.why).toMatch(/^[A-Z].*[^.]\.$/);
    },
  );

  it('names settings of the kernel as this one does', () => {
    const lines = WEAK.flatMap(({ lines: all }) => all).filter((line) => line.startsWith('sysctl -w '));
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) {
      const name = /^sysctl -w ([a-z0-9_.-]+)=(?:\d+|"\d+(?: \d+)+")$/.exec(line)?.[1] ?? line;
      // It is there only where it is loaded.
      if (!name.includes('conntrack'))
        expect(existsSync(`/proc/sys/${name.replaceAll('.', '/')}`), name).toBe(true);
    }
  });

  it('of ports is none where no proxy of this host is trusted', () => {
    expect(
      findingOf('local ports', { sysctls: { 'net.ipv4.ip_local_port_range': [32_768, 60_999] } }),
    ).toMatchObject({
      status: 'ok',
      needed: '',
    });
  });
});
