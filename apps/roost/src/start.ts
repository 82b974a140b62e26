import { randomBytes, randomUUID } from 'node:crypto';
import { statSync } from 'node:fs';
import { FarmError, startFarm } from '@roost/farm';
import type { Farm, Log } from '@roost/farm';
import type { Settings } from './config/options.ts';
import type { ResolvedConfig } from './config/resolve.ts';
import { readTls } from './config/tls.ts';
import { EXIT_CODES } from './exit-codes.ts';
import type { ExitCode } from './exit-codes.ts';
import { farmOptions } from './farm-options.ts';
import { logLastWords } from './last-words.ts';
import { createLog } from './log.ts';
import { isRunByNpm, watchParent } from './parent.ts';
import { printable } from './readable-line.ts';
import { ShutdownSignals } from './signals.ts';
import { startFailure } from './start-failure.ts';

const GENERATED_KEY_BYTES = 24;

/**
 * Runs the server in this process until it has stopped. What prevents its start is one line on stderr; the notices are
 * lines of the log.
 */
export async function startServer(
  { settings, tls, notices }: ResolvedConfig,
  version: string,
): Promise<ExitCode> {
  const log = createLog(settings.logLevel, settings.maxLogBufferBytes);
  logLastWords(log, settings.logFlushMs);
  const problem = settings.app === null ? undefined : fileProblem(settings.app);
  if (problem !== undefined) {
    const sentence = `The application ${printable(settings.app ?? '')} cannot be loaded: ${problem}.\n`;
    log.print('stderr', Buffer.from(sentence));
    return EXIT_CODES.failed.code;
  }
  for (const { level, message } of notices) log[level]({}, message);
  const signals = new ShutdownSignals(log, (farm) => reread(farm, settings, log));
  const unwatch = isRunByNpm(process.env) ? watchParent(() => signals.parentGone()) : undefined;
  const apiKey = settings['api.key'] ?? randomBytes(GENERATED_KEY_BYTES).toString('base64url');
  try {
    const options = farmOptions(settings, { apiKey, tls, farmId: randomUUID(), version, log });
    const farm = await Promise.race([startFarm(options), signals.first]);
    if (farm === undefined) {
      // There is no connection to drain yet, and workers end with the master.
      log.info({}, 'stopped before the farm was ready');
      return EXIT_CODES.stopped.code;
    }
    signals.govern(farm);
    await announce(farm, { settings, apiKey, version, log }).catch(unlessStopped);
    return await untilStopped(farm, signals, log);
  } catch (error) {
    const failure = startFailure(error, settings);
    if (failure === undefined) throw error;
    log.print('stderr', Buffer.from(`${failure.sentence}\n`));
    return failure.exitCode;
  } finally {
    unwatch?.();
    signals.stop();
  }
}

async function announce(
  farm: Farm,
  { settings, apiKey, version, log }: { settings: Settings; apiKey: string; version: string; log: Log },
): Promise<void> {
  const host = urlHost(settings.host);
  const url = `${settings['tls.cert'] === null ? 'http' : 'https'}://${host}:${farm.port}`;
  if (settings.redisUrl === null) {
    log.info({}, 'embedded broker serves: broadcasts stay within this farm');
  }
  if (settings['api.key'] === null) {
    // In $'…' a shell reads \" as ", so that the line can be pasted from the JSON log as well as from a terminal.
    const curl = `curl ${url}/api/publish -H 'X-API-Key: ${apiKey}' -d $'{"channel":"news","data":"hello"}'`;
    log.warn({ curl }, 'no API key is configured: this one lasts until the farm stops');
  }
  const { workers, broker } = await farm.info();
  const facts = {
    port: farm.port,
    host: settings.host,
    url,
    workers: workers.map(({ worker, pid, cpu }) => ({ worker, pid, cpu })),
    broker: broker.kind,
    version,
  };
  const { ready, reasons } = farm.readiness();
  if (!ready) log.warn({ ...facts, reasons }, 'farm started, but is not ready yet');
  void farm.ready.then(() => log.info(facts, 'farm ready'));
}

/** What SIGHUP asks for. Files that cannot be used change nothing. */
function reread(farm: Farm, settings: Settings, log: Log): void {
  try {
    const tls = readTls(settings);
    if (tls === undefined) log.info({ signal: 'SIGHUP' }, 'nothing to re-read: no certificate is configured');
    else farm.reloadTls(tls);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.error({ signal: 'SIGHUP', reason }, 'TLS certificate not re-read: the one in use stays');
  }
}

/** A signal may end the farm before it was announced: that is not a failure. */
function unlessStopped(error: unknown): void {
  if (!(error instanceof FarmError && error.code === 'FARM_ERR_STOPPED')) throw error;
}

async function untilStopped(farm: Farm, signals: ShutdownSignals, log: Log): Promise<ExitCode> {
  try {
    await farm.stopped;
  } catch (error) {
    log.fatal({ err: error }, 'farm failed');
    return EXIT_CODES.failed.code;
  }
  log.info({ forced: signals.isForced }, 'farm stopped');
  return signals.isForced ? EXIT_CODES.forced.code : EXIT_CODES.stopped.code;
}

/** A host that a browser on this machine can open. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

/** Why the path cannot be that of a module; undefined when it can. */
function fileProblem(path: string): string | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return 'there is no such file';
    if (stat.isDirectory()) return 'it is a folder; name the module in it, such as index.js';
    return stat.isFile() ? undefined : 'it is not a file';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
