import { createHash } from 'node:crypto';
import { extname } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FarmOptions, LimitName, Log, TlsOptions } from '@roost/farm';
import { LIMIT_NAMES } from './config/options.ts';
import type { Settings } from './config/options.ts';
import { pusherOptions } from './config/pusher.ts';
import { tokenOptions } from './config/tokens.ts';
import { recordedTypes } from './webhooks/recorded-types.ts';
import type { WorkerOptions } from './worker/options.ts';

/** What a start knows beyond its settings. */
export interface StartFacts {
  readonly apiKey: string;
  readonly tls: TlsOptions | undefined;
  readonly farmId: string;
  readonly version: string;
  readonly log: Log;
}

/** The settings in the words of the engine. */
export function farmOptions(settings: Settings, facts: StartFacts): FarmOptions {
  const { app, workers, redisUrl } = settings;
  const { tls } = facts;
  const limits: Partial<Record<LimitName, number>> = {};
  for (const name of LIMIT_NAMES) limits[name] = settings[name];
  const pusher = pusherOptions(settings);
  const appOptions: WorkerOptions = {
    farmId: facts.farmId,
    userApp: app === null ? null : pathToFileURL(app).href,
    plain: { clientPublish: settings['plain.clientPublish'] },
    api: {
      keyDigest: createHash('sha256').update(facts.apiKey).digest('hex'),
      maxBodyBytes: settings['api.maxBodyBytes'],
      maxBroadcastChannels: settings['api.maxBroadcastChannels'],
    },
    tokens: tokenOptions(settings),
    pusher,
  };
  return {
    ...limits,
    // .ts when it runs from src/, .js when it runs from dist/.
    app: new URL(`./worker/app${extname(import.meta.url)}`, import.meta.url),
    appOptions,
    host: settings.host,
    port: settings.port,
    ...(workers === null ? {} : { workers }),
    ...(redisUrl === null ? {} : { redisUrl }),
    ...(tls === undefined ? {} : { tls }),
    redisPrefix: settings.redisPrefix,
    recordedEvents: recordedTypes(pusher?.apps ?? []),
    slowConsumerPolicy: settings.slowConsumerPolicy,
    trustedProxies: settings.trustedProxies,
    proxyProtocol: settings.proxyProtocol,
    allowedOrigins: settings.allowedOrigins,
    compression: settings.compression === 'on',
    borrowMessages: settings.borrowMessages,
    uncaughtException: settings.uncaughtException,
    version: facts.version,
    log: facts.log,
  };
}
