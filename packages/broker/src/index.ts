export { Arena, bytesForIntegers, firstInteger } from './arena.ts';
export type {
  Broker,
  BrokerGap,
  BrokerHandlers,
  BrokerState,
  Publication,
  PublishResult,
  StreamPosition,
  SubscribeOutcome,
  WantedChannels,
} from './broker.ts';
export { MAX_CHANNEL_BYTES } from './channel-name.ts';
export { CHANNEL_EVENT_TYPES } from './channel-store.ts';
export type {
  ChannelCounts,
  ChannelEvent,
  ChannelEvents,
  ChannelEventType,
  ChannelSnapshot,
  ChannelStore,
  ChannelStoreCounters,
  ChannelStoreOptions,
  JoinOptions,
  JoinResult,
  LastEvent,
  Member,
  ReadOptions,
  RecordedEvent,
} from './channel-store.ts';
export { encodeEnvelope, ENVELOPE_MARK, parseEnvelope, wrapPublication } from './envelope.ts';
export type { Envelope, PublicationAttributes, PublicationKind } from './envelope.ts';
export { BrokerError } from './errors.ts';
export type { BrokerErrorCode } from './errors.ts';
export { Fifo } from './fifo.ts';
export { hiddenChannel, isHidden } from './hidden-channel.ts';
export { MemoryBrokerExchange, MemoryBrokerExchange as MemoryBrokerHub } from './memory/exchange.ts';
export type { MemoryBrokerExchangeCounters } from './memory/exchange.ts';
export { InProcessLink } from './memory/in-process-link.ts';
export type { InProcessLinkOptions } from './memory/in-process-link.ts';
export type { LinkLevel } from './memory/link-shares.ts';
export { MAX_NAMES_PER_MESSAGE } from './memory/link.ts';
export type {
  BrokerLink,
  BrokerLinkMessage,
  ExchangePort,
  ExchangeToWorkerMessage,
  WorkerToExchangeMessage,
} from './memory/link.ts';
export { MemoryBroker } from './memory/memory-broker.ts';
export type { MemoryBrokerOptions } from './memory/memory-broker.ts';
export { NameIndex } from './name-index.ts';
export { ownString } from './own-string.ts';
export { ownedCopy } from './owned-copy.ts';
export { REDIS_URL_ALLOWED, redisUrlProblem } from './redis/redis-url.ts';
