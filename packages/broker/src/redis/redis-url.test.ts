import { describe, expect, it } from 'vitest';
import { parseRedisUrl, redisUrlProblem } from './redis-url.ts';

describe('a URL of Redis', () => {
  it.each([
    ['redis://localhost', { target: { host: 'localhost', port: 6379 }, shown: 'redis://localhost:6379' }],
    ['REDISS://h:1/2', { isTls: true, database: 2, shown: 'rediss://h:1/2' }],
    ['redis://[::1]:7000', { target: { host: '::1', port: 7000 }, shown: 'redis://[::1]:7000' }],
    ['redis://h?family=6', { target: { host: 'h', port: 6379, family: 6 }, shown: 'redis://h:6379' }],
    ['redis://u:p%40%2F%3A%25@h/', { credentials: { username: 'u', password: 'p@/:%' }, database: 0 }],
    ['redis://:a@b@h', { credentials: { username: '', password: 'a@b' }, shown: 'redis://h:6379' }],
    ['redis://u:a:b@h', { credentials: { username: 'u', password: 'a:b' } }],
    ['redis://@h', { credentials: undefined }],
    ['/run/redis.sock', { target: { path: '/run/redis.sock' }, shown: '/run/redis.sock', isTls: false }],
    [
      'unix://u:p@/run/a%40b?db=3',
      { target: { path: '/run/a@b' }, credentials: { username: 'u', password: 'p' }, database: 3 },
    ],
  ])('%s is understood', (url, location) => {
    expect(parseRedisUrl(url)).toMatchObject(location);
  });

  it('names sentinels, their master, and the credentials of both', () => {
    expect(
      parseRedisUrl(
        'rediss+sentinel://u:p@one,[::1]:5000/the-master/4?sentinelUsername=s&sentinelPassword=a%26b+c&sentinelTls=off',
      ),
    ).toEqual({
      target: {
        masterName: 'the-master',
        sentinels: [
          { host: 'one', port: 26_379 },
          { host: '::1', port: 5000 },
        ],
        credentials: { username: 's', password: 'a&b+c' },
        isTls: false,
      },
      credentials: { username: 'u', password: 'p' },
      database: 4,
      isTls: true,
      shown: 'rediss+sentinel://one:26379,[::1]:5000/the-master',
    });
    expect(parseRedisUrl('rediss+sentinel://h/m').target).toMatchObject({ isTls: true });
    expect(parseRedisUrl('redis+sentinel://h/m').target).toMatchObject({ isTls: false });
  });

  it.each([
    ['', /begins with none of/],
    ['localhost:6379', /begins with none of/],
    ['http://u:secret@h', /begins with none of/],
    ['redis://', /has no host/],
    ['redis:///run/redis.sock', /unix:\/\/\/path/],
    ['redis://h:99999', /port must be/],
    ['redis://h:0', /port must be/],
    ['redis://h:', /port must be/],
    ['redis://secret:secret', /port must be/],
    ['redis://h:1,h:2', /more than one host/],
    ['redis://h/secret', /number of a database/],
    ['redis://h/1/2', /number of a database/],
    ['redis://h?secret=1', /none of family/],
    ['redis://h?family=5', /4 or 6/],
    ['redis://h?secret', /no value/],
    ['redis://secret@h', /no password/],
    ['redis://:p@secret/hunter2#x@h:6379', /percent|unencoded/],
    ['redis://:secret/x@h', /unencoded/],
    ['redis://:secret?x@h', /unencoded/],
    ['redis://:secret#x@h', /unencoded/],
    ['redis://:secret#h', /# in it/],
    ['redis://:secret%@h', /%25/],
    ['redis://:sec ret@h', /space/],
    ['redis://h\n', /space or a control/],
    ['redis://[secret]:1', /name nor an address/],
    ['unix://h/run/redis.sock', /no host/],
    ['unix://', /absolute/],
    [`/${'x'.repeat(107)}`, /at most 107/],
    ['redis+sentinel://h', /name of the master/],
    ['redis+sentinel://h/', /name of the master/],
    ['redis+sentinel://h,/m', /name nor an address/],
    ['redis+sentinel://h/m?sentinelUsername=secret', /no sentinelPassword/],
    ['redis+sentinel://h/m?sentinelPassword=secr@et', /unencoded/],
    ['redis+sentinel://h/m?sentinelTls=secret', /on or off/],
    [`redis+sentinel://${Array.from({ length: 17 }, () => 'h').join(',')}/m`, /more than 16/],
  ])('%j is refused for what is wrong with it, which shows nothing of it', (url, problem) => {
    expect(redisUrlProblem(url)).toMatch(problem);
    expect(redisUrlProblem(url)).not.toMatch(/secret|hunter2/);
  });
});
