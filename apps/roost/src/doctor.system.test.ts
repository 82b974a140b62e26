import { createServer } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, listenLocally, makeCertificate, redisIsInstalled, startServer } from '@roost/testing';
import type { RedisFixture } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { closeAfterEach, run, start, startOwnRedis } from './fixtures/system-test.ts';

closeAfterEach();

/** So few that every host has them; and a port that is free. */
const FEW = ['--connections', '10', '--workers', '1', '--port', '0'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'roost-doctor-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function written(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly found: string;
  readonly fix: readonly { readonly line: string }[];
}

async function findings(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Finding[]> {
  const { stdout, stderr } = await run(['doctor', '--json', ...args], env);
  expect(stderr).toBe('');
  const report: { readonly findings: Finding[] } = JSON.parse(stdout);
  return report.findings;
}

function of(name: string, all: readonly Finding[]): Finding | undefined {
  return all.find(({ check }) => check === name);
}

function ofRedis(all: readonly Finding[]): Finding[] {
  return all.filter(({ check }) => check.startsWith('Redis'));
}

function said(redis: RedisFixture, [command = '', ...words]: readonly string[]): Promise<unknown> {
  return redis.command(command, ...words);
}

function isWarning(line: Readonly<Record<string, unknown>>): boolean {
  return line['msg'] === 'the host lacks something: "roost doctor" tells more';
}

describe('roost doctor', () => {
  it('finds nothing that fails on this host for a few connections: exit code 0', async () => {
    const { exitCode, stdout, stderr } = await run(['doctor', ...FEW]);
    expect(stdout).toMatch(/^For 10 connections and 1 workers, /);
    expect(stdout).toMatch(/^ok +native poller +it loads/m);
    expect(stdout).not.toMatch(/^fail/m);
    // Not a terminal.
    expect(stdout).not.toContain('\u001b');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  });

  it('says what no host has for a hundred million, and the lines that would help: exit code 71', async () => {
    const { exitCode, stdout } = await run(['doctor', '--connections=100000000', '--port=0', '--workers=2']);
    expect(exitCode).toBe(71);
    expect(stdout).toMatch(/^fail +configured limits .*\n.*\n +--max-connections 100000000 /m);
    expect(stdout).toMatch(/^ +LimitNOFILE=50000320 +# in the unit of systemd$/m);
    expect(stdout).toMatch(/^fail +memory +[\d.]+ [GM]B available .*needed: /m);
    expect(stdout).toMatch(/^\d+ ok, .*\d+ fail/m);
  });

  it('takes maxConnections for the number where none is given, as flags, variables and file have it', async () => {
    const { stdout } = await run(['doctor', '--json', '--port', '0'], { ROOST_MAX_CONNECTIONS: '1234' });
    expect(JSON.parse(stdout)).toMatchObject({ connections: 1234 });
  });

  it('knows a Roost on its port, over TLS too, and anybody else', async () => {
    const { cert, key } = makeCertificate();
    const tls = ['--tls-cert', written('cert.pem', cert), '--tls-key', written('key.pem', key)];
    for (const args of [[], tls]) {
      const farm = await start(args);
      expect(of('port', await findings([...FEW, ...args, `--port=${farm.port}`]))).toMatchObject({
        status: 'ok',
        found: `a Roost answers on 0.0.0.0:${farm.port}`,
      });
    }
    const server = createServer((_, response) => response.end('something else'));
    const other = await listenLocally(server);
    try {
      expect(of('port', await findings([...FEW, '--host=127.0.0.1', `--port=${other}`]))).toMatchObject({
        status: 'fail',
        fix: [{ line: `ss -ltnp 'sport = :${other}'` }],
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    expect(of('port', await findings([...FEW, '--host=192.0.2.1', '--port=8080']))).toMatchObject({
      status: 'fail',
      fix: [{ line: 'ip -brief address' }],
    });
  });

  it('says that an admin port is in use: one that is asked for keeps a farm from starting', async () => {
    const server = createServer((_, response) => response.end('something else'));
    const taken = await listenLocally(server);
    try {
      const asked = of('admin port', await findings([...FEW, `--admin-port=${taken}`]));
      expect(asked).toMatchObject({
        status: 'fail',
        found: `127.0.0.1:${taken} is in use`,
        fix: [{ line: `ss -ltnp 'sport = :${taken}'` }],
      });
      const started = await run(['start', '--port', '0', '--admin-port', String(taken)]);
      expect(started).toMatchObject({ exitCode: 69, stderr: expect.stringContaining('--admin-port') });
    } finally {
      server.closeAllConnections();
      server.close();
    }
    // It is free again.
    expect(of('admin port', await findings([...FEW, `--admin-port=${taken}`]))).toMatchObject({
      status: 'ok',
    });
    expect(of('admin port', await findings([...FEW, '--admin-port=off']))).toBeUndefined();
    expect(
      of('admin port', await findings([...FEW, '--admin-host=192.0.2.1', '--admin-token=0123456789abcdef0'])),
    ).toMatchObject({ status: 'fail', found: 'cannot listen on 192.0.2.1:8081: EADDRNOTAVAIL' });
  });

  it('knows the admin listener of a Roost', async () => {
    const port = await freePort();
    await start(['--admin-port', String(port)]);
    expect(of('admin port', await findings([...FEW, `--admin-port=${port}`]))).toMatchObject({
      status: 'ok',
      found: `a Roost answers on 127.0.0.1:${port}`,
    });
  });

  it('is one line and exit code 78 for a wrong configuration, its own option included', async () => {
    const sentences = {
      '--connections=many':
        '--connections must be an integer from 1 to 100000000 connections, got "many". Leave it out for maxConnections.\n',
      '--proxy-protocol=required':
        'proxyProtocol must be "off" unless trustedProxies names the proxies that may speak it, got "required".\n',
    };
    for (const [flag, stderr] of Object.entries(sentences)) {
      expect(await run(['doctor', flag])).toEqual({ exitCode: 78, stdout: '', stderr });
    }
  });
});

describe.skipIf(!redisIsInstalled())('roost doctor with Redis (skipped without redis-server)', () => {
  it('gives lines that help, when they are given to that Redis', async () => {
    const redis = await startOwnRedis();
    for (const [name, value] of [
      ['maxclients', '34'],
      ['maxmemory', '100000000'],
      ['maxmemory-policy', 'allkeys-lru'],
    ] as const) {
      await redis.command('CONFIG', 'SET', name, value);
    }
    const before = ofRedis(await findings([...FEW, '--redis-url', redis.url]));
    const weak = before.filter(({ status }) => status === 'warn' || status === 'fail');
    expect(weak.map(({ check }) => check)).toEqual(['Redis output buffer', 'Redis clients', 'Redis memory']);
    for (const { line } of weak.flatMap(({ fix }) => fix)) {
      const words = Array.from(line.matchAll(/"([^"]*)"|(\S+)/g), ([, quoted, word]) => quoted ?? word ?? '');
      expect(await said(redis, words)).toBe('OK');
    }
    const after = ofRedis(await findings([...FEW, '--redis-url', redis.url]));
    expect(after.filter(({ status }) => status !== 'ok')).toEqual([]);
  });

  it('gives a user the rights that it lacks, and shows no password', async () => {
    const redis = await startOwnRedis();
    await redis.command('ACL', 'SETUSER', 'ro-ost', 'on', '>s3cret/', 'resetchannels', 'nocommands', '+ping');
    const env = { ROOST_REDIS_URL: `redis://ro-ost:s3cret%2F@127.0.0.1:${redis.port}` };
    // One after the other: a script cannot be tried before it may run.
    for (let round = 0; round < 3; round++) {
      const finding = of('Redis rights', await findings(FEW, env));
      if (finding?.status === 'ok') break;
      const [{ line } = { line: '' }] = finding?.fix ?? [];
      expect(line).toMatch(/^ACL SETUSER ro-ost /);
      expect(await said(redis, line.replaceAll("'", '').split(' '))).toBe('OK');
    }
    const { stdout, exitCode } = await run(['doctor', ...FEW], env);
    expect(stdout).toMatch(/^ok +Redis rights +ro-ost may do all of it/m);
    expect(stdout).toMatch(/^skip +Redis output buffer +CONFIG is denied/m);
    expect(stdout).not.toContain('s3cret');
    expect(exitCode).toBe(0);
  });

  it('says why it is away: exit code 71', async () => {
    const redis = await startOwnRedis();
    await redis.stop();
    const { exitCode, stdout } = await run(['doctor', ...FEW, '--redis-url', redis.url]);
    expect(stdout).toContain(`fail  Redis`);
    expect(stdout).toContain(`Redis at ${redis.url} refused the connection (ECONNREFUSED)`);
    expect(exitCode).toBe(71);
  });
});

describe('roost check-config', () => {
  it('refuses what a start would refuse, in the same words and with the same exit code', async () => {
    const path = written('roost.yaml', 'maxOutboundBytes: 200000000\n');
    for (const words of [
      ['--config', path],
      ['--proxy-protocol', 'required'],
      ['--worker-timeout-ms', '1000'],
      ['--prot', '1'],
    ]) {
      const checked = await run(['check-config', ...words]);
      expect(checked.stderr).toMatch(/^[^\n]+\n$/);
      expect(checked.stdout).toBe('');
      // Nothing has listened by then, not even the admin listener, which would log its address.
      expect(checked).toEqual(await run(['start', '--port', '0', '--admin-port', '0', ...words]));
    }
  });

  it('as JSON has each value with its source, and no secret', async () => {
    const path = written('good.yaml', '# a comment\nport: 9001\nplain:\n  clientPublish: true\n');
    const { stdout, exitCode } = await run(['check-config', '--json', '--config', path, '--workers', '2'], {
      ROOST_API_KEY: 'sesame',
    });
    expect(exitCode).toBe(0);
    const config: unknown = JSON.parse(stdout);
    expect(config).toMatchObject({
      port: { value: 9001, origin: `line 2 of ${path}` },
      'plain.clientPublish': { value: true, origin: `line 4 of ${path}` },
      workers: { value: 2, origin: '--workers' },
      'api.key': { value: '********', origin: 'ROOST_API_KEY' },
      host: { value: '0.0.0.0', origin: 'default' },
      redisUrl: { value: null, origin: 'default' },
    });
  });
});

describe('a start', () => {
  it('warns once of what the host lacks for maxConnections, in a few lines', async () => {
    const farm = await startServer(['--workers', '1', '--drain-ms', '0', '--max-connections', '100000000']);
    try {
      const line = await farm.log((entry) => isWarning(entry) && entry['more'] !== undefined);
      expect(line).toMatchObject({ level: 'warn', connections: 100_000_000 });
      expect(farm.logs.filter(isWarning)).toHaveLength(3);
    } finally {
      await farm.stop();
    }
  });
});
