import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, freePort, listenLocally, spawnGroup, TestClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { parse, parseDocument } from 'yaml';
import { runInShell } from './documents/shell.ts';
import { ofLanguage, ROOT, snippet } from './documents/snippets.ts';
import type { Snippet } from './documents/snippets.ts';
import { SECRET, stageForAll, startFarm, token } from './documents/stage.ts';
import { endAfterTest } from './harness/system.ts';
import { canRenderCharts, ChartRenderer } from './kubernetes/chart.ts';
import { problemsOf } from './kubernetes/schemas.ts';

const execute = promisify(execFile);
const NGINX = '/usr/sbin/nginx';
const HAPROXY = '/usr/sbin/haproxy';
const PROBE = join(ROOT, 'test/apps/probe.js');
const stage = stageForAll();

const isOfCompose = ({ text }: Snippet): boolean => text.startsWith('services:');
const isOfHelm = ({ text }: Snippet): boolean => text.startsWith('# values.yaml\n');

describe('configurations', () => {
  it.each(ofLanguage('yaml').filter((block) => !isOfCompose(block) && !isOfHelm(block)))(
    '$where is one of Roost',
    async ({ text }) => {
      const file = await stage().programs.write('roost.yaml', text);
      const { code, stdout, stderr } = await runInShell(
        `node apps/roost/bin/roost.js check-config --config ${file}`,
      );
      expect([code, stderr]).toEqual([0, '']);
      expect(stdout).toContain('roost.yaml');
    },
  );

  it.each(ofLanguage('yaml').filter(isOfCompose))(
    '$where overrides what the compose file has, with variables that Roost knows',
    async ({ text }) => {
      const base = composeOf((await runInShell('cat docker-compose.yml')).stdout);
      const override = composeOf(text);
      expect(Object.keys(base.services)).toEqual(expect.arrayContaining(Object.keys(override.services)));
      for (const service of Object.values(override.services)) {
        expect([...COMPOSE_KEYS]).toEqual(expect.arrayContaining(Object.keys(service)));
      }
      const env = Object.fromEntries(
        Object.entries(override.services['roost']?.environment ?? {}).map(([name, value]) => [
          name,
          String(value),
        ]),
      );
      const checked = await runInShell('node apps/roost/bin/roost.js check-config', { env });
      expect([checked.code, checked.stderr]).toEqual([0, '']);
    },
  );
});

describe.skipIf(!canRenderCharts)('values of the Helm chart (skipped without Go and sprig)', () => {
  it.each(ofLanguage('yaml').filter(isOfHelm))(
    '$where make what Kubernetes wants, with variables that Roost knows',
    async ({ text }) => {
      const chart = await ChartRenderer.build();
      endAfterTest(() => chart.remove());
      const values: { env: Record<string, unknown> } = parse(text);
      const manifests = await chart.manifests(values);
      expect(manifests.length).toBeGreaterThan(0);
      expect(manifests.flatMap(problemsOf)).toEqual([]);
      const env = Object.fromEntries(
        Object.entries(values.env).map(([name, value]) => [name, String(value)]),
      );
      const checked = await runInShell('node apps/roost/bin/roost.js check-config', { env });
      expect([checked.code, checked.stderr]).toEqual([0, '']);
    },
  );
});

/** Of the Compose specification, those that the documents use. */
const COMPOSE_KEYS = new Set([
  'environment',
  'volumes',
  'stop_grace_period',
  'network_mode',
  'ports',
  'sysctls',
  'ulimits',
  'cpuset',
  'image',
  'build',
]);

interface Compose {
  readonly services: Readonly<Record<string, { readonly environment?: Readonly<Record<string, unknown>> }>>;
}

/** `!reset` is Compose's own tag: the value of the base file goes. */
function composeOf(text: string): Compose {
  const document = parseDocument(text, {
    merge: true,
    customTags: [
      { tag: '!reset', collection: 'seq', resolve: () => null },
      { tag: '!reset', collection: 'map', resolve: () => null },
    ],
  });
  expect([...document.errors, ...document.warnings]).toEqual([]);
  return document.toJS();
}

describe('answers over HTTP', () => {
  it('docs/guide/tokens.md: an expired token is answered as the guide shows', async () => {
    const [head = '', body = ''] = snippet('docs/guide/tokens.md', 'HTTP/1.1 401').text.trim().split('\n\n');
    const server = await startFarm([], { ROOST_TOKENS_SECRET: SECRET });
    const response = await fetch(`http://127.0.0.1:${server.port}/plain?channel=news`, {
      headers: { Authorization: `Bearer ${await token({ exp: 1_000_000_000 })}` },
    });
    const shown = head
      .split('\n')
      .slice(1)
      .map((line) => line.split(/: (.*)/s).slice(0, 2));
    expect(shown.length).toBeGreaterThan(0);
    for (const [name = '', value] of shown) expect(response.headers.get(name)).toBe(value);
    expect([response.status, await response.text()]).toEqual([401, body]);
  });

  it('docs/guide/compression.md: an offer is answered as the guide shows', async () => {
    const answer = snippet('docs/guide/compression.md', 'Sec-WebSocket-Extensions').text.trim();
    const server = await startFarm(['--compression', 'on']);
    const { stdout } = await execute('curl', [
      '-si',
      '--http1.1',
      '--max-time',
      '2',
      ...[
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
        'Sec-WebSocket-Extensions: permessage-deflate',
      ].flatMap((line) => ['-H', line]),
      `http://127.0.0.1:${server.port}/plain?channel=news`,
    ]).catch((error: unknown) => ({
      stdout: error instanceof Error && 'stdout' in error ? String(error.stdout) : '',
    }));
    expect(stdout.split('\r\n')).toContain(answer);
  });

  it('have a test of their own here', () => {
    expect(ofLanguage('http').map(({ document }) => document)).toEqual([
      'docs/guide/compression.md',
      'docs/guide/tokens.md',
    ]);
  });
});

describe.skipIf(!isExecutable(NGINX, 'nginx-light'))('the proxy', () => {
  it('of docs/guide/deploying.md passes WebSockets on, and says for whom', async () => {
    const server = await startFarm([PROBE, '--trusted-proxies', '127.0.0.1']);
    const { text } = snippet('docs/guide/deploying.md', '# nginx');
    const port = await startNginx(text.replace('127.0.0.1:8080', `127.0.0.1:${server.port}`));
    const client = await eventually(() =>
      TestClient.connect(`ws://127.0.0.1:${port}/who`, { headers: { 'X-Forwarded-For': '203.0.113.9' } }),
    );
    endAfterTest(() => client.terminate());
    expect((await client.nextMessage()).text).toBe('203.0.113.9');
    client.send('through the proxy');
    expect((await client.nextMessage()).text).toBe('through the proxy');
  });

  it('of docs/guide/embedding.md gives WebSockets to the farm and pages to a framework, on one port', async () => {
    const farm = await startFarm([PROBE, '--trusted-proxies', '127.0.0.1']);
    const framework = createServer((request, response) => response.end(`a page for ${request.url}`));
    const frameworkPort = await listenLocally(framework);
    endAfterTest(async () => {
      framework.close();
      framework.closeAllConnections();
      await once(framework, 'close');
    });
    const { text } = snippet('docs/guide/embedding.md', '# nginx');
    const site = text
      // The probe has its own path.
      .replace('location /live', 'location /who')
      .replace('127.0.0.1:8080', `127.0.0.1:${farm.port}`)
      .replace('127.0.0.1:3000', `127.0.0.1:${frameworkPort}`);
    const port = await startNginx(site);
    const page = await eventually(() =>
      fetch(`http://127.0.0.1:${port}/about`, { headers: { Connection: 'close' } }),
    );
    expect(await page.text()).toBe('a page for /about');
    const client = await TestClient.connect(`ws://127.0.0.1:${port}/who`, {
      headers: { 'X-Forwarded-For': '203.0.113.9' },
    });
    endAfterTest(() => client.terminate());
    expect((await client.nextMessage()).text).toBe('203.0.113.9');
  });

  it('has a test of its own here, wherever it is shown', () => {
    expect(ofLanguage('nginx').map(({ document }) => document)).toEqual([
      'docs/guide/deploying.md',
      'docs/guide/embedding.md',
    ]);
  });
});

describe.skipIf(!isExecutable(HAPROXY, 'haproxy'))('the proxy that passes bytes on', () => {
  it('of docs/guide/deploying.md says for whom, and asks whether the farm is ready', async () => {
    const farm = await startFarm([PROBE, '--trusted-proxies', '127.0.0.1', '--proxy-protocol', 'required']);
    const { text } = snippet('docs/guide/deploying.md', '# HAProxy');
    const { port, output } = await startHaproxy(text.replace('10.0.0.5:8080', `127.0.0.1:${farm.port}`));
    await eventually(() => expect(output()).toMatch(/Health check for server roost\/one succeeded.* 200/));
    const client = await eventually(() =>
      TestClient.connect(`ws://127.0.0.1:${port}/who`, { localAddress: '127.0.0.9' }),
    );
    endAfterTest(() => client.terminate());
    expect((await client.nextMessage()).text).toBe('127.0.0.9');
    client.send('through the proxy');
    expect((await client.nextMessage()).text).toBe('through the proxy');
  });

  it('is shown there only', () => {
    expect(ofLanguage('haproxy').map(({ document }) => document)).toEqual(['docs/guide/deploying.md']);
  });
});

/** A HAProxy with this backend, named roost, until the end of the test: where it listens, or will in a moment, and its log. */
async function startHaproxy(backend: string): Promise<{ port: number; output: () => string }> {
  const port = await freePort();
  const path = await stage().programs.write(
    'haproxy.cfg',
    `defaults
  log stdout format raw local0
  option log-health-checks
  timeout connect 5s
  timeout client 120s
  timeout server 120s
frontend clients
  mode tcp
  bind 127.0.0.1:${port}
  default_backend roost
${backend}`,
  );
  await execute(HAPROXY, ['-c', '-f', path]);
  const haproxy = spawnGroup(HAPROXY, ['-db', '-f', path]);
  let output = '';
  haproxy.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  const ended = once(haproxy, 'close');
  endAfterTest(async () => {
    haproxy.kill('SIGTERM');
    await ended;
  });
  return { port, output: () => output };
}

/** An nginx with this site until the end of the test: the port on which it listens, or will in a moment. */
async function startNginx(site: string): Promise<number> {
  const port = await freePort();
  const sitePath = await stage().programs.write(
    'site.conf',
    site.replace('listen 80;', `listen 127.0.0.1:${port};`),
  );
  const folder = stage().programs.folder;
  const main = await stage().programs.write(
    'nginx.conf',
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr;
     events {}
     http {
       access_log off;
       ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
       include ${sitePath};
     }`,
  );
  await execute(NGINX, ['-t', '-c', main]);
  const nginx = spawnGroup(NGINX, ['-c', main]);
  const ended = once(nginx, 'close');
  endAfterTest(async () => {
    nginx.kill('SIGTERM');
    await ended;
  });
  return port;
}

function isExecutable(path: string, name: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    process.stderr.write(
      `The proxy of the guide is not tried: "apt-get install ${name}" brings ${path} in.\n`,
    );
    return false;
  }
}
