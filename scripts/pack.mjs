/**
 * Packs every package that is published, as it would be published: `node scripts/pack.mjs OUT [--binaries DIR]`.
 *
 * OUT gets a tarball of each, and stdout the paths and contents. DIR has the poller's binaries, as
 * packages/poller/native/prebuild.mjs leaves them; without it there are none, and whoever installs the poller compiles it.
 * Everything must be built. Fails with sentences when the versions do
 * not agree, or when publint or "are the types wrong" find fault with a tarball.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { tarballProblems } from './release/check-tarball.mjs';
import { publishedPackages, versionProblems } from './release/published.mjs';
import { stagePackage } from './release/stage.mjs';

const { values, positionals } = parseArgs({
  options: { binaries: { type: 'string' } },
  allowPositionals: true,
});
const [out] = positionals;
if (out === undefined) {
  console.error('Say where to: node scripts/pack.mjs OUT [--binaries DIR]');
  process.exit(1);
}
const folder = resolve(out);
mkdirSync(folder, { recursive: true });

const problems = versionProblems();
const stages = mkdtempSync(join(tmpdir(), 'roost-pack-'));
const binaries = values.binaries === undefined ? join(stages, 'no-binaries') : resolve(values.binaries);
try {
  if (values.binaries === undefined) mkdirSync(binaries);
  for (const one of publishedPackages()) {
    const stage = join(stages, basename(one.folder));
    stagePackage(one, stage, binaries);
    const path = pack(stage);
    problems.push(...(await tarballProblems(path)).map((problem) => `${one.manifest.name}: ${problem}`));
  }
} finally {
  rmSync(stages, { recursive: true });
}
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
}

function pack(stage) {
  const report = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: stage,
    encoding: 'utf8',
  });
  const [{ filename, size, files }] = JSON.parse(report);
  const path = join(folder, filename);
  console.log(`${path} (${size} bytes)`);
  for (const file of files) console.log(`  ${file.path} (${file.size} bytes)`);
  return path;
}
