import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
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
import { parse } from 'yaml';
import { OPTIONS } from '../apps/roost/src/config/options.ts';
import { connect, endAfterTest, get, startFarm, startSharedFarm } from './harness/system.ts';
import { ROOT } from './documents/snippets.ts';
import { canRenderCharts, ChartRenderer } from './kubernetes/chart.ts';
import {
  manifestsIn,
  ofKind,
  podOf,
  type Container,
  type Manifest,
  type Probe,
} from './kubernetes/manifests.ts';
import { problemsOf } from './kubernetes/schemas.ts';

const execute = promisify(execFile);
const ROOST_MANIFESTS = join(ROOT, 'infra/kubernetes/roost.yaml');
const REDIS_MANIFESTS = join(ROOT, 'infra/kubernetes/redis.yaml');
const TOKEN = 'a-token-of-the-cluster';

const HEADER = `# Roost on Kubernetes: what the chart in infra/helm/roost makes of its default values, for clusters without Helm. Written by
# "npx vitest run test/kubernetes.test.ts -u". docs/guide/kubernetes.md tells what to do before and after
#
#   kubectl apply -f infra/kubernetes
`;

if (!canRenderCharts) {
  process.stderr.write(
    'The Helm chart is not rendered: "apt-get install golang-go golang-github-masterminds-sprig-dev golang-k8s-sigs-yaml-dev" brings its engine in.\n',
  );
}

/** As people write them: numbers, lists and switches. */
const ENV = {
  ROOST_BORROW_MESSAGES: true,
  ROOST_COMPRESSION: 'on',
  ROOST_MAX_CONNECTIONS: 1_000_000,
  ROOST_TRUSTED_PROXIES: ['10.0.0.0/8', '192.0.2.7'],
};

/** Each has something that the one before it lacks. */
const VALUES: readonly (readonly [string, object])[] = [
  ['its own values', {}],
  [
    'everything that can be turned on',
    {
      image: { repository: 'registry.example.com/roost', tag: '1.2.3' },
      imagePullSecrets: [{ name: 'registry' }],
      replicas: 5,
      app: 'my-app/app.js',
      env: ENV,
      extraEnv: [{ name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
      service: {
        type: 'LoadBalancer',
        port: 443,
        externalTrafficPolicy: 'Local',
        annotations: { 'example.com/load-balancer': 'tcp' },
      },
      serviceMonitor: { enabled: true, interval: '30s', labels: { release: 'prometheus' } },
      podDisruptionBudget: { maxUnavailable: '20%' },
      podAnnotations: { 'example.com/of': 'pods' },
      podLabels: { tier: 'edge' },
      nodeSelector: { 'example.com/pool': 'edge' },
      tolerations: [{ key: 'edge', operator: 'Exists', effect: 'NoSchedule' }],
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In', values: ['a'] }] }],
          },
        },
      },
      volumes: [{ name: 'app', configMap: { name: 'my-app' } }],
      volumeMounts: [{ name: 'app', mountPath: '/app/my-app', readOnly: true }],
    },
  ],
  [
    'everything that can be turned off',
    { admin: { enabled: false }, networkPolicy: { enabled: false }, sysctls: [], resources: {} },
  ],
  ['a required PROXY header', { env: { ROOST_PROXY_PROTOCOL: 'required' } }],
  ['TLS', { env: { ROOST_TLS_CERT: '/tls/tls.crt', ROOST_TLS_KEY: '/tls/tls.key' } }],
];

/** Ms from SIGTERM until a farm ends by itself, at most: the last of it for what waits for webhooks. */
function longestEndMs({ env }: Container): number {
  const number = (name: string, otherwise = Number.NaN): number =>
    Number(env.find((one) => one.name === name)?.value ?? otherwise);
  return (
    number('ROOST_DRAIN_MS') +
    4 * number('ROOST_STOP_TIMEOUT_MS') +
    number('ROOST_PUSHER_WEBHOOK_DRAIN_MS', OPTIONS['pusher.webhookDrainMs'].default)
  );
}

function plain(): Manifest[] {
  return manifestsIn(readFileSync(ROOST_MANIFESTS, 'utf8'));
}

describe('the manifests in infra/kubernetes', () => {
  it.each([ROOST_MANIFESTS, REDIS_MANIFESTS])('%s is what the schemas of Kubernetes want', (path) => {
    const manifests = manifestsIn(readFileSync(path, 'utf8'));
    expect(manifests.length).toBeGreaterThan(0);
    expect(manifests.flatMap(problemsOf)).toEqual([]);
  });

  it('would fail with a wrong value, a missing field or one that does not exist', () => {
    const [service] = ofKind(plain(), 'Service');
    const wrong = (spec: object): string[] =>
      service === undefined ? [] : problemsOf({ ...service, spec: { ...service.spec, ...spec } });
    expect(wrong({})).toEqual([]);
    expect(wrong({ ports: [{ port: 'eighty' }] }).join()).toMatch(/port/);
    expect(wrong({ ports: [{ name: 'clients' }] }).join()).toMatch(/port/);
    expect(wrong({ ports: [{ port: 80, targetPrt: 8080 }] })).toEqual([
      `v1 Service ${service?.metadata.name} has no field /spec/ports/0/targetPrt.`,
    ]);
  });

  it.skipIf(!redisIsInstalled())(
    'run Redis as infra/redis.conf says (skipped without redis-server)',
    async () => {
      const file = join(ROOT, 'infra/redis.conf');
      const names = readFileSync(file, 'utf8').match(/^[a-z-]+/gm) ?? [];
      expect(names.length).toBeGreaterThan(4);
      const { args } = podOf(manifestsIn(readFileSync(REDIS_MANIFESTS, 'utf8'))).container;
      const settingsWith = async (words: readonly string[]): Promise<unknown[]> => {
        const redis = await startRedis({ args: words });
        endAfterTest(() => redis.stop());
        return Promise.all(names.map((name) => redis.command('CONFIG', 'GET', name)));
      };
      const [program, ...words] = args;
      expect(program).toBe('redis-server');
      expect(await settingsWith(words)).toEqual(await settingsWith(['--include', file]));
    },
  );
});

describe('the version of the chart', () => {
  it('is that of Roost, and so is the image of the manifests', () => {
    const chartText = readFileSync(join(ROOT, 'infra/helm/roost/Chart.yaml'), 'utf8');
    const about: { version: string; appVersion: string } = parse(chartText);
    const { version }: { version: string } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect([about.version, about.appVersion]).toEqual([version, version]);
    expect(readFileSync(ROOST_MANIFESTS, 'utf8')).toContain(`image: "roost:${version}"`);
  });
});

describe.skipIf(!canRenderCharts)('the Helm chart (skipped without Go and sprig)', () => {
  let chart: ChartRenderer;
  beforeAll(async () => {
    chart = await ChartRenderer.build();
  });
  afterAll(() => chart.remove());

  it.each(VALUES)('makes what the schemas of Kubernetes want of %s', async (_what, values) => {
    const manifests = await chart.manifests(values);
    expect(manifests.flatMap(problemsOf)).toEqual([]);
    const { container, ...pod } = podOf(manifests);
    expect(pod.enableServiceLinks).toBe(false);
    const stopMs = container.lifecycle.preStop.sleep.seconds * 1000 + longestEndMs(container);
    expect(pod.terminationGracePeriodSeconds * 1000).toBeGreaterThan(stopMs);
  });

  it('gives a farm that drains for longer more time', async () => {
    const { container, ...pod } = podOf(
      await chart.manifests({ drainMs: 120_000, stopTimeoutMs: 7_001, preStopSeconds: 30 }),
    );
    expect(longestEndMs(container)).toBe(153_004);
    expect(pod.terminationGracePeriodSeconds).toBe(30 + 154 + 10);
  });

  it('gives a farm that goes on sending webhooks for longer more time', async () => {
    const { container, ...pod } = podOf(
      await chart.manifests({ env: { ROOST_PUSHER_WEBHOOK_DRAIN_MS: 60_000 } }),
    );
    expect(longestEndMs(container)).toBe(100_000);
    expect(pod.terminationGracePeriodSeconds).toBe(10 + 100 + 10);
  });

  it('has the manifests of infra/kubernetes from its own values', async () => {
    const text = (await chart.text())
      .replace(/^# Source: .*\n/gm, '')
      .replace(/^ *app\.kubernetes\.io\/managed-by: Helm\n/gm, '');
    await expect(HEADER + text).toMatchFileSnapshot(ROOST_MANIFESTS);
  });

  it('never has the admin port in the Service for clients, and a ServiceMonitor finds the other one', async () => {
    const manifests = await chart.manifests({ serviceMonitor: { enabled: true } });
    const services = ofKind(manifests, 'Service');
    const ports = services.map(({ metadata, spec }) => [metadata.name, namesOf(spec?.ports)]);
    expect(Object.fromEntries(ports)).toEqual({ roost: ['clients'], 'roost-admin': ['admin'] });
    const [monitor] = ofKind(manifests, 'ServiceMonitor');
    const wanted = Object.entries(monitor?.spec?.selector?.matchLabels ?? {});
    expect(wanted.length).toBeGreaterThan(2);
    const selected = services.filter(({ metadata }) =>
      wanted.every(([name, value]) => metadata.labels?.[name] === value),
    );
    expect(selected.map(({ metadata }) => metadata.name)).toEqual(['roost-admin']);
    // As the alert RoostDown has it.
    expect([monitor?.spec?.jobLabel, services[0]?.metadata.labels?.[monitor?.spec?.jobLabel ?? '']]).toEqual([
      'app.kubernetes.io/name',
      'roost',
    ]);
    expect(monitor?.spec?.endpoints).toMatchObject([
      { port: 'admin', authorization: { credentials: { name: 'roost', key: 'admin-token' } } },
    ]);
  });

  it('makes no Secret, and has none in a value', async () => {
    const manifests = await chart.manifests();
    expect(ofKind(manifests, 'Secret')).toEqual([]);
    const secret = podOf(manifests).container.env.filter(({ name }) => /URL|KEY|TOKEN/.test(name));
    expect(secret.map(({ name, value, valueFrom }) => [name, value, valueFrom?.secretKeyRef?.key])).toEqual([
      ['ROOST_REDIS_URL', undefined, 'redis-url'],
      ['ROOST_API_KEY', undefined, 'api-key'],
      ['ROOST_ADMIN_TOKEN', undefined, 'admin-token'],
    ]);
  });

  it('refuses variables that it sets itself, and says what to set instead', async () => {
    await expect(chart.text({ env: { ROOST_DRAIN_MS: 60_000 } })).rejects.toThrow(
      'env.ROOST_DRAIN_MS: the chart sets this variable itself; set drainMs instead.',
    );
    const { env } = podOf(await chart.manifests({ app: 'app.js' })).container;
    for (const { name } of env) {
      await expect(chart.text({ env: { [name]: 'x' } }), name).rejects.toThrow(`env.${name}: the chart sets`);
      await expect(chart.text({ extraEnv: [{ name, value: 'x' }] }), name).rejects.toThrow(
        `extraEnv, ${name}: the chart sets`,
      );
    }
  });

  it('wants in env what it reads itself', async () => {
    for (const name of ['ROOST_TLS_CERT', 'ROOST_PROXY_PROTOCOL', 'ROOST_PUSHER_WEBHOOK_DRAIN_MS']) {
      await expect(chart.text({ extraEnv: [{ name, value: 'x' }] }), name).rejects.toThrow(
        `extraEnv, ${name}: set it in env, where the chart sees it.`,
      );
    }
  });

  it('passes variables on as Roost reads them', async () => {
    const { env } = podOf(await chart.manifests({ env: ENV })).container;
    const given = env.filter(({ name }) => Object.hasOwn(ENV, name)).map(({ name, value }) => [name, value]);
    expect(Object.fromEntries(given)).toEqual({
      ROOST_BORROW_MESSAGES: 'true',
      ROOST_COMPRESSION: 'on',
      ROOST_MAX_CONNECTIONS: '1000000',
      ROOST_TRUSTED_PROXIES: '10.0.0.0/8,192.0.2.7',
    });
  });

  it('has its probes asked by the image where Roost wants a PROXY header, and they are answered', async () => {
    const { container } = podOf(await chart.manifests({ env: { ROOST_PROXY_PROTOCOL: 'required' } }));
    const env = { ROOST_PROXY_PROTOCOL: 'required', ROOST_TRUSTED_PROXIES: '127.0.0.1' };
    const farm = await startFarm([], { env });
    for (const probe of [container.startupProbe, container.readinessProbe, container.livenessProbe]) {
      const [program = '', ...words] = probe.exec?.command ?? [];
      expect(program).toBe('node');
      await execute(process.execPath, words, { cwd: ROOT, env: { ...env, ROOST_PORT: String(farm.port) } });
    }
  });
});

function namesOf(ports: readonly object[] = []): string[] {
  return ports.map((port) => ('name' in port ? String(port.name) : ''));
}

describe.skipIf(!redisIsInstalled())(
  'a farm with the variables of the manifests (skipped without redis-server)',
  () => {
    const { container } = podOf(plain());
    const probes = [container.startupProbe, container.readinessProbe, container.livenessProbe];
    let redis: RedisFixture;
    let farm: FarmProcess;
    let env: Record<string, string>;
    beforeAll(async () => {
      redis = await startRedis();
      const secrets: Readonly<Record<string, string>> = {
        'redis-url': redis.url,
        'api-key': 'a-key-of-the-cluster',
        'admin-token': TOKEN,
      };
      env = Object.fromEntries(
        container.env.map(({ name, value, valueFrom }) => [
          name,
          value ?? secrets[valueFrom?.secretKeyRef?.key ?? ''] ?? '',
        ]),
      );
      // Ports of this machine; and no spec waits for a drain of 20 s.
      farm = await startSharedFarm(['--admin-port', '0', '--drain-ms', '100'], { env });
    });
    afterAll(async () => {
      await farm.stop();
      await redis.stop();
    });

    it('is started by them, and they are all known to it', async () => {
      expect(farm.workers).toHaveLength(2);
      const words = ['apps/roost/bin/roost.js', 'check-config'];
      const { stderr } = await execute(process.execPath, words, { cwd: ROOT, env });
      expect(stderr).toBe('');
    });

    it('answers the probes on the port for clients', async () => {
      for (const { httpGet } of probes) {
        expect(container.ports.map(({ name }) => name)).toContain(httpGet?.port);
        expect((await get(farm, httpGet?.path ?? '')).status).toBe(200);
      }
      expect((await get(farm, '/metrics')).status).toBe(404);
    });

    it('shows its metrics to whoever has the token, on every address', async () => {
      const { metrics } = await farm.log(({ msg }) => msg === 'admin listener open');
      const url = `http://127.0.0.1:${new URL(String(metrics)).port}/metrics`;
      const ask = (headers: Record<string, string>): Promise<Response> =>
        fetch(url, { headers: { Connection: 'close', Host: 'roost-admin', ...headers } });
      expect((await ask({})).status).toBe(401);
      const answer = await ask({ Authorization: `Bearer ${TOKEN}` });
      expect([answer.status, (await answer.text()).includes('roost_connections')]).toEqual([200, true]);
    });

    it('is alive and not ready without Redis, and keeps its clients', async () => {
      const client = await connect(farm, '/echo');
      await redis.kill();
      const status = async (probe: Probe): Promise<number> =>
        (await get(farm, probe.httpGet?.path ?? '')).status;
      await eventually(async () => expect(await status(container.readinessProbe)).toBe(503));
      expect(await status(container.livenessProbe)).toBe(200);
      client.send('still here');
      expect((await client.nextMessage()).text).toBe('still here');
      await redis.restart();
      await eventually(async () => expect(await status(container.readinessProbe)).toBe(200));
    });

    it('closes its port with SIGTERM, which is what preStop is for, and ends in good order', async () => {
      const client = await connect(farm, '/echo');
      farm.signal('SIGTERM');
      await eventually(async () =>
        expect(
          await get(farm, '/health/live').then(
            () => 'open',
            () => 'closed',
          ),
        ).toBe('closed'),
      );
      expect((await client.closed).code).toBe(1001);
      expect((await farm.exited).code).toBe(0);
    });
  },
);
