/* oxlint-disable no-underscore-dangle -- it reaches into Node, where system calls end. */
/**
 * Loaded before everything else into the master and the workers of a farm under test (NODE_OPTIONS). It makes the calls that
 * need something of the system fail as they do when the system has nothing left, or throws from within a function as a bug
 * would. It is told what by the file that FAULT_FILE names, when the process gets SIGUSR2, or at once if the fault is
 * `atStart`. test/faults/faults.ts says what a fault is.
 */
import { ChildProcess } from 'node:child_process';
import { readFileSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';

const STDERR = 2;
const WORKER_CONTROL_FD = 4;
/** Linux's own (asm-generic/errno.h), which Node has no name for. */
const ERRNO = { ...constants.errno, ETOOMANYREFS: 109 };

const isWorker = process.argv[1]?.endsWith('/worker/main.js') ?? false;
const addon = createRequire(import.meta.url)(
  fileURLToPath(new URL('../../packages/poller/build/poller.node', import.meta.url)),
);

let fault;

function readFault() {
  try {
    return JSON.parse(readFileSync(process.env.FAULT_FILE, 'utf8'));
  } catch {
    return undefined;
  }
}

function arm(given) {
  if (given === undefined) return;
  fault = given;
  if (fault.via !== undefined) patchGlobal(fault.via);
  writeSync(STDERR, `fault armed in ${process.pid}\n`);
}

/** Whether this call is to fail now. */
function hits(call) {
  if (fault === undefined || !(fault.call ?? '').split('|').includes(call)) return false;
  fired();
  return true;
}

function fired() {
  fault.times -= 1;
  writeSync(STDERR, `fault fired in ${process.pid}\n`);
  if (fault.times === 0) fault = undefined;
}

function failure(errno) {
  return Object.assign(new Error(`injected ${errno}`), { code: errno, errno: -ERRNO[errno] });
}

/** Calls that throw. */
for (const call of ['descriptorPair', 'createPoller', 'listen']) {
  const real = addon[call];
  addon[call] = (...args) => {
    const { errno } = fault ?? {};
    if (hits(call)) throw failure(errno);
    const made = real(...args);
    if (call === 'createPoller') wrapPoller(made);
    return made;
  };
}

/** Calls that answer -errno. */
function answering(owner, call) {
  const real = owner[call];
  owner[call] = (...args) => {
    const { errno } = fault ?? {};
    return hits(call) ? -ERRNO[errno] : real.apply(owner, args);
  };
}

answering(addon, 'accept');
answering(addon, 'sendDescriptors');

function wrapPoller(poller) {
  answering(poller, 'watch');
  answering(poller, 'watchDescriptor');
  const real = poller.watchNew;
  // It answers how many could not be watched.
  poller.watchNew = (slots, count) =>
    count > 0 && hits('watchNew') ? count : real.call(poller, slots, count);
}

const receive = addon.receiveDescriptors;
addon.receiveDescriptors = (channel, fds, record, result) => {
  const { errno } = fault ?? {};
  if (hits('receiveDescriptors'))
    return Object.assign(result, { bytes: -ERRNO[errno], count: 0, truncated: false });
  receive(channel, fds, record, result);
  if (result.count > 0 && hits('receiveDescriptors: MSG_CTRUNC')) {
    // What the kernel does when the receiver has no descriptor left (unix(7)).
    for (const fd of fds.subarray(0, result.count)) addon.closeDescriptor(fd);
    Object.assign(result, { count: 0, truncated: true });
  }
  return result;
};

const processHandle = Object.getPrototypeOf(new ChildProcess()._handle);
for (const call of ['spawn', 'kill']) {
  const real = processHandle[call];
  processHandle[call] = function (...args) {
    const { errno } = fault ?? {};
    return hits(call) ? -ERRNO[errno] : real.apply(this, args);
  };
}

const write = Socket.prototype._writeGeneric;
Socket.prototype._writeGeneric = function (isVector, data, encoding, callback) {
  const isControl =
    this._handle?.constructor.name === 'Pipe' && (!isWorker || this._handle.fd === WORKER_CONTROL_FD);
  const { errno } = fault ?? {};
  if (isControl && hits('write')) {
    callback(failure(errno));
    return undefined;
  }
  return write.call(this, isVector, data, encoding, callback);
};

/** Makes a global function, by its path, throw or lie when it is called from within `fault.caller`. */
function patchGlobal(path) {
  const names = path.split('.');
  const name = names.pop();
  const owner = names.reduce((object, key) => object[key], globalThis);
  const real = owner[name];
  let isBusy = false;
  owner[name] = function (...args) {
    if (isBusy || fault?.via !== path) return real.apply(this, args);
    isBusy = true;
    try {
      const isMeant =
        fault.replace === undefined
          ? new Error('where').stack.includes(fault.caller)
          : args[0]?.type === fault.replace.type;
      if (isMeant) {
        const { replace, caller } = fault;
        fired();
        if (replace === undefined) throw new Error(`injected into ${caller}`);
        args[0] = { ...args[0], ...replace };
      }
    } finally {
      isBusy = false;
    }
    return real.apply(this, args);
  };
}

process.on('SIGUSR2', () => arm(readFault()));
const first = readFault();
if (first?.atStart === (isWorker ? 'worker' : 'master')) arm(first);
