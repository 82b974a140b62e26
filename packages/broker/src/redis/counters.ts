/** What a RedisBroker has seen so far. Totals, for metrics. */
export interface RedisBrokerCounters {
  /** Publications delivered to `brokerOnPublication`. */
  publicationCount: number;
  /** Times that a ready connection, publisher or subscriber, was lost. */
  lostConnectionCount: number;
  /** Gaps reported to `brokerOnGap`. */
  gapCount: number;
  /** Sum of the `channelCount` of those gaps. */
  gapChannelCount: number;
  /** Warnings given to `brokerOnWarning`. */
  warningCount: number;
}
