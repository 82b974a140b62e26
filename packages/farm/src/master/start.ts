import { readFileSync } from 'node:fs';
import type { Farm } from '../farm.ts';
import type { Log } from '../log.ts';
import { resolveOptions, type FarmOptions } from '../options.ts';
import { allowedCpus } from './cpus.ts';
import { Master } from './master.ts';

/** Descriptors to count with when the limit cannot be read. */
const USUAL_DESCRIPTOR_LIMIT = 1024;

/** See startFarm. */
export async function startMaster(options: FarmOptions): Promise<Farm> {
  const cpus = allowedCpus();
  const config = resolveOptions(options, cpus.length, ownVersion());
  const master = new Master(config, cpus, descriptorLimit(), options.log ?? SILENT);
  await master.start();
  return master;
}

function ownVersion(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  return typeof manifest === 'object' && manifest !== null && 'version' in manifest
    ? String(manifest.version)
    : 'unknown';
}

function descriptorLimit(): number {
  if (process.platform !== 'linux') return USUAL_DESCRIPTOR_LIMIT;
  const limits = readFileSync('/proc/self/limits', 'latin1');
  const soft = Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1]);
  return Number.isInteger(soft) ? soft : USUAL_DESCRIPTOR_LIMIT;
}

function nothing(): void {
  // Without a log the farm is silent.
}

const SILENT: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };
