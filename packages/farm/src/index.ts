export { isOriginPattern, MAX_ALLOWED_ORIGINS } from './options/allowed-origins.ts';
export { accept, defineApp, reject } from './api/app.ts';
export type {
  Acceptance,
  AcceptOptions,
  App,
  AppModule,
  CloseReplacement,
  DisconnectOptions,
  HookAttachment,
  Rejection,
  MovedFrom,
  ReturnAtOnce,
  Reply,
  TokenClaims,
  UpgradeDecision,
  UpgradeRequest,
  WorkerContext,
} from './api/app.ts';
export type { ChannelPublication, PublicationKind, PublishOptions } from './api/channel-publication.ts';
export { channelNameProblem } from './options/channel-name.ts';
export type {
  ChangeKind,
  ChangeOutcome,
  ChangeReport,
  ChangeStatus,
  FarmChanges,
  LifeInfo,
} from './api/changes.ts';
export type { ChannelEvent, ChannelEvents, ChannelEventType, RecordedEvent } from './api/channel-events.ts';
export { CLOSE_CODES, CloseCode } from './api/close-codes.ts';
export type { Connection, MessageData } from './api/connection.ts';
export { COUNTERS } from './api/counters.ts';
export type { CounterName, TokenReason } from './api/counters.ts';
export { FarmError } from './api/errors.ts';
export type { FarmErrorCode } from './api/errors.ts';
export type { Farm } from './api/farm.ts';
export { HISTOGRAMS } from './api/histograms.ts';
export type { HistogramName, HistogramValues } from './api/histograms.ts';
export { GAUGES, TOTALS } from './api/measures.ts';
export type { GaugeName, TotalName } from './api/measures.ts';
export type { FarmMetrics, ProcessMetrics, WorkerMetrics } from './api/metrics.ts';
export type {
  ChannelMembers,
  ConnectionDetails,
  DisconnectTarget,
  FarmOperations,
  MemberChannel,
  Membership,
  TcpDetails,
} from './api/operations.ts';
export { matchesGlob } from './options/glob.ts';
export type { ChannelInfo, FarmChannels, FarmInfo, Readiness, WorkerInfo } from './api/info.ts';
export type {
  ChannelCounts,
  ChannelSnapshot,
  JoinOutcome,
  JoinRequest,
  LastEvent,
  Member,
} from './api/presence.ts';
export { LIMITS } from './options/limits.ts';
export type { LimitName, Limits } from './options/limits.ts';
export type { Log, LogFields, LogLevel } from './api/log.ts';
export type {
  FarmOptions,
  ProxyProtocol,
  SlowConsumerPolicy,
  UncaughtExceptionPolicy,
} from './options/options.ts';
export { REDIS_URL_ALLOWED, redisUrlProblem } from './options/redis-url.ts';
export { RENAMED_OPTIONS } from './options/renamed.ts';
export { startFarm } from './start-farm.ts';
export type { TlsOptions, TlsVersion } from './api/tls.ts';
export { isAddressRange, MAX_TRUSTED_PROXIES } from './options/trusted-proxies.ts';
