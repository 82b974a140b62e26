import { readFileSync } from 'node:fs';
import { checkDescriptorLimit, descriptorLimit, descriptorShortage } from '../options/descriptor-limit.ts';
import type { Farm } from '../api/farm.ts';
import type { Log } from '../api/log.ts';
import { resolveOptions, type FarmOptions } from '../options/options.ts';
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
  const master = new Master(config, cpus, limit, log, tls);
  await master.start();
  const shortage = descriptorShortage(config, limit);
  if (shortage !== undefined)
    log.warn(shortage, 'fewer connections fit than are wanted: raise the limit of open files');
  return master;
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
