import type { BrokerLinkMessage } from '@roost/broker';
import { afterEach, describe, expect, it } from 'vitest';
import { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { MasterMessage } from '../../link/messages.ts';
import { Guard } from '../guard.ts';
import { Brokers } from './brokers.ts';

const silent = (): void => undefined;
const LOG: Log = { debug: silent, info: silent, warn: silent, error: silent, fatal: silent };
const running: Brokers[] = [];

afterEach(() => {
  for (const brokers of running.splice(0)) brokers.stop();
});

function make(recordedEvents: readonly 'member_removed'[] = []): Brokers {
  const brokers = new Brokers(
    { recordedEvents, maxRecordedEvents: 10 },
    new Guard(new Counters(), LOG),
    undefined,
  );
  running.push(brokers);
  return brokers;
}

/** A worker as its master sees it, which keeps what it is told. */
class SeenWorker {
  readonly id: number;
  state: 'ready' | 'failed' | 'starting' = 'ready';
  readonly bufferedBytes = 0;
  readonly maxBufferedBytes = 1_000_000;
  readonly reaps: string[] = [];
  readonly brokerMessages: BrokerLinkMessage[] = [];

  constructor(id: number) {
    this.id = id;
  }

  send(message: MasterMessage): void {
    if (message.type === 'reap') this.reaps.push(message.owner);
  }

  offer(message: MasterMessage): boolean {
    if (message.type === 'broker') this.brokerMessages.push(message.message);
    return true;
  }
}

describe('what a dead worker had in channels of Redis', () => {
  it('is removed by another that is ready, by the name that it had last', () => {
    const brokers = make();
    const workers = [new SeenWorker(0), new SeenWorker(1), new SeenWorker(2)] as const;
    for (const worker of workers) brokers.workerStarted(worker);
    brokers.workerSaid(workers[0], { type: 'owner', owner: 'first' });
    brokers.workerSaid(workers[0], { type: 'owner', owner: 'second' });
    workers[0].state = 'failed';
    workers[1].state = 'starting';
    brokers.workerEnded(workers[0], workers);
    expect(workers.map(({ reaps }) => reaps)).toEqual([[], [], ['second']]);
    // Told once, and its successor has no name yet.
    brokers.workerReady(workers[1]);
    brokers.workerEnded(workers[0], workers);
    expect(workers.map(({ reaps }) => reaps)).toEqual([[], [], ['second']]);
  });

  it('is removed by its successor where there is no other', () => {
    const brokers = make();
    const worker = new SeenWorker(0);
    for (const owner of ['one', 'two']) {
      brokers.workerStarted(worker);
      worker.state = 'ready';
      brokers.workerReady(worker);
      brokers.workerSaid(worker, { type: 'owner', owner });
      worker.state = 'failed';
      brokers.workerEnded(worker, [worker]);
    }
    worker.state = 'ready';
    brokers.workerReady(worker);
    expect(worker.reaps).toEqual(['one', 'two']);
  });
});

describe('the embedded broker', () => {
  it('has the members of a dead worker leave, and records that', async () => {
    const brokers = make(['member_removed']);
    const [dead, other] = [new SeenWorker(0), new SeenWorker(1)];
    for (const worker of [dead, other]) brokers.workerStarted(worker);
    brokers.workerSaid(dead, {
      type: 'broker',
      message: {
        type: 'step',
        id: 1,
        step: {
          what: 'join',
          channel: 'room',
          member: { user: 'ada', info: '' },
          options: { maxMembers: 1, mark: false, lastEvent: false },
        },
      },
    });
    brokers.workerSaid(other, { type: 'broker', message: { type: 'subscribe', channels: ['room'] } });
    brokers.workerEnded(dead, [dead, other]);
    expect(other.brokerMessages.map(({ type }) => type)).toEqual(['subscribed', 'publication']);
    expect(await brokers.events?.take(1)).toMatchObject([
      { type: 'member_removed', channel: 'room', user: 'ada' },
    ]);
  });

  it('has no events where nothing is recorded', () => {
    expect(make().events).toBeUndefined();
  });
});
