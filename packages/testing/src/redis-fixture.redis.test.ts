import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { livingMembers } from './process-group.ts';
import { redisIsInstalled, startRedis } from './redis-fixture.ts';
import type { RedisFixture } from './redis-fixture.ts';

describe.skipIf(!redisIsInstalled())('startRedis (skipped without redis-server)', () => {
  it('starts a server that answers, without persistence, in a directory of its own', async () => {
    const redis = await startRedis();
    expect(String(await redis.command('PING'))).toBe('PONG');
    expect(await redis.command('CONFIG', 'GET', 'save')).toEqual(['save', '']);
    const directory = await directoryOf(redis);
    expect(existsSync(directory)).toBe(true);
    const pid = redis.pid ?? 0;
    expect(livingMembers(pid)).toEqual([pid]);
    await redis.stop();
    expect(livingMembers(pid)).toEqual([]);
    expect(existsSync(directory)).toBe(false);
  });

  it('starts again on the same port after it was killed, and is empty', async () => {
    const redis = await startRedis();
    await redis.command('SET', 'key', 'value');
    await redis.kill();
    await expect(redis.command('PING')).rejects.toThrow();
    await redis.restart();
    expect(await redis.command('GET', 'key')).toBeNull();
    await redis.stop();
  });

  it('can be stopped while it is silent, and twice', async () => {
    const redis = await startRedis();
    await redis.kill('SIGSTOP');
    await redis.stop();
    await redis.stop();
    expect(redis.pid).toBeUndefined();
  });

  it('passes arguments on to the server, and rejects with its output when it ends at once', async () => {
    await expect(startRedis({ args: ['--no-such-option', '1'] })).rejects.toThrow(/no-such-option/);
  });
});

async function directoryOf(redis: RedisFixture): Promise<string> {
  const reply = await redis.command('CONFIG', 'GET', 'dir');
  return Array.isArray(reply) ? String(reply[1]) : '';
}
