import { readFileSync } from 'node:fs';
import { eventually, redisIsInstalled, startRedis, type RedisFixture } from '@roost/testing';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settle } from '../../broker.contract.ts';
import { StoreWorker } from '../../channel-store.contract.ts';
import type { ChannelStoreOptions } from '../../channel-store.ts';
import { start } from '../fixtures/broker-harness.ts';
import { RedisEvents } from './redis-events.ts';

const GUIDE = new URL('../../../../../docs/guide/broadcasting.md', import.meta.url);

/** The rules that the guide gives for the store: to take part, and to consume what is recorded. */
function rulesOfGuide(): string[][] {
  const text = readFileSync(GUIDE, 'utf8');
  const lines = [...text.matchAll(/^redis-cli ACL SETUSER roost (.*)$/gm)].map(([, rules = '']) => rules);
  expect(lines).toHaveLength(3);
  return lines.map((rules) => rules.replaceAll("'", '').split(' '));
}

const ALL: ChannelStoreOptions = {
  recorded: ['member_added', 'member_removed', 'channel_occupied', 'cache_miss'],
};

describe.skipIf(!redisIsInstalled())('a Redis user of the store (skipped without redis-server)', () => {
  let redis: RedisFixture;

  beforeEach(async () => {
    redis = await startRedis();
  });

  afterEach(() => redis.stop());

  async function userWith(...rules: string[]): Promise<string> {
    const [basic = [], store = []] = rulesOfGuide();
    await redis.command('ACL', 'SETUSER', 'roost', ...basic, ...store, ...rules);
    return `redis://roost:password@127.0.0.1:${redis.port}`;
  }

  async function startWith(...rules: string[]): Promise<StoreWorker> {
    const { broker, seen } = await start({ url: await userWith(...rules), channelStore: ALL });
    return new StoreWorker(broker, seen);
  }

  it('with the rights of the guide does everything, and sends nothing that it may not but its name', async () => {
    const [, , consuming = []] = rulesOfGuide();
    const worker = await startWith(...consuming);
    const { store } = worker;
    await worker.subscribe('room');
    await worker.join('room', 'ada', { lastEvent: true });
    for (let index = 0; index < 20; index += 1) await worker.join('room', `user ${index}`);
    await worker.read('room', { memberLimit: 5, mark: true });
    store.setSubscribers('room', 1, { tellsCount: true });
    await store.publishLast('room', Buffer.from('x'), {}, 1_000);
    await store.addEvent({ type: 'cache_miss', channel: 'room' });
    expect(await store.occupiedChannels('', 10)).toEqual(['room']);
    expect(await store.counts(['room'])).toEqual([{ subscribers: 1, members: 21 }]);
    store.leave('room', 'ada');
    const url = await userWith(...consuming);
    const warnings: string[] = [];
    const dead = new RedisEvents({ url, turnMs: 1_000, onWarning: (reason) => warnings.push(reason) });
    expect((await dead.take(1)).length).toBe(1);
    await dead.stop();
    const events = new RedisEvents({ url, turnMs: 1_000, onWarning: (reason) => warnings.push(reason) });
    let count = 0;
    while (count < 24) {
      const taken = await events.take(100);
      events.done(taken);
      count += taken.length;
    }
    await events.stop();
    // Of a worker that is dead, too.
    store.reap('nobody');
    await settle(worker);
    expect(worker.seen.warnings).toEqual([]);
    expect(warnings).toEqual([]);
    expect(store.counters.errorCount).toBe(0);
    const log = await redis.command('ACL', 'LOG');
    const denied = (Array.isArray(log) ? log : []).map((entry: unknown) =>
      Array.isArray(entry) ? String(entry[entry.indexOf('object') + 1]) : '',
    );
    expect(new Set(denied)).toEqual(new Set(['client|setname']));
  });

  it.each([
    ['scripts', ['-eval', '-evalsha']],
    ['any keys', ['resetkeys']],
    ['the leases', ['-zadd']],
    ['what a join writes', ['-hset']],
    [
      'publishing in scripts',
      ['resetchannels', '&roost:control', '&roost:probe:*', '&roost:mark:*', '&roost:channel:settle'],
    ],
  ])(
    'without the right to %s is told so, joins are refused, and everything else works',
    async (_what, rules) => {
      const worker = await startWith(...rules);
      const refused = { code: 'BROKER_REFUSED', message: expect.stringMatching(/^(?:Joining|Taking part)/) };
      await expect(worker.join('room', 'ada')).rejects.toMatchObject(refused);
      await expect(worker.join('room', 'ada')).rejects.toMatchObject(refused);
      worker.store.leave('room', 'ada');
      await worker.subscribe('settle');
      await settle(worker);
      expect(worker.seen.warnings[0]).toMatch(
        /^Presence, counts of subscribers and last events do not work: Redis at .* denies what they need \((?:NOPERM|ERR).*Give the user ~roost:\*, &roost:\* and the commands/,
      );
      expect(worker.broker.state).toBe('ready');
      expect(await redis.command('HLEN', 'roost:members:{room}')).toBe(0);
    },
  );

  it('that is given its rights later is let in', async () => {
    const worker = await startWith('-zadd');
    await expect(worker.join('room', 'ada')).rejects.toMatchObject({ code: 'BROKER_REFUSED' });
    await redis.command('ACL', 'SETUSER', 'roost', '+zadd');
    await eventually(
      async () => expect(await worker.join('room', 'ada')).toMatchObject({ outcome: 'joined' }),
      {
        deadlineMs: 20_000,
      },
    );
  });

  it('that may not consume events is told so', async () => {
    const url = await userWith();
    const warnings: string[] = [];
    const events = new RedisEvents({ url, onWarning: (reason) => warnings.push(reason) });
    const taken = events.take(1);
    await eventually(() => expect(warnings).toHaveLength(1));
    expect(warnings[0]).toMatch(/^Recorded events cannot be consumed: Redis at .* denies it \(NOPERM/);
    await events.stop();
    expect(await taken).toEqual([]);
  });
});
