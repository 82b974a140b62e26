import { eventually, redisIsInstalled, startRedis } from '@roost/testing';
import type { RedisFixture } from '@roost/testing';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { forgetSubscriptions } from './forget-subscriptions.ts';

describe.skipIf(!redisIsInstalled())('forgetSubscriptions (skipped without redis-server)', () => {
  let redis: RedisFixture;
  let client: Redis;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());

  beforeEach(() => {
    client = new Redis(redis.url, { autoResubscribe: false, protocol: 2, retryStrategy: () => null });
  });
  afterEach(() => client.disconnect());

  function remembered(): string[] {
    const { condition } = client;
    if (condition === null || condition.subscriber === false) throw new Error('not in subscriber mode');
    return condition.subscriber.channels('subscribe');
  }

  it('is what keeps ioredis from remembering each channel', async () => {
    await client.subscribe('own');
    await client.subscribe('a', 'b');
    expect(remembered()).toEqual(['own', 'a', 'b']);
    forgetSubscriptions(client);
    await client.subscribe('c', 'd');
    expect(remembered()).toEqual(['own', 'a', 'b']);
  });

  it('leaves messages, answers and the mode as they are', async () => {
    const received: string[] = [];
    client.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      received.push(`${channel.toString()}: ${message.toString()}`);
    });
    await client.subscribe('own');
    forgetSubscriptions(client);
    expect(await client.subscribe('a', 'b')).toBe(3);
    expect(await client.unsubscribe('b')).toBe(2);
    await redis.command('PUBLISH', 'b', 'no');
    await redis.command('PUBLISH', 'a', 'yes');
    await eventually(() => expect(received).toEqual(['a: yes']));
    expect(client.mode).toBe('subscriber');
    expect(await client.unsubscribe()).toBe(0);
    expect(client.mode).toBe('normal');
  });

  it('does nothing to a client that has no subscription', () => {
    expect(() => forgetSubscriptions(client)).not.toThrow();
  });
});
