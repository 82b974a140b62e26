import { describe, expect, it } from 'vitest';
import { judgeAll, type NamedFinding } from '../finding.ts';
import { redisOf } from '../fixtures/facts.ts';
import { REDIS_CHECKS } from './redis-checks.ts';

type Differences = Parameters<typeof redisOf>[0];

function findingOf(check: string, differences: Differences): NamedFinding | undefined {
  return judgeAll(REDIS_CHECKS, redisOf(differences)).find((one) => one.check === check);
}

/** INFO with other lines. */
function info(lines: Readonly<Record<string, string>>): Differences {
  return { info: new Map([...redisOf().redis.info, ...Object.entries(lines)]) };
}

/** CONFIG with other settings. */
function config(settings: Readonly<Record<string, string>>): Differences {
  return { config: new Map([...(redisOf().redis.config ?? []), ...Object.entries(settings)]) };
}

const PUBSUB = 'client-output-buffer-limit';

describe('a Redis', () => {
  it('that has everything is all right', () => {
    const findings = judgeAll(REDIS_CHECKS, redisOf());
    expect(findings.map(({ status }) => status)).toEqual(REDIS_CHECKS.map(() => 'ok'));
  });

  it('that cannot be used is one finding', () => {
    const problem = 'Redis at redis://10.0.0.7:6379 refused the connection (ECONNREFUSED).';
    expect(judgeAll(REDIS_CHECKS, redisOf({ problem }))).toMatchObject([
      {
        check: 'Redis',
        status: 'fail',
        found: 'Redis at redis://10.0.0.7:6379 refused the connection (ECONNREFUSED)',
        fix: [{ line: 'redis-cli -u redis://10.0.0.7:6379 ping' }],
      },
    ]);
  });

  it.each([
    ['redis://10.0.0.7:6379', 'redis-cli -u redis://10.0.0.7:6379 ping'],
    ['rediss://10.0.0.7:6379/2', 'redis-cli -u rediss://10.0.0.7:6379/2 ping'],
    ['/run/redis.sock', 'redis-cli -s /run/redis.sock ping'],
    ['redis+sentinel://10.0.0.7:26379,10.0.0.8:26379/roost', 'redis-cli -u redis://10.0.0.7:26379 ping'],
    ['rediss+sentinel://10.0.0.7:26379/roost', 'redis-cli -u rediss://10.0.0.7:26379 ping'],
  ])('at %s is tried by a command that redis-cli takes', (shownUrl, line) => {
    const finding = findingOf('Redis', { problem: 'It refused the connection.', shownUrl });
    expect(finding?.fix).toMatchObject([{ line }]);
  });

  it('that does not say what it is needs a right for the user of the URL', () => {
    const subject = { ...redisOf({ role: 'unknown' }), user: 'default' };
    const finding = judgeAll(REDIS_CHECKS, subject).find(({ check }) => check === 'Redis role');
    expect(finding?.fix).toMatchObject([{ line: 'ACL SETUSER default +info' }]);
  });

  it('that tells nothing of itself is looked at as far as that goes', () => {
    const findings = judgeAll(REDIS_CHECKS, redisOf({ info: new Map(), config: undefined }));
    expect(findings.filter(({ status }) => status === 'skip').map(({ check }) => check)).toEqual([
      'Redis version',
      'Redis output buffer',
      'Redis clients',
      'Redis memory',
      'Redis persistence',
    ]);
    expect(findings.filter(({ status }) => status === 'warn' || status === 'fail')).toEqual([]);
  });

  it.each<[string, string, string, Differences, string[]]>([
    ['Redis version', 'fail', '4.0.9', info({ redis_version: '4.0.9' }), ['image: redis:7-bookworm']],
    [
      'Redis version',
      'ok',
      'Valkey 8.1.1, as Redis 7.2.4',
      info({ redis_version: '7.2.4', valkey_version: '8.1.1' }),
      [],
    ],
    [
      'Redis role',
      'fail',
      'replica',
      { role: 'replica', ...info({ master_host: '10.0.0.8', master_port: '6380' }) },
      ['ROOST_REDIS_URL=redis://10.0.0.8:6380'],
    ],
    [
      'Redis role',
      'fail',
      'sentinel',
      { role: 'sentinel' },
      ['ROOST_REDIS_URL=redis+sentinel://host:26379/master-name'],
    ],
    ['Redis role', 'warn', 'it does not say', { role: 'unknown' }, ['ACL SETUSER roost +info']],
    [
      'Redis password',
      'warn',
      'not wanted, although the URL has one',
      { password: 'not wanted' },
      ["ACL SETUSER default '>a-long-secret'", 'requirepass a-long-secret'],
    ],
    [
      'Redis password',
      'warn',
      'none',
      { password: 'none' },
      ["ACL SETUSER default '>a-long-secret'", 'requirepass a-long-secret'],
    ],
    ['Redis password', 'ok', 'none', { password: 'none', shownUrl: 'redis://127.0.0.1:6379' }, []],
    [
      'Redis rights',
      'fail',
      "roost may not: +publish '&roost:channel:*'",
      {
        rights: [
          { rule: '+publish &roost:channel:*', use: 'publishing', need: 'necessary', refusal: 'NOPERM' },
          { rule: '+info', use: 'noticing a failover', need: 'useful', refusal: '' },
        ],
      },
      ["ACL SETUSER roost +publish '&roost:channel:*'"],
    ],
    [
      'Redis rights',
      'warn',
      'roost may not: +info +xadd',
      {
        rights: [
          { rule: '+info', use: 'noticing a failover', need: 'useful', refusal: 'NOPERM' },
          { rule: '+xadd', use: 'presence', need: 'store', refusal: 'ERR' },
        ],
      },
      ['ACL SETUSER roost +info +xadd'],
    ],
    [
      'Redis output buffer',
      'warn',
      '32 MiB for a subscriber, or 8 MiB for 60 s',
      config({ [PUBSUB]: 'normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60' }),
      ['CONFIG SET client-output-buffer-limit "pubsub 256mb 64mb 60"'],
    ],
    [
      'Redis output buffer',
      'ok',
      'no limit for a subscriber',
      config({ [PUBSUB]: 'normal 0 0 0 slave 0 0 0 pubsub 0 0 0' }),
      [],
    ],
    [
      'Redis clients',
      'fail',
      '64, of which 20 are there',
      info({ maxclients: '64' }),
      ['CONFIG SET maxclients 116'],
    ],
    [
      'Redis memory',
      'warn',
      '90 MB of 100 MB, allkeys-lru',
      info({ maxmemory: '100000000', used_memory: '90000000', maxmemory_policy: 'allkeys-lru' }),
      ['CONFIG SET maxmemory-policy noeviction', 'CONFIG SET maxmemory 200000000'],
    ],
    [
      'Redis memory',
      'ok',
      '2 MB of 100 MB, volatile-ttl',
      info({ maxmemory: '100000000', maxmemory_policy: 'volatile-ttl' }),
      [],
    ],
    [
      'Redis latency',
      'warn',
      '20 ms, the longest of 3 30 ms',
      { pingMs: [10, 20, 30] },
      ['redis-cli -u redis://10.0.0.7:6379 --latency'],
    ],
    [
      'Redis latency',
      'fail',
      '200 ms, the longest of 3 300 ms',
      { pingMs: [1, 200, 300] },
      ['redis-cli -u redis://10.0.0.7:6379 --latency'],
    ],
    [
      'Redis persistence',
      'warn',
      'append-only file; the last fork took 250 ms; each write waits for the disk',
      { ...info({ latest_fork_usec: '250000', aof_enabled: '1' }), ...config({ appendfsync: 'always' }) },
      ['CONFIG SET save ""', 'CONFIG SET appendonly no'],
    ],
    ['Redis persistence', 'ok', 'snapshots', config({ save: '3600 1' }), []],
  ])('%s: %s: %s', (check, status, found, differences, lines) => {
    const finding = findingOf(check, differences);
    expect(finding).toMatchObject({ status, found });
    expect(finding?.fix.map(({ line }) => line)).toEqual(lines);
  });

  it('needs the rights to consume events only where webhooks tell of them', () => {
    const subject = redisOf({
      rights: [{ rule: '+xack', use: 'recorded events', need: 'events', refusal: 'NOPERM' }],
    });
    const judged = (recordsEvents: boolean): NamedFinding | undefined =>
      judgeAll(REDIS_CHECKS, { ...subject, recordsEvents }).find(({ check }) => check === 'Redis rights');
    expect(judged(false)).toMatchObject({ status: 'ok', found: 'roost may do all of it' });
    expect(judged(true)).toMatchObject({
      status: 'warn',
      found: 'roost may not: +xack',
      why: 'They are for recorded events (NOPERM).',
    });
  });
});
