import { allowedCpus } from '@roost/farm/checks';
import { readControlGroup, type ControlGroup } from './control-group.ts';
import { SystemFiles } from './system-files.ts';

/** Settings of the kernel that are judged. */
export const SYSCTLS = [
  'fs.nr_open',
  'fs.file-nr',
  'fs.epoll.max_user_watches',
  'net.core.somaxconn',
  'net.ipv4.tcp_max_syn_backlog',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_mem',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
  'net.netfilter.nf_conntrack_max',
  'net.netfilter.nf_conntrack_count',
  'vm.overcommit_memory',
] as const;

export type Sysctl = (typeof SYSCTLS)[number];

/** What this host, and what is around this process, allow. A limit that there is not is Infinity. */
export interface HostFacts {
  /** Descriptors of a process. */
  readonly openFiles: { readonly soft: number; readonly hard: number };
  /** Those that are there: not every kernel, and not every container, has all. */
  readonly sysctls: ReadonlyMap<Sysctl, readonly number[]>;
  readonly memory: {
    readonly totalBytes: number;
    /** What could be had without swapping. */
    readonly availableBytes: number;
    readonly swapTotalBytes: number;
    readonly swapFreeBytes: number;
  };
  readonly pageBytes: number;
  readonly controlGroup: ControlGroup;
  /** CPUs that this process may use. */
  readonly cpus: readonly number[];
}

/** Reads some twenty small files, and waits for nothing. `root` and `cpus` are other ones in specs. */
export function readHostFacts(root = '/', cpus: readonly number[] = allowedCpus()): HostFacts {
  const files = new SystemFiles(root);
  const sysctls = new Map<Sysctl, readonly number[]>();
  for (const name of SYSCTLS) {
    const values = files.numbers(`/proc/sys/${name.replaceAll('.', '/')}`);
    if (values !== undefined) sysctls.set(name, values);
  }
  const meminfo = files.text('/proc/meminfo') ?? '';
  const kilobytes = (name: string): number =>
    Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0) * 1024;
  return {
    openFiles: openFiles(files.text('/proc/self/limits') ?? ''),
    sysctls,
    memory: {
      totalBytes: kilobytes('MemTotal'),
      availableBytes: kilobytes('MemAvailable'),
      swapTotalBytes: kilobytes('SwapTotal'),
      swapFreeBytes: kilobytes('SwapFree'),
    },
    pageBytes: pageBytes(files.bytes('/proc/self/auxv')),
    controlGroup: readControlGroup(files),
    cpus,
  };
}

function openFiles(limits: string): HostFacts['openFiles'] {
  const [, soft, hard] = /^Max open files +(\d+|unlimited) +(\d+|unlimited)/m.exec(limits) ?? [];
  return { soft: limitIn(soft), hard: limitIn(hard) };
}

function limitIn(text = 'unlimited'): number {
  return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
}

const AT_PAGESZ = 6n;
const USUAL_PAGE_BYTES = 4096;

/** getauxval(3): pairs of two words. */
function pageBytes(auxiliary: Buffer = Buffer.alloc(0)): number {
  for (let at = 0; at + 16 <= auxiliary.length; at += 16) {
    if (auxiliary.readBigUInt64LE(at) === AT_PAGESZ) return Number(auxiliary.readBigUInt64LE(at + 8));
  }
  return USUAL_PAGE_BYTES;
}
