/**
 * Watches the event loop of the process that it is loaded into (`node --import`): how late a timer is at worst, and how
 * much CPU the main thread used at most from one look to the next. When others want the CPUs too, only the second says
 * something of the process. SIGUSR2 writes what was found since the last time to LOOP_DELAY_FOLDER, or the current folder.
 */
import { closeSync, openSync, readSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const INTERVAL_MS = 5;
const { LOOP_DELAY_FOLDER: folder = '.' } = process.env;

const schedstat = openSync('/proc/self/schedstat', 'r');
const buffer = Buffer.alloc(128);
let last = performance.now();
let lastCpu = cpuMs();
let found = nothing();

setInterval(() => {
  const now = performance.now();
  const cpu = cpuMs();
  const lateMs = Math.max(0, now - last - INTERVAL_MS);
  found.lateMs = Math.max(found.lateMs, lateMs);
  found.busyMs = Math.max(found.busyMs, cpu - lastCpu);
  last = now;
  lastCpu = cpu;
}, INTERVAL_MS).unref();

process.on('SIGUSR2', () => {
  const path = join(folder, `${process.pid}.json`);
  // Whole or not at all, for who waits for it.
  writeFileSync(`${path}.new`, JSON.stringify(found));
  renameSync(`${path}.new`, path);
  found = nothing();
});
process.on('exit', () => closeSync(schedstat));

function nothing() {
  return { lateMs: 0, busyMs: 0 };
}

/** CPU time of the main thread. Source: Documentation/scheduler/sched-stats.rst, in ns. */
function cpuMs() {
  const length = readSync(schedstat, buffer, 0, buffer.length, 0);
  return Number(buffer.toString('latin1', 0, length).split(' ')[0]) / 1e6;
}
