import { startRedis, eventually } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { drillOf } from '../harness/failures-guide.ts';
import { PlainRedisClient } from '../harness/redis-client.ts';
import {
  connect,
  connectMany,
  counter,
  endAfterTest,
  expectEcho,
  info,
  startFarm,
} from '../harness/system.ts';

describe('a master that is stopped', () => {
  it('keeps new clients waiting and no other, and goes on with all of its workers', async () => {
    const drill = drillOf('The master is stopped');
    const redis = await startRedis();
    endAfterTest(() => redis.stop());
    const farm = await startFarm(['--worker-timeout-ms', '2000', '--redis-url', redis.url]);
    const echoes = await connectMany(farm, '/echo', 4);
    const news = await connectMany(farm, '/plain?channel=news', 2);
    const publisher = await PlainRedisClient.connect(redis.port);
    farm.signal('SIGSTOP');

    let isServed = false;
    const late = connect(farm, '/echo').then((client) => {
      isServed = true;
      return client;
    });
    // For longer than a worker may be silent: nobody is there to say so.
    const until = performance.now() + 2500;
    await eventually(async () => {
      for (const client of echoes) await expectEcho(client, 'still here');
      return performance.now() > until;
    });
    await publisher.publish('roost:channel:news', 'hello');
    for (const client of news) expect((await client.nextMessage()).text).toBe('hello');
    expect(isServed).toBe(false);

    const from = performance.now();
    farm.signal('SIGCONT');
    await expectEcho(await late, 'my turn');
    drill.tookMs('those who waited are served', from);
    expect((await info(farm)).workers).toMatchObject([
      { state: 'ready', restarts: 0 },
      { state: 'ready', restarts: 0 },
    ]);
    expect(await counter(farm, 'worker_kills')).toBe(0);
    await drill.expectQuoted(() => farm.logs);
  });

  it('keeps publications waiting where the master carries them, and none is lost', async () => {
    const farm = await startFarm();
    const news = await connect(farm, '/news?channel=news');
    const other = await connect(farm, '/plain?channel=news');
    farm.signal('SIGSTOP');
    news.send('news hello');
    // Its worker has read the message when it answers what was sent behind it.
    await news.roundTrip();
    expect(other.messageCount).toBe(0);
    farm.signal('SIGCONT');
    for (const client of [news, other]) expect((await client.nextMessage()).text).toBe('hello');
  });
});
