/**
 * Releases every package that is published: `npm run release -- --dry-run [--out DIR] [--root DIR]`.
 *
 * Builds everything from nothing in a clean checkout, makes the poller's binaries, packs and checks the packages (see
 * pack.mjs) into DIR (default build/release), and publishes the tarballs, those that others depend on first, unless it
 * is a dry run. What the registry has already is left out, so that an interrupted release can be repeated.
 *
 * --root: see packages/poller/native/prebuild.mjs.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { manifestOf, publishedPackages, ROOT, versionProblems } from './release/published.mjs';

const { values } = parseArgs({
  options: {
    'dry-run': { type: 'boolean', default: false },
    out: { type: 'string', default: join(ROOT, 'build/release') },
    root: { type: 'string', default: '/' },
  },
});
const isDryRun = values['dry-run'];
const out = resolve(values.out);
const packages = publishedPackages();

for (const problem of versionProblems(packages)) fail(problem);
const changes = execFileSync('git', ['status', '--porcelain'], { cwd: ROOT, encoding: 'utf8' });
if (changes !== '') fail(`The checkout is not clean: commit or remove what has changed first.\n${changes}`);
if (manifestOf(ROOT).repository === undefined) {
  const sentence =
    'package.json says nowhere where the sources are: give it "repository", which every package repeats.';
  if (isDryRun) console.warn(sentence);
  else fail(sentence);
}

// The compiler leaves behind what it made of sources that are gone.
for (const { folder } of packages) rmSync(join(folder, 'dist'), { recursive: true, force: true });
rmSync(out, { recursive: true, force: true });
run('npm', 'run', 'build', '--silent');
run('node', 'packages/poller/native/prebuild.mjs', join(out, 'prebuilds'), '--root', resolve(values.root));
run('node', 'scripts/pack.mjs', out, '--binaries', join(out, 'prebuilds'));

if (isDryRun) {
  console.log(`Nothing was published. The packages are in ${out}.`);
} else {
  for (const { manifest } of packages) publish(manifest);
}

function publish({ name, version }) {
  if (
    spawnSync('npm', ['view', `${name}@${version}`, 'version'], { encoding: 'utf8' }).stdout.trim() ===
    version
  ) {
    console.log(`${name} ${version} is published already.`);
    return;
  }
  // As "npm pack" names it.
  run('npm', 'publish', join(out, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`));
}

function run(command, ...args) {
  const { status } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (status !== 0)
    fail(`"${command} ${args.join(' ')}" failed. ${isDryRun ? '' : 'Later packages are not published.'}`);
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
