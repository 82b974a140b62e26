import { execFileSync } from 'node:child_process';

/** What Node 20 itself needs of glibc, so no machine that runs it has less. */
const NEWEST_GLIBC = [2, 28];

/**
 * What a binary needs from somewhere else than libc and Node, as readelf(1) tells; empty when it loads wherever Node does.
 * `muslLibc` is the library that it was linked with, if that was musl, whose names have no versions.
 */
export function foreignNames(binary, muslLibc) {
  const libc = muslLibc === undefined ? 'libc.so.6' : 'libc.so';
  const libraries = needed(binary);
  // Without it, libc itself is in the binary, as a second one beside Node's.
  if (!libraries.includes(libc)) return [`no ${libc}`];
  const ofMusl = muslLibc === undefined ? undefined : new Set(symbols(muslLibc).map(({ name }) => name));
  const names = symbols(binary)
    .filter(({ isDefined, isWeak, name }) => !isDefined && !isWeak && !/^(?:napi|node_api|uv)_/.test(name))
    .filter(({ name, version }) => (ofMusl === undefined ? !isOldEnough(version) : !ofMusl.has(name)))
    .map(({ name, version }) => (version === undefined ? name : `${name}@${version}`));
  return [...libraries.filter((name) => name !== libc), ...names];
}

function needed(binary) {
  const text = execFileSync('readelf', ['-dW', binary], { encoding: 'utf8' });
  return Array.from(text.matchAll(/\(NEEDED\).*\[(.*)\]/g), ([, name]) => name);
}

function symbols(binary) {
  return execFileSync('readelf', ['--dyn-syms', '-W', binary], { encoding: 'utf8' })
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => /^\d+:$/.test(fields[0]) && fields.length >= 8)
    .map(([, , , , binding, , section, symbol]) => {
      const [name, version] = symbol.split(/@+/);
      return { name, version, isWeak: binding === 'WEAK', isDefined: section !== 'UND' };
    });
}

function isOldEnough(version) {
  const [, major, minor] = /^GLIBC_(\d+)\.(\d+)/.exec(version ?? '') ?? [];
  return (
    Number(major) < NEWEST_GLIBC[0] || (Number(major) === NEWEST_GLIBC[0] && Number(minor) <= NEWEST_GLIBC[1])
  );
}
