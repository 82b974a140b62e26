import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually, freePort, spawnGroup, TestClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { runInShell } from './documents/shell.ts';
import { ofLanguage, ROOT, snippet } from './documents/snippets.ts';
import type { Snippet } from './documents/snippets.ts';
import { SECRET, stageForAll, startFarm, token } from './documents/stage.ts';
import { endAfterTest } from './harness/system.ts';

const execute = promisify(execFile);
const NGINX = '/usr/sbin/nginx';
const stage = stageForAll();

const isOfCompose = ({ text }: Snippet): boolean => text.startsWith('services:');

describe('configurations', () => {
  it.each(ofLanguage('yaml').filter((block) => !isOfCompose(block)))(
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
    const blocks = ofLanguage('nginx');
    expect(blocks.map(({ document }) => document)).toEqual(['docs/guide/deploying.md']);
    const probe = join(ROOT, 'test/apps/probe.js');
    const server = await startFarm([probe, '--trusted-proxies', '127.0.0.1']);
    const port = await freePort();
    const site = (blocks[0]?.text ?? '')
      .replace('127.0.0.1:8080', `127.0.0.1:${server.port}`)
      .replace('listen 80;', `listen 127.0.0.1:${port};`);
    const sitePath = await stage().programs.write('roost.conf', site);
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
    const client = await eventually(() =>
      TestClient.connect(`ws://127.0.0.1:${port}/who`, { headers: { 'X-Forwarded-For': '203.0.113.9' } }),
    );
    endAfterTest(() => client.terminate());
    expect((await client.nextMessage()).text).toBe('203.0.113.9');
    client.send('through the proxy');
    expect((await client.nextMessage()).text).toBe('through the proxy');
  });
});

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
