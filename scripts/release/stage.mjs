import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { manifestOf, ROOT } from './published.mjs';

/** What no package ships, even where its "files" would have it. */
const LEFT_OUT = new Set(['node_modules', 'src', 'build', '.tsbuildinfo']);

/**
 * Lays out a package in `stage` as it is to be packed: what is built, with the license, and a manifest for those who
 * install it. The poller gets the binaries from `binaries`, by target (see packages/poller/native/prebuild.mjs).
 */
export function stagePackage({ folder, manifest }, stage, binaries) {
  mkdirSync(stage, { recursive: true });
  cpSync(folder, stage, { recursive: true, filter: (path) => !LEFT_OUT.has(basename(path)) });
  cpSync(join(ROOT, 'LICENSE'), join(stage, 'LICENSE'));
  if (manifest.files.includes('prebuilds')) cpSync(binaries, join(stage, 'prebuilds'), { recursive: true });
  writeFileSync(
    join(stage, 'package.json'),
    `${JSON.stringify(publishedManifest(folder, manifest), null, 2)}\n`,
  );
}

/** Without what only a checkout has, and with what the whole repository says once, in its own manifest. */
function publishedManifest(folder, manifest) {
  const { repository, homepage, bugs } = manifestOf(ROOT);
  const { exports, scripts, ...published } = manifest;
  delete published.devDependencies;
  published.exports = Object.fromEntries(
    Object.entries(exports).map(([path, target]) => [path, withoutSource(target)]),
  );
  if (scripts?.install !== undefined) published.scripts = { install: scripts.install };
  if (repository !== undefined) published.repository = { ...repository, directory: relative(ROOT, folder) };
  if (homepage !== undefined) published.homepage = homepage;
  if (bugs !== undefined) published.bugs = bugs;
  return published;
}

/** The condition "source" is for the specs of the checkout. */
function withoutSource(target) {
  if (typeof target === 'string') return target;
  return Object.fromEntries(Object.entries(target).filter(([condition]) => condition !== 'source'));
}
