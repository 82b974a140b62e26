import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Inodes of the sockets that a process holds. Source: proc_pid_fd(5). */
export function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
    if (inode !== undefined) inodes.add(inode);
  }
  return inodes;
}

/** A descriptor may be closed between the listing and the look. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

/** Inodes of the sockets of accepted connections on a port, on this side. Source: proc_net_tcp(5). */
export function acceptedSockets(port: number): string[] {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, address = '', , state]) => address.endsWith(local) && state === '01')
    .map((fields) => fields[9] ?? '');
}

/** The CPUs that a thread may use, as /proc writes them: `0-1`. The main thread has the id of its process. */
export function cpusOf(pid: number, thread = pid): string {
  const status = readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1');
  return /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '';
}

export function threadsOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).map(Number);
}

/**
 * Leaves a process with the descriptors that it has: every further one is EMFILE. Returns a function that gives it room
 * again. Only the soft limit is changed (getrlimit(2)); it bounds the number of the next descriptor, not their count.
 */
export function exhaustDescriptors(pid: number): () => void {
  const open = new Set(readdirSync(`/proc/${pid}/fd`).map(Number));
  let lowestFree = 0;
  while (open.has(lowestFree)) lowestFree++;
  const before =
    /^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'latin1'))?.[1] ?? '4096';
  limitDescriptors(pid, String(lowestFree));
  return () => limitDescriptors(pid, before);
}

function limitDescriptors(pid: number, count: string): void {
  execFileSync('prlimit', ['--pid', String(pid), `--nofile=${count}:`]);
}

/** CPU time that a process has used, in ms, as far as the kernel's clock ticks tell. Source: proc_pid_stat(5). */
export function cpuMsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // utime and stime, fields 14 and 15, in ticks of 10 ms.
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Memory of a process that is no file's: anonymous, in bytes. Source: smaps_rollup, proc(5). */
export function ownMemoryOf(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(/^Pss_Anon:\s+(\d+) kB/m.exec(rollup)?.[1]) * 1024;
}
