import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

const LOAD_WARNING = 0.5;
/** The row that opens the most opens each connection twice. */
const OPENED_PER_CONNECTION = 2.1;

/** Where the figures were made. */
export function describeMachine() {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    kernel: release(),
    node: process.version,
    commit: readCommit(),
    loadAverage: loadavg().map((load) => Number(load.toFixed(2))),
  };
}

/** What would spoil the figures, one sentence each; nothing is changed. */
export function findWarnings(connections) {
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
  if (loadavg()[0] > LOAD_WARNING) {
    warnings.push(`the load average is ${loadavg()[0].toFixed(2)}: somebody else uses this machine.`);
  }
  return warnings;
}

/**
 * Waits until connection tracking has room for what one measurement opens: closed connections stay in it for two
 * minutes, so that a bench in a hurry would fill it by itself. Goes on after three minutes, come what may.
 */
export async function waitForConntrack(connections) {
  const deadline = performance.now() + 180_000;
  for (;;) {
    const { tracked, maxTracked } = readConntrack();
    if (tracked + connections * OPENED_PER_CONNECTION <= maxTracked || performance.now() > deadline) return;
    await delay(1000);
  }
}

function readConntrack() {
  const [tracked = 0] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_count') ?? [];
  const [maxTracked = Infinity] = readNumbers('/proc/sys/net/netfilter/nf_conntrack_max') ?? [];
  return { tracked, maxTracked };
}

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
