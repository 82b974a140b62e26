import { once } from 'node:events';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, freePort, spawnGroup } from '@roost/testing';

/** As Debian's package prometheus has it, with promtool. */
export const prometheusIsInstalled = ['prometheus', 'promtool'].every(
  (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0,
);

/** One value of a query, with its labels. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

export interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
}

export interface Rule {
  readonly name: string;
  readonly health: string;
  readonly lastError?: string;
}

/** What its API answers under `data`, of whatever was asked. */
interface Data {
  readonly activeTargets?: readonly { readonly health: string; readonly lastError: string }[];
  readonly groups?: readonly { readonly rules: readonly Rule[] }[];
  readonly alerts?: readonly Alert[];
  readonly result?: readonly Sample[];
}

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: Data;
}

/** A real Prometheus. The caller stops it. */
export class Prometheus {
  readonly #url: string;
  readonly #end: () => Promise<void>;

  private constructor(url: string, end: () => Promise<void>) {
    this.#url = url;
    this.#end = end;
  }

  static async start(configuration: string): Promise<Prometheus> {
    const folder = await mkdtemp(join(tmpdir(), 'roost-prometheus-'));
    const file = join(folder, 'prometheus.yml');
    await writeFile(file, configuration);
    const port = await freePort();
    const child = spawnGroup('prometheus', [
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ]);
    let output = '';
    child.stderr.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4000)));
    const ended = once(child, 'close');
    const prometheus = new Prometheus(`http://127.0.0.1:${port}`, async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true, force: true });
    });
    try {
      await eventually(async () => (await prometheus.#get('/-/ready')).ok, { what: 'Prometheus is ready' });
    } catch (error) {
      await prometheus.stop();
      throw new Error(`Prometheus did not start: ${output}`, { cause: error });
    }
    return prometheus;
  }

  stop(): Promise<void> {
    return this.#end();
  }

  /** The health of each target: `up`, `down` or `unknown`, with its last error. */
  async targets(): Promise<string[]> {
    const { activeTargets = [] } = await this.#ask('targets');
    return activeTargets.map(({ health, lastError }) => `${health} ${lastError}`.trim());
  }

  async rules(): Promise<readonly Rule[]> {
    const { groups = [] } = await this.#ask('rules');
    return groups.flatMap(({ rules }) => rules);
  }

  async alerts(): Promise<readonly Alert[]> {
    return (await this.#ask('alerts')).alerts ?? [];
  }

  /** Rejects with what Prometheus says when the expression is none. */
  async query(expression: string): Promise<readonly Sample[]> {
    return (await this.#ask(`query?query=${encodeURIComponent(expression)}`)).result ?? [];
  }

  async #ask(question: string): Promise<Data> {
    const response = await this.#get(`/api/v1/${question}`);
    const { status, error, data }: Answer = JSON.parse(await response.text());
    if (status !== 'success') throw new Error(`${question}: ${error}`);
    return data;
  }

  #get(path: string): Promise<Response> {
    return fetch(this.#url + path, { headers: { Connection: 'close' } });
  }
}
