import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export function manifestOf(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

/** What is published: every package that is not private, each behind those that it depends on; `{ folder, manifest }`. */
export function publishedPackages() {
  const found = ['packages', 'apps']
    .flatMap((parent) => readdirSync(join(ROOT, parent)).map((name) => join(ROOT, parent, name)))
    .map((folder) => ({ folder, manifest: manifestOf(folder) }))
    .filter(({ manifest }) => manifest.private !== true);
  const sorted = [];
  const add = (one) => {
    if (sorted.includes(one)) return;
    for (const name of Object.keys(one.manifest.dependencies ?? {})) {
      const ours = found.find(({ manifest }) => manifest.name === name);
      if (ours !== undefined) add(ours);
    }
    sorted.push(one);
  };
  for (const one of found) add(one);
  return sorted;
}

/** What is wrong with the versions, in sentences: all are released together, and no dependency is a range. */
export function versionProblems(packages = publishedPackages()) {
  const { version } = manifestOf(ROOT);
  const names = new Set(packages.map(({ manifest }) => manifest.name));
  return packages.flatMap(({ manifest }) => [
    ...(manifest.version === version
      ? []
      : [`${manifest.name} has the version ${manifest.version}, and the repository ${version}.`]),
    ...Object.entries({ ...manifest.dependencies, ...manifest.optionalDependencies })
      .filter(([name, asked]) => (names.has(name) ? asked !== version : !/^\d+\.\d+\.\d+$/.test(asked)))
      .map(
        ([name, asked]) =>
          `${manifest.name} asks for ${name} ${asked}: an exact version is needed${names.has(name) ? `, ${version}` : ''}.`,
      ),
  ]);
}
