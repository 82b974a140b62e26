import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { join } from 'node:path';

const BUN_VERSION = '1.4.5';
const SOCKET_IO_VERSION = '4.8.4';

/** @typedef {{ package: string, version: string, file: string }} Package A package of npm, and the file of it that is used. */

/**
 * Peers that are no dependency of this repository.
 * @type {Readonly<Record<string, () => Package>>}
 */
const PEERS = {
  Bun: () => ({ package: `@oven/bun-linux-${bunBuild()}`, version: BUN_VERSION, file: 'bin/bun' }),
  'socket.io': () => ({ package: 'socket.io', version: SOCKET_IO_VERSION, file: 'wrapper.mjs' }),
};

/**
 * Where fetched peers are kept; not in the folder for temporary files, into which anybody could put a program.
 * BENCH_PEERS names another (a farm would refuse a variable that begins with ROOST_).
 */
const FOLDER =
  process.env.BENCH_PEERS ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'roost-bench-peers');

/** @param {string} serverName */
export function isFetched(serverName) {
  return serverName in PEERS;
}

/**
 * The path of a peer's file, which is fetched when it is not there yet. Throws when it cannot be had.
 * @param {string} serverName
 */
export function fetchPeer(serverName) {
  return fetchPackage(serverName, PEERS[serverName]());
}

/**
 * The path of a file of a package of npm, which is fetched when it is not there yet. Throws when it cannot be had.
 * @param {string} title
 * @param {Package} wanted
 */
export function fetchPackage(title, { package: name, version, file }) {
  const folder = join(FOLDER, `${name.replaceAll('/', '-')}-${version}`);
  const path = join(folder, 'node_modules', name, file);
  if (existsSync(path)) return path;
  console.log(`${title}: fetching ${name}@${version} from npm into ${folder}`);
  mkdirSync(folder, { recursive: true });
  const args = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  try {
    execFileSync('npm', [...args, `${name}@${version}`], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: 180_000,
    });
  } catch (cause) {
    throw new Error(`${title} could not be fetched: npm install ${name}@${version} failed`, { cause });
  }
  if (!existsSync(path)) throw new Error(`${title} could not be fetched: ${path} is missing`);
  return path;
}

/** Versions of the peers, and of the client of Redis that those of Node have. */
export function peerVersions() {
  const require = createRequire(import.meta.url);
  return {
    ws: require('ws/package.json').version,
    Bun: BUN_VERSION,
    'socket.io': SOCKET_IO_VERSION,
    ioredis: require('ioredis/package.json').version,
  };
}

function bunBuild() {
  if (process.arch === 'arm64') return 'aarch64';
  return / avx2 /.test(readFileSync('/proc/cpuinfo', 'latin1')) ? 'x64' : 'x64-baseline';
}
