import { readFileSync } from 'node:fs';
import { eventually, redisIsInstalled, startRedis } from '@roost/testing';
import type { RedisFixture } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settle } from '../broker.contract.ts';
import type { TestBroker } from '../broker.contract.ts';
import { callCount, create, isReady, start } from './fixtures/broker-harness.ts';
import type { RedisBroker } from './redis-broker.ts';

const GUIDE = new URL('../../../../docs/guide/broadcasting.md', import.meta.url);

/** The rules of the user `roost` as the guide gives them, without the shell's quotes. */
function leastRules(): string[] {
  const [, rules] = /^redis-cli ACL SETUSER roost (.*)$/m.exec(readFileSync(GUIDE, 'utf8')) ?? [];
  if (rules === undefined) throw new Error('The guide has no line with the rules.');
  return rules.replaceAll("'", '').split(' ');
}

const ONLY_CHANNELS = ['resetchannels', '&roost:channel:*'];

const OFTEN = { probeIntervalMs: 20, roleIntervalMs: 20 };

function wasNeverLost({ broker, seen }: TestBroker<RedisBroker>): void {
  expect(seen.states).toEqual(['ready']);
  expect(seen.gaps).toEqual([]);
  expect(broker.counters.lostConnectionCount).toBe(0);
  expect(broker.counters.warningCount).toBe(seen.warnings.length);
}

describe.skipIf(!redisIsInstalled())('a Redis user (skipped without redis-server)', () => {
  let redis: RedisFixture;

  beforeEach(async () => {
    redis = await startRedis();
  });

  afterEach(async () => {
    await redis.stop();
  });

  /** A broker as the least user, less or more some rules. */
  async function userWith(...rules: string[]): Promise<string> {
    await redis.command('ACL', 'SETUSER', 'roost', ...leastRules(), ...rules);
    return `redis://roost:password@127.0.0.1:${redis.port}`;
  }

  /** Several probes go by, and the role is asked. */
  async function hasBeenProbed(): Promise<void> {
    const command = 'publish';
    const before = await callCount(redis, command);
    const refused = await rejectedCount(command);
    await eventually(
      async () => (await callCount(redis, command)) + (await rejectedCount(command)) >= before + refused + 4,
      { what: 'four probes are sent' },
    );
  }

  async function rejectedCount(command: string): Promise<number> {
    const stats = String(await redis.command('INFO', 'commandstats'));
    return Number(new RegExp(`cmdstat_${command}:.*rejected_calls=(\\d+)`).exec(stats)?.[1] ?? 0);
  }

  it('with the rights of the guide does everything, and sends nothing that it may not but its name', async () => {
    const url = await userWith();
    const worker = await start({ url, ...OFTEN, unsubscribeLingerMs: 1 });
    await worker.subscribe('news');
    await worker.broker.publish('news', Buffer.from('x'));
    await settle(worker);
    expect(worker.seen.texts('news')).toEqual(['x']);
    await redis.command('PUBLISH', 'roost:control', 'c');
    await eventually(() => worker.seen.controls.length === 1);
    worker.unsubscribe('news');
    await eventually(async () => {
      expect(await redis.command('PUBSUB', 'CHANNELS', 'roost:channel:news')).toEqual([]);
    });
    await hasBeenProbed();
    wasNeverLost(worker);
    expect(worker.seen.warnings).toEqual([]);
    const log = await redis.command('ACL', 'LOG');
    const denied = (Array.isArray(log) ? log : []).map((entry: unknown) =>
      Array.isArray(entry) ? String(entry[entry.indexOf('object') + 1]) : '',
    );
    expect(denied).toEqual(['client|setname']);
  });

  it.each([
    ['PUBLISH', ['-publish'], /refuses the probe .*so PING has to do/],
    ['PUBLISH and PING', ['-publish', '-ping'], /refuses the probe/],
    ['its probe', [...ONLY_CHANNELS, '&roost:control', '&roost:mark:*'], /refuses the probe/],
    [
      'marks',
      [...ONLY_CHANNELS, '&roost:control', '&roost:probe:*'],
      /refuses marks .* give the user &roost:\*/,
    ],
    [
      'control messages',
      [...ONLY_CHANNELS, '&roost:probe:*', '&roost:mark:*'],
      /No control message can come/,
    ],
    ['INFO and ROLE', ['-info'], /does not say whether it is the master/],
  ])('without %s stays connected, and is told so once', async (_, rules, warning) => {
    const url = await userWith(...rules);
    const worker = await start({ url, ...OFTEN, probeTimeoutMs: 5000 });
    expect(await worker.subscribe('news')).toBe('confirmed');
    await redis.command('PUBLISH', 'roost:channel:news', 'x');
    await eventually(() => worker.seen.texts('news').length === 1, { what: 'a publication comes' });
    await hasBeenProbed();
    wasNeverLost(worker);
    expect(worker.seen.warnings).toEqual([expect.stringMatching(warning)]);
  });

  it('without the right to publish to one channel has that refused, and nothing else', async () => {
    const url = await userWith('resetchannels', '&roost:channel:fine', '&roost:control', '&roost:probe:*');
    const worker = await start({ url, ...OFTEN });
    await expect(worker.broker.publish('secret', Buffer.from('x'))).rejects.toMatchObject({
      code: 'BROKER_REFUSED',
      message: expect.stringContaining('NOPERM'),
    });
    await worker.broker.publish('fine', Buffer.from('x'));
    await expect(worker.subscribe('secret')).rejects.toMatchObject({ code: 'BROKER_REFUSED' });
    wasNeverLost(worker);
  });

  it('with ROLE instead of INFO has its role asked that way', async () => {
    const worker = await start({ url: await userWith('-info', '+role'), ...OFTEN });
    await eventually(async () => (await callCount(redis, 'role')) >= 4, { what: 'the role is asked again' });
    wasNeverLost(worker);
    expect(worker.seen.warnings).toEqual([]);
  });

  it('without UNSUBSCRIBE is told so once, and gets nothing that it does not want', async () => {
    const worker = await start({ url: await userWith('-unsubscribe'), unsubscribeLingerMs: 1 });
    await worker.subscribe('one');
    worker.unsubscribe('one');
    await eventually(() => worker.seen.warnings.length === 1, { what: 'the warning is given' });
    expect(worker.seen.warnings[0]).toContain('refuses UNSUBSCRIBE');
    await worker.broker.publish('one', Buffer.from('x'));
    await settle(worker);
    expect(worker.seen.texts('one')).toEqual([]);
    expect(await worker.subscribe('one')).toBe('confirmed');
    wasNeverLost(worker);
  });

  it('without SUBSCRIBE is away, with the reason', async () => {
    const { broker } = create({ url: await userWith('-subscribe') });
    await broker.start();
    await eventually(() => /NOPERM.*subscribe/.test(broker.stateReason), { what: 'the reason names it' });
    expect(broker.state).toBe('away');
  });

  it('without SELECT, or with a database that is not there, is served all the same', async () => {
    const url = await userWith();
    for (const database of ['3', '99']) {
      const worker = await start({ url: `${url}/${database}` });
      expect(worker.seen.warnings).toEqual([expect.stringContaining(`did not select database ${database}`)]);
      expect(await worker.subscribe('news')).toBe('confirmed');
    }
  });

  it('is served without a password where Redis needs none, with one warning', async () => {
    const worker = await start({ url: `redis://:s3cret@127.0.0.1:${redis.port}` });
    expect(worker.seen.warnings).toEqual([expect.stringContaining('needs no password')]);
    expect(worker.seen.warnings.join()).not.toContain('s3cret');
    expect(await worker.subscribe('news')).toBe('confirmed');
  });

  it('that is needed and not named is away', async () => {
    await redis.command('ACL', 'SETUSER', 'default', 'off');
    const { broker } = create({ url: redis.url });
    await broker.start();
    expect(broker.stateReason).toMatch(/refused the credentials \(NOAUTH/);
  });

  it('may lose its rights, and get them again, while it is connected', async () => {
    const worker = await start({ url: await userWith(), ...OFTEN });
    await worker.subscribe('news');
    await redis.command('ACL', 'SETUSER', 'roost', '-publish', '-info');
    await eventually(() => worker.seen.warnings.length === 2, { what: 'both are told' });
    await expect(worker.broker.publish('news', Buffer.from('x'))).rejects.toMatchObject({
      code: 'BROKER_REFUSED',
    });
    await redis.command('ACL', 'SETUSER', 'roost', '+publish', '+info');
    await worker.broker.publish('news', Buffer.from('x'));
    await settle(worker);
    expect(worker.seen.texts('news')).toEqual(['x']);
    wasNeverLost(worker);
    // A user that is gone has its connections cut.
    await redis.command('ACL', 'DELUSER', 'roost');
    await eventually(() => worker.broker.stateReason.includes('refused the credentials'), {
      what: 'the reason names the credentials',
    });
    await userWith();
    await isReady(worker.broker);
  });
});
