/**
 * Compiles the addon for this machine: `node native/build.mjs [--install]`.
 *
 * Calls the C++ compiler directly ($CXX, else c++) with the headers that came with this Node, and writes
 * build/poller.node. Does nothing when that is newer than every source and was built with the same compiler, flags and
 * headers.
 *
 * Where it cannot build it prints one line that says what to install. That is a failure (exit code 1) unless
 * --install is given, as the install script does: the package can be installed anywhere, and says the same sentence
 * when it is used. With --install nothing is compiled either where a binary that came with the package loads.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasPrebuilt, NOT_BUILT, unsupported } from './addon.mjs';
import { compile, findHeaders, FLAGS, sources } from './compile.mjs';

const isInstall = process.argv.includes('--install');
const output = fileURLToPath(new URL('../build/poller.node', import.meta.url));
const stampFile = fileURLToPath(new URL('../build/poller.json', import.meta.url));

/** Ends with the sentence that tells people what to do. */
function giveUp(sentence) {
  console.error(sentence);
  process.exit(isInstall ? 0 : 1);
}

const problem = unsupported();
if (problem !== undefined) giveUp(problem);
if (isInstall && hasPrebuilt()) process.exit(0);
const headers = findHeaders();
if (headers === undefined) giveUp(NOT_BUILT);

const compiler = process.env['CXX'] || 'c++';
const flags = [...FLAGS, `-I${headers}`];
const headersVersion = readFileSync(join(headers, 'node_version.h'), 'utf8').match(
  /#define NODE_M\w+_VERSION \d+/g,
);
const stamp = JSON.stringify({ compiler, flags, headersVersion, arch: process.arch });

if (existsSync(output) && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) {
  const builtAt = statSync(output).mtimeMs;
  if (sources().every((path) => statSync(path).mtimeMs < builtAt)) process.exit(0);
}

if (!compile({ compiler, flags, output })) giveUp(NOT_BUILT);
writeFileSync(stampFile, stamp);
