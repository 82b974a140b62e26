import { within } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import type { WorkerInfo } from '../../api/info.ts';
import { LifeEvents } from './life-events.ts';

class Life {
  state: WorkerInfo['state'] = 'starting';
  broker = 'connecting';

  get report() {
    const { broker } = this;
    return {
      connections: 0,
      subscriptions: 0,
      outboundBytes: 0,
      broker: { state: broker, reason: '' },
      counters: {},
    };
  }
}

describe('a life that is waited for', () => {
  it('serves when it is ready and its broker is, too, and everybody hears of it', async () => {
    const events = new LifeEvents();
    const life = new Life();
    const heard: string[] = [];
    const both = Promise.all([1, 2].map(() => events.beginning(life).then(() => heard.push('serves'))));
    life.state = 'ready';
    events.reported(life);
    await Promise.resolve();
    expect(heard).toEqual([]);
    life.broker = 'ready';
    events.reported(life);
    await both;
    expect(heard).toEqual(['serves', 'serves']);
    // One that serves already.
    expect(await events.beginning(life)).toEqual({ isServing: true });
  });

  it('does not serve when it ends before, for the reason that it gave', async () => {
    const events = new LifeEvents();
    const [mute, talking] = [new Life(), new Life()];
    const beginnings = Promise.all([events.beginning(mute), events.beginning(talking)]);
    events.failed(talking, 'Cannot find package');
    events.ended(mute);
    events.ended(talking);
    expect(await beginnings).toEqual([
      { isServing: false, reason: 'it exited before it was ready; see its output' },
      { isServing: false, reason: 'Cannot find package' },
    ]);
  });

  it('has an end, of which everybody hears who waits for it', async () => {
    const events = new LifeEvents();
    const life = new Life();
    const both = Promise.all([events.end(life), events.end(life)]);
    events.ended(life);
    expect(await both).toEqual([undefined, undefined]);
  });

  it('that is over already has ended, and does not serve', async () => {
    const events = new LifeEvents();
    const life = new Life();
    events.failed(life, 'Cannot find package');
    life.state = 'failed';
    events.ended(life);
    await within(events.end(life));
    expect(await within(events.beginning(life))).toEqual({ isServing: false, reason: 'Cannot find package' });
  });
});
