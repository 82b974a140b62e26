import { afterEach, describe, expect, it } from 'vitest';
import { accept } from '../../api/app.ts';
import { poll } from '../fixtures/worker-harness.ts';
import { CLIENTS, Crowd, goesOn, textsOf } from './fixtures/crowd.ts';
import { DescriptorShortage } from './fixtures/descriptor-shortage.ts';

let crowd: Crowd;
let shortage: DescriptorShortage | undefined;

afterEach(async () => {
  shortage?.end();
  shortage = undefined;
  await crowd.end();
});

describe('a target at its limit of descriptors', () => {
  it('takes as many sockets as it gets, and says so: the others go on where they were', async () => {
    crowd = await Crowd.start();
    const { rig } = crowd;
    rig.begin();
    await crowd.stopAt('source', 'batch');
    crowd.publish();
    // What the relay has let go of is free, so this comes behind it; and before the target has read it.
    rig.fromSource.go();
    shortage = new DescriptorShortage(3);
    expect(await rig.ended()).toMatchObject([{ reason: 'full', moved: 3, left: CLIENTS - 3 }, { moved: 3 }]);
    shortage.end();
    await crowd.servedBy('target', crowd.clients.slice(0, 3));
    await poll(() => crowd.clients.map((client) => textsOf(client).length)).toEqual([8, 8, 8, 6, 6]);
    for (const client of crowd.clients.slice(3)) await goesOn(client, 'source');
    expect([crowd.told('source'), crowd.told('target')]).toEqual([{ open: CLIENTS }, { moved: 3 }]);
    expect([crowd.totalOf('source'), crowd.totalOf('target')]).toEqual([3, 3]);
    expect(await rig.source.count('move_refused_full')).toBe(1);
    const reports = await Promise.all([rig.source.report(), rig.target.report()]);
    expect(reports.map(({ connections }) => connections)).toEqual([CLIENTS - 3, 3]);
  });

  it('that gets none of them takes none', async () => {
    crowd = await Crowd.start();
    const { rig } = crowd;
    rig.begin();
    await crowd.stopAt('source', 'batch');
    rig.fromSource.go();
    shortage = new DescriptorShortage(0);
    expect(await rig.ended()).toMatchObject([{ reason: 'full', moved: 0, left: CLIENTS }, { moved: 0 }]);
    shortage.end();
    await crowd.servedBy('source');
    expect(crowd.told('source')).toEqual({ open: CLIENTS });
  });

  it('gets what the application did meanwhile', async () => {
    crowd = await Crowd.start();
    const { rig } = crowd;
    rig.begin();
    await crowd.stopAt('target', 'taken');
    for (const connection of crowd.connections.source) connection.send('late');
    rig.fromTarget.go();
    await crowd.stopAt('source', 'tail');
    rig.fromSource.go();
    shortage = new DescriptorShortage(0);
    expect(await rig.ended()).toMatchObject([{ moved: CLIENTS, left: 0 }, { moved: CLIENTS }]);
    shortage.end();
    for (const client of crowd.clients) {
      await goesOn(client, 'target');
      expect(textsOf(client)).toEqual(['late', 'target begun', 'target more']);
    }
  });
});

describe('a source at its limit of descriptors', () => {
  it('hears which rows the target has not taken: they go on where they were', async () => {
    crowd = await Crowd.start({
      sourceApp: {
        name: 'other',
        upgrade: () => accept(),
        message: (connection, data) => void connection.send(`source ${String(data)}`),
      },
    });
    const { rig } = crowd;
    const other = await crowd.add('/other');
    rig.begin();
    await crowd.stopAt('target', 'taken');
    rig.fromTarget.go();
    shortage = new DescriptorShortage(0);
    // The next batch is the one that the target does not know: nothing moves any more.
    expect(await rig.ended()).toMatchObject([{ moved: CLIENTS, left: 1 }, { moved: CLIENTS }]);
    shortage.end();
    await goesOn(other, 'source');
    await crowd.servedBy('target', crowd.clients.slice(0, CLIENTS));
  });
});
