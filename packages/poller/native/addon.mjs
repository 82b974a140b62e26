/**
 * Finds and loads the addon. The package does this at its first use (src/native.ts), and its install script to see
 * whether there is anything to compile. Plain JavaScript, because at that time nothing of a checkout is compiled.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** As in "engines" of package.json. */
const OLDEST_NODE = [20, 19];

/**
 * In the order in which they are tried. What was compiled here comes first, because somebody asked for it. Which libc this
 * is need not be known: a binary for musl needs `libc.so`, one for glibc `libc.so.6`, and the system's own loader refuses
 * the wrong one. musl comes first, because musl with a layer for programs of glibc would take both.
 */
const PREBUILT = [
  `../prebuilds/linux-${process.arch}-musl/poller.node`,
  `../prebuilds/linux-${process.arch}-glibc/poller.node`,
];
const COMPILED = '../build/poller.node';

const BUILD_SCRIPT = fileURLToPath(new URL('build.mjs', import.meta.url));

/** What to do where the addon is not there: no binary loads, and none was compiled. */
export const NOT_BUILT = `Roost's poller has no binary for this machine (Linux on ${process.arch}): install a C++ compiler and the headers of Node.js (Debian: "apt-get install g++", Alpine: "apk add g++", and with the system's own Node "libnode-dev" or "nodejs-dev"), and run "node ${BUILD_SCRIPT}".`;

/** Why the addon can neither be loaded nor compiled here, or undefined. */
export function unsupported() {
  if (process.platform !== 'linux') {
    return `Roost's poller needs Linux (epoll), and this is ${process.platform}: run it in a container of Linux, as "docker compose up" does in Roost's repository.`;
  }
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
    return `Roost needs Node.js ${OLDEST_NODE.join('.')} or newer, and ${process.execPath} is ${process.versions.node}. Install a newer one, and run it with that.`;
  }
  return undefined;
}

/** Whether a binary that came with the package loads here. */
export function hasPrebuilt() {
  return load(PREBUILT).addon !== undefined;
}

/** Answers `{ addon }`, or `{ problem, cause }`: a sentence that says what to do, and what the system's loader said. */
export function loadAddon() {
  const problem = unsupported();
  if (problem !== undefined) return { problem, cause: undefined };
  const { addon, cause } = load([COMPILED, ...PREBUILT]);
  return addon === undefined ? { problem: NOT_BUILT, cause } : { addon };
}

function load(paths) {
  const require = createRequire(import.meta.url);
  let cause;
  for (const path of paths) {
    try {
      return { addon: require(path) };
    } catch (error) {
      // One that is there and does not load says more than one that is not there.
      if (cause === undefined || error.code !== 'MODULE_NOT_FOUND') cause = error;
    }
  }
  return { cause };
}
