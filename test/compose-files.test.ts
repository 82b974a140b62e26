import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { runInShell } from './documents/shell.ts';
import { ROOT } from './documents/snippets.ts';

interface Service {
  readonly image?: string;
  readonly build?: unknown;
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>> | readonly string[];
  readonly stop_grace_period?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
}

const FILES = readdirSync(join(ROOT, 'infra')).filter((name) => /^compose\..*\.yml$/.test(name));

function compose(path: string): Compose {
  const document = parseDocument(readFileSync(join(ROOT, path), 'utf8'), {
    merge: true,
    // Compose's own: the value of the base file goes.
    customTags: [
      { tag: '!reset', collection: 'seq', resolve: () => null },
      { tag: '!reset', collection: 'map', resolve: () => null },
    ],
  });
  expect([...document.errors, ...document.warnings]).toEqual([]);
  return document.toJS();
}

const base = compose('docker-compose.yml');

/** `${A:-b}` is b, `${A:+b}` is nothing, and `${A:?why}` is what somebody has set. */
function interpolated(value: string): string {
  return value
    .replaceAll(/\$\{\w+:-([^}]*)\}/g, '$1')
    .replaceAll(/\$\{\w+:\+[^}]*\}/g, '')
    .replaceAll(/\$\{\w+:\?[^}]*\}/g, 'set');
}

describe('the files that go over docker-compose.yml', () => {
  it('are each shown by a guide', () => {
    const guides = ['deploying', 'redis'].map((name) =>
      readFileSync(join(ROOT, `docs/guide/${name}.md`), 'utf8'),
    );
    expect(FILES.filter((name) => !guides.join().includes(`-f infra/${name} `))).toEqual([]);
    expect(FILES).toHaveLength(4);
  });

  it.each(FILES)(
    'infra/%s has services that the plain file has, or whole ones, and files that exist',
    (name) => {
      const { services } = compose(`infra/${name}`);
      for (const [service, { image, build, volumes = [], depends_on: needs = {} }] of Object.entries(
        services,
      )) {
        const isWhole = image !== undefined || build !== undefined;
        expect(isWhole || Object.hasOwn(base.services, service), service).toBe(true);
        for (const needed of Object.keys(needs)) {
          expect([...Object.keys(base.services), ...Object.keys(services)]).toContain(needed);
        }
        for (const volume of volumes.filter((one) => one.startsWith('./'))) {
          expect(readFileSync(join(ROOT, volume.split(':')[0] ?? ''), 'utf8')).not.toBe('');
        }
      }
    },
  );

  it.each(['docker-compose.yml', ...FILES.map((name) => `infra/${name}`)])(
    '%s gives Roost variables that it knows',
    async (path) => {
      const own = compose(path).services['roost']?.environment ?? {};
      const all = { ...base.services['roost']?.environment, ...own };
      const env = Object.fromEntries(Object.entries(all).map(([name, value]) => [name, interpolated(value)]));
      const checked = await runInShell('node apps/roost/bin/roost.js check-config', { env });
      expect([checked.code, checked.stderr]).toEqual([0, '']);
    },
  );

  it('stop the farms before the balancer, which has time for them', () => {
    const { services } = compose('infra/compose.scale.yml');
    expect(Object.keys(services['roost']?.depends_on ?? {})).toContain('balancer');
    const seconds = Number(
      /hard-stop-after (\d+)s/.exec(readFileSync(join(ROOT, 'infra/balancer/haproxy.cfg'), 'utf8'))?.[1],
    );
    expect(Number.parseInt(services['balancer']?.stop_grace_period ?? '', 10)).toBeGreaterThan(seconds);
  });

  it('open the admin listener to others only with a token', () => {
    const env = base.services['roost']?.environment ?? {};
    expect([env['ROOST_ADMIN_HOST'], env['ROOST_ADMIN_TOKEN']]).toEqual([
      '${ROOST_ADMIN_TOKEN:+0.0.0.0}',
      '${ROOST_ADMIN_TOKEN:-}',
    ]);
  });
});
