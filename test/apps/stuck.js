import { execSync, spawn } from 'node:child_process';

/**
 * The application of the specs about stuck workers. /echo sends every message back, and tells first which process serves.
 * A POST to any other path does what the path names to the worker that serves it, after its answer: the pid. /loops-on/0,1
 * starts a process for each of these CPUs that loops there until the worker is gone, and answers their pids.
 */
const WAYS = {
  '/loop': function endlessLoop() {
    for (;;) globalThis.sum = half(Math.random());
  },
  '/regexp': function badPattern() {
    /^(a+)+$/.test(`${'a'.repeat(60)}b`);
  },
  '/system-call': function waitForProgram() {
    execSync('sleep 600');
  },
  /** Without a system call, and without a stack. */
  '/native': function parseForEver() {
    const text = `[${'1,'.repeat(5e6)}1]`;
    for (;;) JSON.parse(text);
  },
  /** A quarter of a second of CPU time: much for a hook, and nothing that is stuck. */
  '/work': function work() {
    const from = process.cpuUsage().user;
    while (process.cpuUsage().user - from < 250_000);
  },
  '/pause': function pause() {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
  },
  '/leak': function leak() {
    const all = [];
    for (;;) all.push(Array.from({ length: 1000 }, () => all.length));
  },
  /** Outside of the JavaScript heap, so that only the kernel minds. */
  '/allocate': function allocate() {
    const all = [];
    for (;;) all.push(Buffer.alloc(4 * 1024 * 1024, 1));
  },
};

function half(number) {
  let sum = 0;
  for (let index = 0; index < 1000; index++) sum += number / 2;
  return sum;
}

/** In the session of the farm: where Linux groups by session, priorities count within one only (sched(7), autogroup). */
function loopsOn(cpus) {
  const loop = `while (process.ppid === ${process.pid});`;
  return cpus.map(
    (cpu) => spawn('taskset', ['-c', cpu, process.execPath, '-e', loop], { stdio: 'ignore' }).pid,
  );
}

export default {
  name: 'stuck',
  upgrade: ({ path }) => (path === '/echo' ? { kind: 'accept' } : undefined),
  open: (connection) => void connection.send(String(process.pid)),
  message: (connection, data, isBinary) => void connection.send(data, isBinary),
  http(request, response) {
    const cpus = /^\/loops-on\/([\d,-]+)$/.exec(request.url)?.[1];
    if (cpus !== undefined) {
      response.end(JSON.stringify(loopsOn(cpus.split(','))));
      return true;
    }
    const way = WAYS[request.url];
    if (way === undefined) return false;
    response.end(String(process.pid), () => setTimeout(() => way(), 1));
    return true;
  },
};
