/**
 * Compiles the addon: `node native/build.mjs [--optional]`.
 *
 * Calls the C++ compiler directly ($CXX, else c++) with the headers that came with this Node. Writes
 * build/poller.node under a temporary name and renames it, so that a running process never maps half a file. Does
 * nothing when the result is newer than every source and was built with the same compiler, flags and headers.
 *
 * Where it cannot build it prints one line that says what to install. That is a failure (exit code 1) unless
 * --optional is given, as the install script does: the package can be installed anywhere, and says the same sentence
 * when it is used.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FLAGS = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Wconversion', '-fPIC', '-shared'];
const HIDDEN = ['-fvisibility=hidden', '-fno-exceptions', '-fno-rtti'];

// The same sentences stand in src/native.ts, which cannot be imported before it is compiled; a test compares them.
const NOT_BUILT =
  'Roost\'s poller is not built: install a C++ compiler and the headers of Node.js (Debian: "apt-get install g++", with Debian\'s own Node also "libnode-dev") and run "npm run build".';
const NOT_LINUX = `Roost's poller needs Linux (epoll), and this is ${process.platform}: run it with "docker compose up" instead.`;

const folder = dirname(fileURLToPath(import.meta.url));
const output = join(folder, '../build/poller.node');
const stampFile = join(folder, '../build/poller.json');

/** Answers the folder with node_api.h and uv.h, or undefined. */
function findHeaders() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const nodedir = process.env['npm_config_nodedir'];
  const candidates = [
    join(prefix, 'include/node'),
    ...(nodedir === undefined ? [] : [join(nodedir, 'include/node')]),
    '/usr/local/include/node',
    '/usr/include/node',
  ];
  return candidates.find((path) => existsSync(join(path, 'node_api.h')) && existsSync(join(path, 'uv.h')));
}

/** Ends with the sentence that tells people what to do. */
function giveUp(sentence) {
  console.error(sentence);
  process.exit(process.argv.includes('--optional') ? 0 : 1);
}

if (process.platform !== 'linux') giveUp(NOT_LINUX);
const headers = findHeaders();
if (headers === undefined) giveUp(NOT_BUILT);

const sources = readdirSync(folder).map((name) => join(folder, name));
const units = sources.filter((path) => path.endsWith('.cc')).toSorted();
const compiler = process.env['CXX'] || 'c++';
const flags = [...FLAGS, ...HIDDEN, `-I${headers}`];
const headersVersion = readFileSync(join(headers, 'node_version.h'), 'utf8').match(
  /#define NODE_M\w+_VERSION \d+/g,
);
const stamp = JSON.stringify({ compiler, flags, headersVersion, arch: process.arch });

if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
  const builtAt = statSync(output).mtimeMs;
  if (sources.every((path) => statSync(path).mtimeMs < builtAt)) process.exit(0);
}

mkdirSync(dirname(output), { recursive: true });
const temporary = `${output}.${process.pid}`;
const { error, status } = spawnSync(compiler, [...flags, ...units, '-o', temporary], { stdio: 'inherit' });
if (error !== undefined || status !== 0) {
  rmSync(temporary, { force: true });
  giveUp(NOT_BUILT);
}
renameSync(temporary, output);
writeFileSync(stampFile, stamp);
