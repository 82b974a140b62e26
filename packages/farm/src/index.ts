export { isOriginPattern, MAX_ALLOWED_ORIGINS } from './options/allowed-origins.ts';
export { accept, defineApp, reject } from './api/app.ts';
export type {
  Acceptance,
  App,
  AppModule,
  Rejection,
  TokenClaims,
  UpgradeDecision,
  UpgradeRequest,
  WorkerContext,
} from './api/app.ts';
export { channelNameProblem } from './options/channel-name.ts';
export { CLOSE_CODES, CloseCode } from './api/close-codes.ts';
export type { Connection } from './api/connection.ts';
export type { TokenReason } from './api/counters.ts';
export { FarmError } from './api/errors.ts';
export type { FarmErrorCode } from './api/errors.ts';
export type { Farm } from './api/farm.ts';
export { matchesGlob } from './options/glob.ts';
export type { ChannelInfo, FarmChannels, FarmInfo, Readiness, WorkerInfo } from './api/info.ts';
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
