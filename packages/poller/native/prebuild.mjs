/**
 * Makes the binaries that the package is published with: `node native/prebuild.mjs OUT [--root DIR] [TARGET…]`.
 *
 * Writes OUT/<target>/poller.node for each target, by default for all of TARGETS, with the cross compilers of Debian on
 * any Debian. Node-API is stable, so one binary per target serves every Node. Where a compiler or a libc is missing, it
 * says which packages have it and fails. It also fails on a binary that needs more than libc and Node.
 *
 * --root DIR: where packages of another architecture are unpacked ("dpkg -x"), when they are not installed.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { compile, findHeaders, FLAGS } from './compile.mjs';
import { foreignNames } from './prebuilt/foreign-names.mjs';

/** What Debian calls each, and where its compiler and its libc are from. */
const TARGETS = {
  'linux-x64-glibc': { triple: 'x86_64-linux-gnu', packages: 'g++-x86-64-linux-gnu' },
  'linux-arm64-glibc': { triple: 'aarch64-linux-gnu', packages: 'g++-aarch64-linux-gnu' },
  'linux-x64-musl': {
    triple: 'x86_64-linux-gnu',
    musl: 'x86_64-linux-musl',
    packages: 'g++-x86-64-linux-gnu musl-dev:amd64',
  },
  'linux-arm64-musl': {
    triple: 'aarch64-linux-gnu',
    musl: 'aarch64-linux-musl',
    packages: 'g++-aarch64-linux-gnu musl-dev:arm64',
  },
};

/** No C++ library; nothing is left to be found later than at load; no symbols for debuggers. */
const LINK = [
  own('prebuilt/operators.cc'),
  '-nostdlib',
  '-Wl,-z,now',
  '-Wl,-s',
  `-Wl,--version-script=${own('prebuilt/exports.map')}`,
  '-lc',
  '-lgcc',
];

const { values, positionals } = parseArgs({
  options: { root: { type: 'string', default: '/' } },
  allowPositionals: true,
});
const [out, ...asked] = positionals;
if (out === undefined) fail('Say where to: node native/prebuild.mjs OUT [--root DIR] [TARGET…]');
const headers = findHeaders();
if (headers === undefined) {
  fail('The headers of Node.js are missing: use a Node with include/node, or install libnode-dev.');
}
for (const target of asked.length > 0 ? asked : Object.keys(TARGETS)) {
  const problem = Object.hasOwn(TARGETS, target)
    ? make(target, TARGETS[target])
    : `There is no target ${target}: choose from ${Object.keys(TARGETS).join(', ')}.`;
  if (problem !== undefined) fail(problem);
}

function own(path) {
  return fileURLToPath(new URL(path, import.meta.url));
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

/** Answers what went wrong, or undefined. */
function make(target, { triple, musl, packages }) {
  const compiler = `${triple}-g++`;
  const folders = includeFolders(compiler);
  const libc = musl === undefined ? undefined : (muslIn(values.root, musl) ?? muslIn('/', musl));
  if (folders === undefined || (musl !== undefined && libc === undefined)) {
    const missing = folders === undefined ? compiler : `the libc of ${musl}`;
    return `${target} cannot be made: ${missing} is missing. Install Debian's ${packages} (of another architecture after "dpkg --add-architecture", or unpacked below --root).`;
  }
  const output = resolve(out, target, 'poller.node');
  const temporary = mkdtempSync(join(tmpdir(), 'poller-prebuild-'));
  try {
    const ofLibc = libc === undefined ? [] : muslFlags(libc, folders, temporary);
    const flags = [...FLAGS, ...ofLibc, '-isystem', headers, ...LINK];
    if (!compile({ compiler, flags, output })) return `${target} was not compiled: the compiler says why.`;
  } finally {
    rmSync(temporary, { recursive: true });
  }
  const foreign = foreignNames(output, libc === undefined ? undefined : join(libc.lib, 'libc.so'));
  if (foreign.length > 0) {
    rmSync(output);
    return `${target} needs more than libc and Node, and would not load everywhere: ${foreign.join(', ')}.`;
  }
  console.log(output);
  return undefined;
}

/** Where a compiler looks for headers, or undefined when there is none. */
function includeFolders(compiler) {
  try {
    const script = `exec ${compiler} -E -x c++ -v /dev/null 2>&1`;
    const [, list] = /search starts here:\n(.*)\nEnd of search list/s.exec(
      execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' }),
    );
    return list.split('\n').map((line) => resolve(line.trim()));
  } catch {
    return undefined;
  }
}

/** The headers and the shared library; that is in /lib where the package is only unpacked. */
function muslIn(root, name) {
  const include = join(root, 'usr/include', name);
  const lib = ['usr/lib', 'lib']
    .map((folder) => join(root, folder, name))
    .find((folder) => existsSync(join(folder, 'libc.so')));
  return lib !== undefined && existsSync(include) ? { include, lib } : undefined;
}

/** Headers of musl in the place of glibc's, between those of the C++ library and those of the kernel. */
function muslFlags(libc, folders, temporary) {
  const having = (path) => folders.find((folder) => existsSync(join(folder, path)));
  const kernel = join(temporary, 'kernel');
  mkdirSync(kernel);
  for (const [name, file] of [
    ['linux', 'linux/version.h'],
    ['asm', 'asm/types.h'],
    ['asm-generic', 'asm-generic/types.h'],
  ]) {
    symlinkSync(join(having(file), name), join(kernel, name));
  }
  const system = [
    ...folders.filter((folder) => /\/c\+\+\//.test(folder)),
    libc.include,
    ...folders.filter((folder) => /\/gcc(?:-cross)?\//.test(folder) && !/\/c\+\+\//.test(folder)),
    kernel,
  ];
  return [
    '-nostdinc',
    ...system.flatMap((folder) => ['-isystem', folder]),
    // The C++ headers were set up for glibc, and ask which.
    '-D__GLIBC_PREREQ(major,minor)=0',
    // musl's lengths of messages are narrower (msghdr(3)).
    '-Wno-conversion',
    `-L${libc.lib}`,
  ];
}
