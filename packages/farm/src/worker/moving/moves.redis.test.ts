import { eventually, RawClient, redisIsInstalled, startRedis, type RedisFixture } from '@roost/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CLIENTS, Crowd, textsOf } from './fixtures/crowd.ts';

describe.skipIf(!redisIsInstalled())('moves with Redis (skipped without redis-server)', () => {
  let redis: RedisFixture;
  let other: RedisFixture;
  let publisher: RawClient;
  let crowd: Crowd;

  beforeAll(async () => {
    [redis, other] = await Promise.all([startRedis(), startRedis()]);
  });

  afterAll(async () => {
    await redis.stop();
    await other.stop();
  });

  beforeEach(async () => {
    publisher = await RawClient.connect(redis.port);
  });

  afterEach(async () => {
    await crowd.end();
    await publisher.close();
  });

  /** Clients who hear what anybody publishes at the first Redis. */
  async function start(targetUrl = redis.url): Promise<void> {
    crowd = await Crowd.start({ options: { redisUrl: redis.url }, target: { redisUrl: targetUrl } });
    crowd.carry = (text) => publisher.writeText(`PUBLISH roost:channel:all "${text}"\r\n`);
  }

  /** Kills Redis and starts it again; what both workers are told is a gap. */
  async function restart(): Promise<void> {
    await publisher.close();
    await redis.restart();
    const { source, target } = crowd.rig;
    await Promise.all([source.counts('broker_reconnects', 1), target.counts('broker_reconnects', 1)]);
    publisher = await RawClient.connect(redis.port);
  }

  function told(): unknown {
    return [crowd.told('source'), crowd.told('target')];
  }

  it('between workers at different servers end: these have no order in common', async () => {
    await start(other.url);
    const { rig } = crowd;
    rig.begin();
    expect(await rig.ended()).toMatchObject([{ reason: 'server', moved: 0, left: CLIENTS }, { moved: 0 }]);
    expect(await rig.source.count('move_refused_server')).toBe(1);
    // Neither side has stopped reading for it.
    expect(await rig.source.count('move_batches')).toBe(0);
    await crowd.servedBy('source');
    expect(told()).toEqual([{ open: CLIENTS }, {}]);
  });

  it('go on when the server was restarted before the mark', async () => {
    await start();
    const { rig } = crowd;
    rig.begin();
    await crowd.stopAt('target', 'held');
    await restart();
    rig.fromTarget.go();
    expect(await rig.ended()).toMatchObject([{ moved: CLIENTS, left: 0 }, { moved: CLIENTS }]);
    // Nobody was told of a captured batch that came to nothing.
    expect(await rig.source.count('move_batches_resumed')).toBe(0);
    await crowd.servedBy('target');
    expect(told()).toEqual([{ open: CLIENTS }, { moved: CLIENTS }]);
  });

  it('take a batch back when the server was restarted behind the mark', async () => {
    await start();
    const { rig } = crowd;
    rig.begin();
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    await rig.source.counts('move_publications_kept', 3);
    await restart();
    rig.fromSource.go();
    expect(await rig.ended()).toMatchObject([{ moved: CLIENTS, left: 0 }, { moved: CLIENTS }]);
    expect(await rig.source.count('move_batches_resumed')).toBe(1);
    // What was kept before the loss is not lost with it.
    await crowd.servedBy('target');
    expect(told()).toEqual([{ open: CLIENTS }, { moved: CLIENTS }]);
    // Of the gap, which everybody has, they know.
    expect(crowd.connections.target.map(({ hasGap }) => hasGap)).toEqual(Array(CLIENTS).fill(true));
  });

  it('go on at the target when the source dies behind the batch', async () => {
    await start();
    const { rig } = crowd;
    rig.begin();
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    await rig.target.counts('move_publications_kept', 3);
    await rig.kill('source', { hasSaid: true });
    crowd.publish();
    rig.reaped('source');
    expect(await rig.ended('target')).toMatchObject([{ reason: 'dead', moved: CLIENTS, closed: 0 }]);
    await crowd.servedBy('target');
    expect(crowd.told('target')).toEqual({ moved: CLIENTS });
  });

  it('go on at the source when the target dies before its word', async () => {
    await start();
    const { rig } = crowd;
    rig.begin();
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    await rig.source.counts('move_publications_kept', 3);
    await rig.kill('target');
    rig.reaped('target');
    expect(await rig.ended('source')).toMatchObject([{ reason: 'dead', moved: 0, left: CLIENTS }]);
    await crowd.servedBy('source');
    await eventually(() => expect(crowd.clients.flatMap(textsOf)).toHaveLength(8 * CLIENTS));
  });
});
