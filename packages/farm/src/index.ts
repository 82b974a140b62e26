export { isOriginPattern, MAX_ALLOWED_ORIGINS } from './allowed-origins.ts';
export { accept, defineApp, reject } from './app.ts';
export type {
  Acceptance,
  App,
  AppModule,
  Rejection,
  TokenClaims,
  UpgradeDecision,
  UpgradeRequest,
  WorkerContext,
} from './app.ts';
export { channelNameProblem } from './channel-name.ts';
export { CLOSE_CODES, CloseCode } from './close-codes.ts';
export type { Connection } from './connection.ts';
export type { TokenReason } from './counters.ts';
export { FarmError } from './errors.ts';
export type { FarmErrorCode } from './errors.ts';
export type { Farm } from './farm.ts';
export { matchesGlob } from './glob.ts';
export type { ChannelInfo, FarmChannels, FarmInfo, Readiness, WorkerInfo } from './info.ts';
export { LIMITS } from './limits.ts';
export type { LimitName, Limits } from './limits.ts';
export type { Log, LogFields, LogLevel } from './log.ts';
export type { FarmOptions, ProxyProtocol, SlowConsumerPolicy, UncaughtExceptionPolicy } from './options.ts';
export { REDIS_URL_ALLOWED, redisUrlProblem } from './redis-url.ts';
export { startFarm } from './start-farm.ts';
export type { TlsOptions, TlsVersion } from './tls-options.ts';
export { isAddressRange, MAX_TRUSTED_PROXIES } from './trusted-proxies.ts';
