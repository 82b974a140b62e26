import type { ChannelStoreCounters } from '@roost/broker';
import type { CounterName } from '../../api/counters.ts';

/** What the channel store has counted, by the farm's names. */
export function storeCounts(counters: ChannelStoreCounters): Partial<Record<CounterName, number>> {
  return {
    store_errors: counters.errorCount,
    store_leases_lost: counters.lostLeaseCount,
    store_owners_reaped: counters.reapedOwnerCount,
    recorded_events_dropped: counters.droppedEventCount,
  };
}
