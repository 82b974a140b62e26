/**
 * Compiles the addon of the phantom clients for this machine, and loads it: `node native/addon.mjs` compiles only.
 *
 * Few need it, so a package has its sources and no binaries: the first use compiles them, in some seconds, with $CXX or c++ and the
 * headers that came with this Node. It is done again only when a source is newer.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = dirname(fileURLToPath(import.meta.url));
const OUTPUT = join(FOLDER, `../build/phantom-${process.arch}.node`);
const LANGUAGE = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Wconversion', '-fPIC', '-shared'];
const FLAGS = [...LANGUAGE, '-fvisibility=hidden', '-fno-exceptions', '-fno-rtti', '-static-libstdc++'];

const NOT_BUILT =
  'phantom clients need an addon that could not be compiled here: install a C++ compiler and the headers of Node.js ' +
  '(Debian: "apt-get install g++", and with the system\'s own Node "libnode-dev").';

/** Answers the addon, or throws an Error whose message says what to install. */
export function loadAddon() {
  compile();
  return createRequire(import.meta.url)(OUTPUT);
}

function compile() {
  const sources = readdirSync(FOLDER).map((name) => join(FOLDER, name));
  if (existsSync(OUTPUT)) {
    const builtAt = statSync(OUTPUT).mtimeMs;
    if (sources.every((path) => statSync(path).mtimeMs < builtAt)) return;
  }
  const headers = findHeaders();
  if (headers === undefined) throw new Error(NOT_BUILT);
  mkdirSync(dirname(OUTPUT), { recursive: true });
  // Under a temporary name first, so that a running process never maps half of it.
  const temporary = `${OUTPUT}.${process.pid}`;
  const units = sources.filter((path) => path.endsWith('.cc')).toSorted();
  const { error, status } = spawnSync(
    process.env['CXX'] || 'c++',
    [...units, ...FLAGS, `-I${headers}`, '-o', temporary],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  if (error !== undefined || status !== 0) {
    rmSync(temporary, { force: true });
    throw new Error(NOT_BUILT);
  }
  renameSync(temporary, OUTPUT);
}

/** The folder with node_api.h and uv.h, or undefined. */
function findHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const nodedir = process.env['npm_config_nodedir'];
  const candidates = [prefix, ...(nodedir === undefined ? [] : [nodedir]), '/usr/local', '/usr'];
  return candidates
    .map((folder) => join(folder, 'include/node'))
    .find((folder) => existsSync(join(folder, 'node_api.h')) && existsSync(join(folder, 'uv.h')));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    compile();
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
