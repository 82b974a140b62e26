import { eventually, redisIsInstalled, startRedis, type RedisFixture } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Recorder } from '../../broker.contract.ts';
import { RedisConnection } from '../connection/connection.ts';
import { resolveOptions } from '../options.ts';
import { Publisher } from '../publisher.ts';
import { StoreKeys } from './keys.ts';
import { Reaper } from './reaper.ts';
import { ScriptRunner } from './script-runner.ts';
import { StoreSteps } from './store-steps.ts';

const nothing = (): void => undefined;

describe.skipIf(!redisIsInstalled())('a reaper (skipped without redis-server)', () => {
  let redis: RedisFixture;
  let connection: RedisConnection;
  let publisher: Publisher;

  beforeAll(async () => {
    redis = await startRedis();
    const config = resolveOptions({ url: redis.url, handlers: new Recorder(), wanted: new Set() });
    connection = new RedisConnection('publisher', config, {
      connectionOnReady: nothing,
      connectionOnLost: nothing,
      connectionOnShortcoming: nothing,
    });
    connection.start();
    await eventually(() => connection.client !== undefined);
    publisher = new Publisher(connection, config);
  });

  afterAll(async () => {
    publisher.stop();
    await connection.stop(true);
    await redis.stop();
  });

  it('takes an owner whenever it is told of one, also in the moment in which it ends', async () => {
    const keys = new StoreKeys('roost:');
    const runner = new ScriptRunner(publisher, { scriptOnDenied: nothing, scriptOnUnwritable: nothing });
    const steps = new StoreSteps({ runner, keys, recorded: [], maxEvents: 1 });
    const counts = Array.from({ length: 12 }, (_, turns) => {
      const counted = { reaped: 0 };
      // So many turns of promises after the first is gone, the second is told.
      const tellLater = async (): Promise<void> => {
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
        reaper.reap('second', true);
      };
      const onReaped = (): void => {
        counted.reaped += 1;
        if (counted.reaped === 1) void tellLater();
      };
      const reaper = new Reaper({ runner, keys, steps, leaseMs: 3500, onReaped, onError: nothing });
      reaper.allow(true);
      reaper.reap('first', true);
      return counted;
    });
    await eventually(() => expect(counts).toEqual(counts.map(() => ({ reaped: 2 }))));
  });
});
