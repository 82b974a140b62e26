/** Calls the C++ compiler for the addon: for this machine (build.mjs), and for every other (prebuild.mjs). */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = dirname(fileURLToPath(import.meta.url));

const LANGUAGE = ['-std=c++17', '-O2', '-Wall', '-Wextra', '-Wconversion', '-fPIC', '-shared'];
const HIDDEN = ['-fvisibility=hidden', '-fno-exceptions', '-fno-rtti'];
export const FLAGS = [...LANGUAGE, ...HIDDEN];

/** Everything that a binary is made of. */
export function sources() {
  return readdirSync(FOLDER)
    .filter((name) => /\.(?:cc|h|mjs)$/.test(name))
    .map((name) => join(FOLDER, name));
}

/** Answers the folder with node_api.h and uv.h, or undefined. */
export function findHeaders() {
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

/**
 * Compiles and links `output`, and answers whether that worked; the compiler says why not. The file appears under a
 * temporary name first, so that a running process never maps half of it.
 */
export function compile({ compiler, flags, output }) {
  mkdirSync(dirname(output), { recursive: true });
  const temporary = `${output}.${process.pid}`;
  const units = sources()
    .filter((path) => path.endsWith('.cc'))
    .toSorted();
  const { error, status } = spawnSync(compiler, [...units, ...flags, '-o', temporary], { stdio: 'inherit' });
  if (error !== undefined || status !== 0) {
    rmSync(temporary, { force: true });
    return false;
  }
  renameSync(temporary, output);
  return true;
}
