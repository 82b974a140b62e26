import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endAll, makeCertificate, redisIsInstalled, startRedis, startServer } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startHelperServer } from './pusher-js/helper-server.ts';
import type { TriggeredFarm } from './pusher-js/helper-server.ts';
import { run } from './run.ts';
import type { Run } from './run.ts';

/**
 * The integration suite of pusher-js, from its package on npm and unchanged, over TLS and without. It waits more than it
 * works, so it runs against both kinds of farms at a time.
 */

const BUILD = fileURLToPath(new URL('./pusher-js/build.mjs', import.meta.url));
const COPY = fileURLToPath(new URL('./build/pusher-js', import.meta.url));
/** Its command is not among what the package exports. */
const JASMINE = join(dirname(createRequire(import.meta.url).resolve('jasmine')), '../bin/jasmine.js');

/** The keys stand in the specs. */
const APPS = {
  mt1: { appId: '1', key: 'c49a449b916bb4246729', secret: 'mt1-secret' },
  eu: { appId: '2', key: 'cb7d5e50f5669e5c9ae6', secret: 'eu-secret' },
};

/** What the reporter of pusher-js says at the end. */
const PASSED = 'Executed 84 of 84 specs SUCCESS';

let folder: string;
const { cert, key } = makeCertificate();
const opened: (() => Promise<unknown>)[] = [];
const runs = new Map<string, Run>();

async function startFarm(...args: string[]): Promise<FarmProcess> {
  const farm = await startServer(['--config', join(folder, 'roost.yaml'), '--drain-ms', '0', ...args]);
  opened.push(() => farm.stop());
  return farm;
}

const TLS_ARGS = (): string[] => [
  '--tls-cert',
  join(folder, 'cert.pem'),
  '--tls-key',
  join(folder, 'key.pem'),
];

async function runSuite(
  plain: readonly FarmProcess[],
  tls: readonly FarmProcess[],
  triggered: readonly TriggeredFarm[],
): Promise<Run> {
  const helper = await startHelperServer(APPS, triggered);
  opened.push(() => helper.stop());
  const env = {
    HELPER_URL: helper.url,
    PLAIN_PORTS: plain.map(({ port }) => port).join(','),
    TLS_PORTS: tls.map(({ port }) => port).join(','),
    NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem'),
  };
  return run([JASMINE, '--config=spec/config/jasmine/integration.json'], { cwd: COPY, env });
}

/** Each farm has a broker of its own: what is triggered is triggered in both. */
async function onOneWorker(): Promise<Run> {
  const plain = await startFarm('--workers', '1');
  const tls = await startFarm('--workers', '1', ...TLS_ARGS());
  return runSuite([plain], [tls], [{ port: plain.port }, { port: tls.port, ca: cert }]);
}

/** Two farms for each kind of connection, all on one Redis; two clients of a spec are always on different farms. */
async function onTwoFarms(): Promise<Run> {
  const redis = await startRedis();
  opened.push(() => redis.stop());
  const words = ['--workers', '2', '--redis-url', redis.url];
  const plain = [await startFarm(...words), await startFarm(...words)];
  const tls = [await startFarm(...words, ...TLS_ARGS()), await startFarm(...words, ...TLS_ARGS())];
  return runSuite(plain, tls, [{ port: plain[0]?.port ?? 0 }]);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'roost-suite-'));
  writeFileSync(join(folder, 'cert.pem'), cert);
  writeFileSync(join(folder, 'key.pem'), key);
  const apps = Object.values(APPS).map(({ appId: id, ...app }) => ({ id, ...app }));
  writeFileSync(join(folder, 'roost.yaml'), JSON.stringify({ pusher: { apps, clientEvents: true } }));
  const built = await run([BUILD], { cwd: folder });
  if (built.exitCode !== 0) throw new Error(`The suite could not be built: ${built.output}`);
  const kinds = redisIsInstalled() ? { one: onOneWorker(), two: onTwoFarms() } : { one: onOneWorker() };
  for (const [kind, outcome] of Object.entries(kinds)) runs.set(kind, await outcome);
});

afterAll(async () => {
  await endAll(opened);
  rmSync(folder, { recursive: true });
});

describe('the integration suite of pusher-js', () => {
  it('passes on one worker', () => {
    expect(runs.get('one')?.output).toContain(PASSED);
    expect(runs.get('one')?.exitCode).toBe(0);
  });

  it.skipIf(!redisIsInstalled())('passes on four workers of two farms that share a Redis', () => {
    expect(runs.get('two')?.output).toContain(PASSED);
    expect(runs.get('two')?.exitCode).toBe(0);
  });
});
