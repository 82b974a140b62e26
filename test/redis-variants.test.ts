import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  eventually,
  listenLocally,
  redisIsInstalled,
  startRedis,
  startSentinel,
  type RedisFixture,
} from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from './documents/snippets.ts';
import { connect, endAfterTest, get, startFarm } from './harness/system.ts';
import { Member, APP } from './presence/member.ts';

const execute = promisify(execFile);
const TEMPLATE = join(ROOT, 'infra/redis/users.template.acl');
const PASSWORDS = { REDIS_ROOST_PASSWORD: 'of-farms', REDIS_PUBLISHER_PASSWORD: 'of-publishers' };
/** For the spec to look with: the file lets nobody do that. */
const INSPECTOR = 'user inspector on nopass ~* &* +@all';
const PASSWORD_OF = {
  roost: PASSWORDS.REDIS_ROOST_PASSWORD,
  publisher: PASSWORDS.REDIS_PUBLISHER_PASSWORD,
  health: 'none',
  inspector: 'none',
};
const PUBLISH = ['PUBLISH', 'roost:channel:news', 'hello'];
const PRESENCE = 'presence-room';

interface Service {
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
}

function servicesOf(file: string): Record<string, Service> {
  const { services }: { services: Record<string, Service> } = parse(
    readFileSync(join(ROOT, 'infra', file), 'utf8'),
    { merge: true },
  );
  return services;
}

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'roost-redis-users-'));
  endAfterTest(() => rm(folder, { recursive: true }));
  return folder;
}

/** What the container does before Redis takes its place: the files that it writes, in a folder of ours. */
async function prepareAs(service: Service | undefined, env: Record<string, string>): Promise<string> {
  const folder = await temporaryFolder();
  const [shell = '', flags = '', script = ''] = service?.command ?? [];
  const ours = script
    // Compose's way to write one.
    .replaceAll('$$', '$')
    .replaceAll('/usr/local/etc/redis/', `${join(ROOT, 'infra/redis')}/`)
    .replaceAll('/run/redis/', `${folder}/`)
    .replace(/^exec redis-server .*$/m, '');
  expect(ours).not.toBe(script);
  const child = spawn(shell, [flags, ours], { env: { PATH: process.env['PATH'], ...env }, stdio: 'inherit' });
  expect(await once(child, 'exit')).toEqual([0, null]);
  return folder;
}

async function startOwnRedis(args: readonly string[]): Promise<RedisFixture> {
  const redis = await startRedis({ args });
  endAfterTest(() => redis.stop());
  return redis;
}

/** What redis-cli prints for a user and a command, or its error. */
async function ask(
  { port }: RedisFixture,
  words: readonly string[],
  user?: keyof typeof PASSWORD_OF,
): Promise<string> {
  const credentials =
    user === undefined ? [] : ['--no-auth-warning', '--user', user, '--pass', PASSWORD_OF[user]];
  try {
    const { stdout } = await execute('redis-cli', ['-p', String(port), '-e', ...credentials, ...words]);
    return stdout.trim();
  } catch (error) {
    return error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
  }
}

/** The container's health check, on the port of this Redis. */
function askAsHealthCheck(redis: RedisFixture, file: string): Promise<string> {
  const [kind, program, ...words] = servicesOf(file)['redis']?.healthcheck?.test ?? [];
  expect([kind, program]).toEqual(['CMD', 'redis-cli']);
  return ask(redis, words);
}

function commandsAmong(rules: readonly string[]): string[] {
  return rules.filter((rule) => rule.startsWith('+')).toSorted();
}

/** The rules of the user in the file of templates. */
function rulesOf(user: string): string[] {
  const line = readFileSync(TEMPLATE, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`user ${user} `));
  return (line ?? '').split(' ').slice(2);
}

describe.skipIf(!redisIsInstalled())('a Redis with users (skipped without redis-server)', () => {
  it('lets a farm do all that it does, presence and webhooks included, and denies it nothing that it sends', async () => {
    const folder = await prepareAs(servicesOf('compose.redis-users.yml')['redis'], PASSWORDS);
    const file = join(folder, 'users.acl');
    expect(await readFile(file, 'utf8')).not.toMatch(/SHA256|of-farms|^#/m);
    await appendFile(file, `${INSPECTOR}\n`);
    const redis = await startOwnRedis(['--aclfile', file]);
    const url = `redis://roost:${PASSWORDS.REDIS_ROOST_PASSWORD}@127.0.0.1:${redis.port}`;

    const told: string[] = [];
    const receiver = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (text: string) => told.push(text));
      request.on('end', () => response.end());
    });
    const hook = `http://127.0.0.1:${await listenLocally(receiver)}/`;
    endAfterTest(async () => {
      receiver.close();
      receiver.closeAllConnections();
      await once(receiver, 'close');
    });
    const farm = await startFarm([
      `--redis-url=${url}`,
      `--pusher-app-id=${APP.id}`,
      `--pusher-app-key=${APP.key}`,
      `--pusher-app-secret=${APP.secret}`,
      '--pusher-webhook-linger-ms=0',
      '--presence-lease-ms=2000',
      `--pusher-webhooks=${JSON.stringify([{ url: hook }])}`,
    ]);

    const news = await connect(farm, '/news?channel=news');
    expect(await ask(redis, PUBLISH, 'publisher')).toBe('1');
    expect((await news.nextMessage()).text).toBe('hello');

    const enter = (user: string): Promise<Member> =>
      Member.join(farm.port, { channel: PRESENCE, user, localAddress: '127.0.0.1' });
    const [ada, bob] = [await enter('ada'), await enter('bob')];
    await eventually(() => expect(ada.members).toEqual(new Set(['ada', 'bob'])));
    bob.leave();
    await eventually(() => expect(ada.members).toEqual(new Set(['ada'])));
    await eventually(() => expect(told.join()).toMatch(/member_added.*member_removed/s));
    // Workers that die without a word: those in their places have their members leave.
    for (const { pid } of farm.workers) process.kill(pid, 'SIGKILL');
    await ada.ended;
    await eventually(() => expect(told.join()).toMatch(/channel_vacated/));

    expect(await ask(redis, ['ACL', 'LOG'], 'inspector')).toBe('');
    expect(farm.logs.filter(({ msg }) => msg === 'broker warning')).toEqual([]);
    await farm.stop();
  });

  it('has rights for farms that are those of the guide, and the name of their connections', () => {
    const guide = readFileSync(join(ROOT, 'docs/guide/broadcasting.md'), 'utf8');
    const shown = [...guide.matchAll(/^redis-cli ACL SETUSER roost (.*)$/gm)].flatMap(([, rules = '']) =>
      rules.split(' '),
    );
    expect(commandsAmong(rulesOf('roost'))).toEqual(commandsAmong([...shown, '+client|setname']));
  });

  it('lets a publisher publish to channels, the health check ask, and nobody else in', async () => {
    const folder = await prepareAs(servicesOf('compose.redis-users.yml')['redis'], PASSWORDS);
    const redis = await startOwnRedis(['--aclfile', join(folder, 'users.acl')]);
    expect(await ask(redis, PUBLISH, 'publisher')).toBe('0');
    for (const words of [
      ['PUBLISH', 'roost:control', '{}'],
      ['SUBSCRIBE', 'roost:channel:news'],
      ['GET', 'roost:epoch'],
      ['ACL', 'LIST'],
    ]) {
      expect(await ask(redis, words, 'publisher'), words.join(' ')).toMatch(/NOPERM/);
    }
    expect(await ask(redis, PUBLISH, 'health')).toMatch(/NOPERM/);
    expect(await ask(redis, PUBLISH)).toMatch(/NOAUTH/);
    expect(await askAsHealthCheck(redis, 'compose.redis-users.yml')).toBe('PONG');
  });
});

describe.skipIf(!redisIsInstalled())('a Redis with a password (skipped without redis-server)', () => {
  it('lets a farm in that has it', async () => {
    const folder = await prepareAs(servicesOf('compose.redis-password.yml')['redis'], {
      REDISCLI_AUTH: 'open-sesame',
    });
    const redis = await startOwnRedis(['--include', join(folder, 'password.conf')]);
    expect(await ask(redis, PUBLISH)).toMatch(/NOAUTH/);
    const farm = await startFarm([`--redis-url=redis://:open-sesame@127.0.0.1:${redis.port}`]);
    expect((await get(farm, '/health/ready')).status).toBe(200);
  });
});

describe.skipIf(!redisIsInstalled())('a Redis with sentinels (skipped without redis-server)', () => {
  it('is found by the name that their configuration and the URL have in common', async () => {
    const configuration = readFileSync(join(ROOT, 'infra/redis/sentinel.conf'), 'utf8');
    const [, name = '', host] = /^sentinel monitor (\S+) (\S+) 6379 2$/m.exec(configuration) ?? [];
    expect(host).toBe('redis');
    const redis = await startOwnRedis([]);
    // Those that the fixture writes itself are about this machine.
    const lines = configuration
      .split('\n')
      .filter((line) => /^sentinel (?!monitor|down-after|failover-timeout)/.test(line));
    expect(lines.length).toBeGreaterThan(2);
    const sentinel = await startSentinel({ masterName: name, masterPort: redis.port, quorum: 2, lines });
    endAfterTest(() => sentinel.stop());
    const url = servicesOf('compose.sentinel.yml')['roost']?.environment?.['ROOST_REDIS_URL'] ?? '';
    const ours = url.replaceAll(/sentinel-\d/g, `127.0.0.1:${sentinel.port}`);
    expect(ours).not.toBe(url);
    const farm = await startFarm([`--redis-url=${ours}`]);
    expect((await get(farm, '/health/ready')).status).toBe(200);
  });
});
