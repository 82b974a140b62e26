import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ROOT } from '../documents/snippets.ts';
import { manifestsIn, type Manifest } from './manifests.ts';

const execute = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('render-chart.go', import.meta.url));
const CHART = join(ROOT, 'infra/helm/roost');
/** Where Debian's packages put the sources of Go libraries. */
const DEBIAN_SOURCES = '/usr/share/gocode';

/** As Debian has it: golang-go, golang-github-masterminds-sprig-dev and golang-k8s-sigs-yaml-dev. */
export const canRenderCharts =
  spawnSync('go', ['list', 'github.com/Masterminds/sprig', 'sigs.k8s.io/yaml'], {
    env: environment(tmpdir()),
    stdio: 'ignore',
  }).status === 0;

/** The engine that Helm has: Go's templates, with sprig's functions. */
export class ChartRenderer {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async build(): Promise<ChartRenderer> {
    const folder = await mkdtemp(join(tmpdir(), 'roost-chart-'));
    await execute('go', ['build', '-o', join(folder, 'render-chart'), PROGRAM], { env: environment(folder) });
    return new ChartRenderer(folder);
  }

  /** What the chart makes of its values with these over them; without the notes. */
  async text(values: object = {}): Promise<string> {
    const rendering = execute(join(this.#folder, 'render-chart'), [CHART, 'roost']);
    // As Helm reads it, where on and off are true and false unless they are quoted.
    rendering.child.stdin?.end(stringify(values, { version: '1.1' }));
    const { stdout } = await rendering;
    return stdout.replace(/^---\n# Source: NOTES\.txt\n[^]*?(?=^---$)/m, '');
  }

  async manifests(values: object = {}): Promise<Manifest[]> {
    return manifestsIn(await this.text(values));
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function environment(folder: string): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    GO111MODULE: 'off',
    GOPATH: DEBIAN_SOURCES,
    // Its own cache, unless there is one: compiled again, the libraries take a few seconds.
    GOCACHE: process.env['GOCACHE'] ?? join(process.env['HOME'] ?? folder, '.cache/go-build'),
  };
}
