import { describe, expect, it } from 'vitest';
import { Counters } from '../../api/counters.ts';
import { BrokerEvents } from './broker-events.ts';

const nothing = (): void => {};
const LOG = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };

describe('what a broker reports', () => {
  it('counts a reconnection when it is ready after it was away, not the first connection', () => {
    const counters = new Counters();
    const events = new BrokerEvents(counters, LOG);
    events.connect({
      broadcaster: { publish: nothing },
      subscriptions: { markGaps: nothing, markGapOf: nothing },
      resyncs: { missed: nothing },
      moves: { publication: nothing, control: nothing, mark: nothing, missed: nothing },
      onControl: nothing,
      onState: nothing,
    });
    const counts = (['connecting', 'ready', 'away', 'away', 'ready', 'ready', 'stopped'] as const).map(
      (state) => {
        events.brokerOnState(state, 'as it is');
        return counters.get('broker_reconnects');
      },
    );
    expect(counts).toEqual([0, 0, 0, 0, 1, 1, 1]);
  });
});
