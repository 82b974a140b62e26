import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  eventually,
  redisIsInstalled,
  startRedis,
  type FarmProcess,
  type RedisFixture,
} from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { documentedMetrics } from '../apps/roost/src/admin/metrics/reference.ts';
import { leadsSomewhere } from './documents/links.ts';
import { proseOf, ROOT } from './documents/snippets.ts';
import { connect, connectRaw, startSharedFarm } from './harness/system.ts';
import { Prometheus, prometheusIsInstalled } from './observability/prometheus.ts';

const execute = promisify(execFile);
const FOLDER = join(ROOT, 'infra/observability');
const RULES = join(FOLDER, 'roost.rules.yml');
const RULE_TESTS = join(ROOT, 'test/observability/alerts.yml');
const TOKEN = 'a-token-of-the-prometheus';

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<string, string>>;
}

/** A file of "promtool test rules", as far as it is read here. */
interface RuleTests {
  readonly tests: readonly {
    readonly promql_expr_test: readonly { readonly exp_samples: readonly { readonly labels: string }[] }[];
  }[];
}

interface Rules {
  readonly groups: readonly {
    readonly rules: readonly Alert[];
  }[];
}

function fileOf(name: string): string {
  return readFileSync(join(FOLDER, name), 'utf8');
}

const dashboard: Dashboard = JSON.parse(fileOf('grafana/roost.dashboard.json'));
const charts = dashboard.panels.filter(({ type }) => type !== 'row');
const queries = charts.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => [title, expr] as const),
);
const { groups }: Rules = parse(readFileSync(RULES, 'utf8'));
const alerts = groups.flatMap(({ rules }) => rules);
const GUIDE = 'docs/guide/watching.md';
/** What the guide tells to look at. */
const guideQueries = Array.from(
  (proseOf(GUIDE).split('\n## What to look at\n')[1] ?? '').matchAll(/`([^`]*\broost_[^`]*)`/g),
  ([, expr = '']) => [GUIDE, expr] as const,
);
const expressions = [
  ...queries.map(([, expr]) => expr),
  ...guideQueries.map(([, expr]) => expr),
  ...alerts.map(({ expr }) => expr),
  ...dashboard.annotations.list.map(({ expr }) => expr),
  ...dashboard.templating.list.map(({ definition = '' }) => definition),
];

/** The names that an expression may have, by what is in the reference: of a histogram its three series. */
const known = new Map(
  documentedMetrics().flatMap(({ name, type, labels }) =>
    (type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']).map(
      (end) => [name + end, { name, labels }] as const,
    ),
  ),
);

function metricsIn(expression: string): string[] {
  return expression.match(/\broost_\w+/g) ?? [];
}

if (!prometheusIsInstalled) {
  process.stderr.write(
    'The alerts and the dashboard are not tried: "apt-get install prometheus" brings prometheus and promtool in.\n',
  );
}

describe('alerts and dashboard', () => {
  it('name only metrics and labels that docs/reference/metrics.md has', () => {
    expect(expressions.length).toBeGreaterThan(100);
    const unknown = expressions.flatMap(metricsIn).filter((name) => !known.has(name));
    expect(unknown).toEqual([]);
    for (const expression of expressions) {
      const labels = new Set([
        'job',
        'instance',
        'le',
        ...metricsIn(expression).flatMap((name) => known.get(name)?.labels ?? []),
      ]);
      const named = [
        ...expression.matchAll(/[{,]\s*(\w+)\s*(?:=~|!~|!=|=)/g),
        ...[...expression.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = '']) => [
          ...list.matchAll(/(\w+)/g),
        ]),
      ].map(([, label = '']) => label);
      expect(
        named.filter((label) => !labels.has(label)),
        expression,
      ).toEqual([]);
    }
  });

  it('show every metric there is', () => {
    const shown = new Set(
      queries.flatMap(([, expr]) => metricsIn(expr)).map((name) => known.get(name)?.name),
    );
    const all = documentedMetrics().map(({ name }) => name);
    // What the list of farms and the marks of their starts are made of.
    expect(all.filter((name) => !shown.has(name))).toEqual([]);
  });

  it('say who is called, what happens, and where the guides say what to do', () => {
    for (const { alert, labels, annotations } of alerts) {
      expect(['page', 'ticket'], alert).toContain(labels.severity);
      expect(Object.keys(annotations), alert).toEqual(['summary', 'description', 'runbook']);
      const { runbook = '' } = annotations;
      expect(runbook, alert).toMatch(/^docs\/guide\/[\w-]+\.md#./);
      expect(leadsSomewhere('README.md', runbook), `${alert}: ${runbook}`).toBe(true);
    }
  });

  it('are each seen to fire by a test of the rules', () => {
    const { tests }: RuleTests = parse(readFileSync(RULE_TESTS, 'utf8'));
    const samples = tests.flatMap((test) => test.promql_expr_test.flatMap((query) => query.exp_samples));
    const seen = new Set(samples.map(({ labels }) => /alertname="(\w+)"/.exec(labels)?.[1]));
    expect(alerts.map(({ alert }) => alert).filter((name) => !seen.has(name))).toEqual([]);
  });

  it('have panels with a title, a description, an id of their own and a data source that can be chosen', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(charts.filter((panel) => panel.title === '' || !('description' in panel))).toEqual([]);
    const [variable] = dashboard.templating.list;
    expect(variable).toMatchObject({ name: 'datasource', type: 'datasource', query: 'prometheus' });
    expect(new Set(charts.map(({ datasource }) => datasource?.uid))).toEqual(new Set(['${datasource}']));
    const { datasources }: { datasources: object[] } = parse(fileOf('grafana/datasource.yml'));
    expect(datasources).toMatchObject([{ type: 'prometheus', isDefault: true }]);
  });

  it('are where docker-compose.yml mounts them', () => {
    const { services }: { services: Record<string, { volumes?: string[]; profiles?: string[] }> } = parse(
      readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'),
      { merge: true },
    );
    const mounted = ['prometheus', 'grafana'].flatMap((name) => services[name]?.volumes ?? []);
    const files = mounted
      .filter((volume) => volume.startsWith('./'))
      .map((volume) => volume.split(':')[0] ?? '');
    expect(files).toHaveLength(5);
    for (const file of files) expect(readFileSync(join(ROOT, file), 'utf8')).not.toBe('');
    expect([services['prometheus']?.profiles, services['grafana']?.profiles]).toEqual([
      ['observability'],
      ['observability'],
    ]);
  });
});

describe.skipIf(!prometheusIsInstalled)('the alerts (skipped without prometheus)', () => {
  it('are rules for promtool, and fire when they should', async () => {
    await execute('promtool', ['check', 'rules', RULES]);
    await execute('promtool', ['test', 'rules', RULE_TESTS]);
  });
});

describe.skipIf(!prometheusIsInstalled || !redisIsInstalled())(
  'a Prometheus that scrapes a farm (skipped without prometheus or redis-server)',
  () => {
    let redis: RedisFixture;
    let farm: FarmProcess;
    let prometheus: Prometheus;
    let folder: string;
    beforeAll(async () => {
      redis = await startRedis();
      farm = await startSharedFarm(['--redis-url', redis.url, '--admin-port', '0', '--admin-token', TOKEN]);
      const { metrics } = await farm.log(({ msg }) => msg === 'admin listener open');
      folder = await mkdtemp(join(tmpdir(), 'roost-observability-'));
      await writeFile(join(folder, 'token'), TOKEN);
      prometheus = await Prometheus.start(
        configurationFor(new URL(String(metrics)).host, join(folder, 'token')),
      );
    });
    afterAll(async () => {
      await prometheus.stop();
      await farm.stop();
      await redis.stop();
      await rm(folder, { recursive: true });
    });

    it('reads it with the token, and evaluates every rule; none fires', async () => {
      await eventually(async () => expect(await prometheus.targets()).toEqual(['up']));
      await eventually(async () => {
        const rules = await prometheus.rules();
        expect(rules.map(({ name, health, lastError }) => [name, health, lastError])).toEqual(
          alerts.map(({ alert }) => [alert, 'ok', undefined]),
        );
      });
      // On a busy machine some are pending: an event waits, a worker is slow to answer.
      expect((await prometheus.alerts()).filter(({ state }) => state === 'firing')).toEqual([]);
    });

    it('has an answer to every query of the dashboard, and of the guide', async () => {
      const client = await connect(farm, '/news?channel=news');
      await redis.command('PUBLISH', 'roost:channel:news', 'hello');
      expect((await client.nextMessage()).text).toBe('hello');
      await client.close();
      const stranger = await connectRaw(farm.port);
      stranger.writeText('GET / HTTP/9.9\r\n\r\n');
      await stranger.closed;
      // Counters of the Pusher protocol begin with what they count, and webhooks are there when some are configured.
      expect(guideQueries.length).toBeGreaterThan(20);
      const answered = [...queries, ...guideQueries].filter(
        ([, expr]) => !/\broost_(?:app_pusher|webhook)_/.test(expr),
      );
      for (const [title, expr] of answered) {
        const expression = expr
          .replaceAll(/\$(?:job|instance)\b/g, '.*')
          .replaceAll('$__rate_interval', '1m');
        await eventually(async () =>
          expect(await prometheus.query(expression), `${title}: ${expression}`).not.toEqual([]),
        );
      }
    });

    it('tells that Redis is away', async () => {
      await redis.kill();
      await eventually(async () => {
        const names = (await prometheus.alerts()).map(({ labels }) => labels['alertname']);
        expect(names).toEqual(expect.arrayContaining(['RoostNotReady', 'RoostBrokerAway']));
      });
    });
  },
);

/** infra/observability/prometheus.yml for one farm, without a name to look up, and in less time. */
function configurationFor(target: string, tokenFile: string): string {
  const configuration = parse(fileOf('prometheus.yml'));
  const [job] = configuration.scrape_configs;
  const { dns_sd_configs: names, ...rest } = job;
  expect(names).toMatchObject([{ names: ['roost'], port: 8081 }]);
  return stringify({
    ...configuration,
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: configuration.rule_files.map((file: string) => join(FOLDER, file)),
    scrape_configs: [
      {
        ...rest,
        authorization: { ...rest.authorization, credentials_file: tokenFile },
        static_configs: [{ targets: [target] }],
      },
    ],
  });
}
