import { readFileSync } from 'node:fs';
import type { ChannelEvents } from '../api/channel-events.ts';
import { checkDescriptorLimit, descriptorLimit, descriptorShortage } from '../options/descriptor-limit.ts';
import type { Farm } from '../api/farm.ts';
import type { Log } from '../api/log.ts';
import { resolveOptions, type FarmConfig, type FarmOptions } from '../options/options.ts';
import { allowedCpus } from './workers/cpus.ts';
import { Master } from './master.ts';
import { TlsKeeper } from './tls-keeper.ts';

/** See startFarm. */
export async function startMaster(options: FarmOptions): Promise<Farm> {
  const cpus = allowedCpus();
  const config = resolveOptions(options, cpus.length, ownVersion());
  const log = options.log ?? SILENT;
  const limit = descriptorLimit();
  checkDescriptorLimit(config, limit);
  const tls = new TlsKeeper(options.tls, log);
  const master = new Master(config, cpus, limit, log, tls, await redisEvents(config, log));
  await master.start();
  const shortage = descriptorShortage(config, limit);
  if (shortage !== undefined)
    log.warn(shortage, 'fewer connections fit than are wanted: raise the limit of open files');
  return master;
}

/** What is recorded in Redis. Without anything recorded the master needs no client of Redis. */
async function redisEvents(
  { redisUrl, redisPrefix: prefix, recordedEvents }: FarmConfig,
  log: Log,
): Promise<ChannelEvents | undefined> {
  if (redisUrl === null || recordedEvents.length === 0) return undefined;
  const { RedisEvents } = await import('@roost/broker/redis');
  return new RedisEvents({
    url: redisUrl,
    prefix,
    onWarning: (reason) => log.warn({ reason }, 'recorded events warning'),
  });
}

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}

function nothing(): void {
  // Without a log the farm is silent.
}

const SILENT: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };
