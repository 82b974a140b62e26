import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { cpus, release, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { listenLocally } from '@roost/testing';
import { bytesOf } from './processes.mjs';

/** How long the CPUs are looked at before anything is started. */
const LOOK_MS = 1000;
/** Others that use more than that spoil the figures. */
export const MAX_BUSY_CPUS = 0.5;
/** The row that opens the most opens each connection twice. */
const OPENED_PER_CONNECTION = 2.1;
/** Connections that tell whether loopback is tracked. */
const PROBES = 20;

/** @typedef {Awaited<ReturnType<typeof describeMachine>>} Machine */

/** Where the figures are made. To be called before anything is started: `busyCpus` is what others use. */
export async function describeMachine() {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    kernel: release(),
    node: process.version,
    commit: readCommit(),
    busyCpus: await measureBusyCpus(),
  };
}

/**
 * Describes the machine; prints that, and what would spoil the figures of so many connections; answers both.
 * @param {number} connections
 */
export async function introduceMachine(connections) {
  const machine = await describeMachine();
  printFacts(machine);
  const warnings = findWarnings(machine, connections);
  for (const warning of warnings) console.log(`warning: ${warning}`);
  return { machine, warnings };
}

/**
 * Prints facts, by name, as one line.
 * @param {Readonly<Record<string, unknown>>} facts
 */
export function printFacts(facts) {
  console.log(
    Object.entries(facts)
      .map(([name, value]) => `${name}: ${String(value)}`)
      .join(', '),
  );
}

/** CPUs that are in use now. The load average would not do: it still tells of the build that came before. */
async function measureBusyCpus() {
  const before = readBusyMs();
  const startedAt = performance.now();
  await delay(LOOK_MS);
  return Number(((readBusyMs() - before) / (performance.now() - startedAt)).toFixed(2));
}

function readBusyMs() {
  return cpus().reduce((sum, { times: { user, nice, sys, irq } }) => sum + user + nice + sys + irq, 0);
}

/**
 * What would spoil the figures, one sentence each; nothing is changed.
 * @param {Machine} machine
 * @param {number} connections
 */
export function findWarnings({ busyCpus }, connections) {
  const warnings = [];
  const [low, high] = readNumbers('/proc/sys/net/ipv4/ip_local_port_range') ?? [32_768, 60_999];
  if (connections > (high - low + 1) * 8)
    warnings.push(`net.ipv4.ip_local_port_range is too small: ${low}–${high}.`);
  const [tracked = 0] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_count') ?? [];
  const [maxTracked] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_max') ?? [];
  // Closed connections stay tracked for two minutes.
  if (maxTracked !== undefined && tracked + connections * 3 > maxTracked) {
    warnings.push(
      `net.netfilter.nf_conntrack_max is ${maxTracked} with ${tracked} in use: connects may stall.`,
    );
  }
  const [somaxconn = 4096] = readNumbers('/proc/sys/net/core/somaxconn') ?? [];
  if (somaxconn < 1024)
    warnings.push(`net.core.somaxconn is ${somaxconn}: SYNs will be dropped and tried again.`);
  if (busyCpus > MAX_BUSY_CPUS)
    warnings.push(`others use ${busyCpus.toFixed(1)} CPUs of this machine: trust only the ratios.`);
  return warnings;
}

/**
 * Waits until connection tracking has room for what one measurement opens: closed connections stay in it for two
 * minutes, so that a bench in a hurry would fill it by itself. Goes on after three minutes, come what may.
 * @param {number} connections
 */
export async function waitForConntrack(connections) {
  const deadline = performance.now() + 180_000;
  for (;;) {
    const { tracked, maxTracked } = readConntrack();
    if (tracked + connections * OPENED_PER_CONNECTION <= maxTracked || performance.now() > deadline) return;
    await delay(1000);
  }
}

/**
 * Has the kernel give back its inodes and names that nobody uses (proc(5), /proc/sys/vm/drop_caches), so that its memory is
 * that of open connections. Whoever looks into /proc/PID/fd, as a monitor of the machine does, leaves an inode and a name for
 * each descriptor there: 888 bytes a connection that are not the connection's. Needs root; false without it.
 */
export function giveBackCaches() {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '2');
    return true;
  } catch {
    return false;
  }
}

/**
 * What the kernel called reclaimable when it was first asked, in bytes.
 * @type {number | undefined}
 */
let reclaimableAtFirst;

/**
 * Memory of the whole machine in bytes: what could be had without swapping, and what the kernel's objects take. To be asked
 * before the first connection: the kernel counts the inodes and names of sockets as reclaimable, which those of open ones are
 * not, so what has grown since then is left out. With it, 7 GB seemed to be left of 25 when the first process was killed for
 * want of memory.
 */
export function readMemory() {
  const text = readFileSync('/proc/meminfo', 'utf8');
  const reclaimable = bytesOf(text, 'SReclaimable');
  reclaimableAtFirst ??= reclaimable;
  return {
    availableBytes: bytesOf(text, 'MemAvailable') - Math.max(0, reclaimable - reclaimableAtFirst),
    slabBytes: bytesOf(text, 'Slab'),
  };
}

/**
 * Looks four times a second at what may run short, until it is told to stop; then it answers the worst that it saw, how often
 * TCP came under memory pressure, and how many connections the kernel ended because what was sent was not acknowledged.
 */
export function watchMachine() {
  const worst = { availableBytes: Infinity, tcpPages: 0 };
  const before = readTcpCounters();
  const look = () => {
    worst.availableBytes = Math.min(worst.availableBytes, readMemory().availableBytes);
    const pages = /^TCP: .* mem (\d+)/m.exec(readFileSync('/proc/net/sockstat', 'utf8'))?.[1] ?? 0;
    worst.tcpPages = Math.max(worst.tcpPages, Number(pages));
  };
  look();
  const ticker = setInterval(look, 250);
  return () => {
    clearInterval(ticker);
    look();
    const after = readTcpCounters();
    return {
      ...worst,
      memoryPressures: after.TCPMemoryPressures - before.TCPMemoryPressures,
      unacknowledged: after.TCPAbortOnTimeout - before.TCPAbortOnTimeout,
    };
  };
}

/** The kernel's counters of TCP, of the whole network namespace since it began (proc(5), /proc/net/netstat). */
function readTcpCounters() {
  const [names, values] = readFileSync('/proc/net/netstat', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' ').slice(1));
  return Object.fromEntries(names.map((name, index) => [name, Number(values[index])]));
}

/** Ports of one source address (net.ipv4.ip_local_port_range). */
export function readPorts() {
  const [low, high] = readNumbers('/proc/sys/net/ipv4/ip_local_port_range') ?? [32_768, 60_999];
  return high - low + 1;
}

/** Descriptors of one process: Node has raised the soft limit to the hard one. */
export function readDescriptorLimit() {
  const limit = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  // It says "unlimited" where there is none.
  return limit === undefined ? Infinity : Number(limit);
}

/** Open files that the whole system still takes. */
export function readFilesLeft() {
  const [opened, , max] = readNumbers('/proc/sys/fs/file-nr') ?? [0, 0, Infinity];
  return max - opened;
}

/** Sockets that may have something unread at a time, a page each (net.ipv4.tcp_mem); Infinity where it cannot be read. */
export function readSocketsUnread() {
  return readNumbers('/proc/sys/net/ipv4/tcp_mem')?.[2] ?? Infinity;
}

/** Entries that connection tracking still takes; Infinity where it does not track loopback. */
export async function readConntrackLeft() {
  const before = readConntrack();
  const server = createServer((socket) => socket.on('error', () => {}).resume());
  const port = await listenLocally(server);
  const sockets = [];
  for (let i = 0; i < PROBES; i++) {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    sockets.push(socket);
  }
  const { tracked, maxTracked } = readConntrack();
  for (const socket of sockets) socket.destroy();
  server.close();
  return tracked - before.tracked < PROBES ? Infinity : maxTracked - tracked;
}

function readConntrack() {
  const [tracked = 0] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_count') ?? [];
  const [maxTracked = Infinity] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_max') ?? [];
  return { tracked, maxTracked };
}

/**
 * The numbers of a file of /proc; undefined where it cannot be read.
 * @param {string} path
 */
function readNumbers(path) {
  try {
    return readFileSync(path, 'utf8').trim().split(/\s+/).map(Number);
  } catch {
    return undefined;
  }
}

function readCommit() {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}
