import { eventually } from '@roost/testing';
import type { RedisFixture } from '@roost/testing';
import { afterEach } from 'vitest';
import { Recorder, TestBroker } from '../broker.contract.ts';
import type { RedisBrokerOptions } from './options.ts';
import { RedisBroker } from './redis-broker.ts';

export type TestOptions = Omit<RedisBrokerOptions, 'handlers' | 'wanted'>;

const running: RedisBroker[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((broker) => broker.stop()));
});

/** A broker that is not started yet, and is stopped after the test. */
export function create(options: TestOptions): TestBroker<RedisBroker> {
  const seen = new Recorder();
  const broker = new RedisBroker({ handlers: seen, wanted: seen.wanted, maxRetryDelayMs: 200, ...options });
  running.push(broker);
  return new TestBroker(broker, seen);
}

export async function start(options: TestOptions): Promise<TestBroker<RedisBroker>> {
  const created = create(options);
  await created.broker.start();
  await isReady(created.broker);
  return created;
}

export async function isReady(broker: RedisBroker): Promise<void> {
  await eventually(() => broker.state === 'ready', { what: 'the broker is ready' });
}

export async function isAway(broker: RedisBroker): Promise<void> {
  await eventually(() => broker.state === 'away', { what: 'the broker is away' });
}

/** Calls of one command that the server has counted. */
export async function callCount(redis: RedisFixture, command: string): Promise<number> {
  const stats = String(await redis.command('INFO', 'commandstats'));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}
