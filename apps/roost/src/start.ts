import { randomBytes, randomUUID } from 'node:crypto';
import { FarmError, startFarm } from '@roost/farm';
import type { Farm, Log } from '@roost/farm';
import { checkOptions } from '@roost/farm/checks';
import type { AdminListener } from './admin/listener.ts';
import { openAdmin } from './admin/open-admin.ts';
import { appFileProblem } from './app-file.ts';
import type { Settings } from './config/options.ts';
import type { ResolvedConfig } from './config/resolve.ts';
import { warnOfHost } from './doctor/start-warnings.ts';
import { openControl } from './control/open-control.ts';
import type { ControlServer } from './control/control-server.ts';
import { reloadAll } from './reload-all.ts';
import { EXIT_CODES } from './exit-codes.ts';
import type { ExitCode } from './exit-codes.ts';
import { farmOptions } from './farm-options.ts';
import { logLastWords } from './last-words.ts';
import { createLog } from './log.ts';
import { optimiseLater } from './optimise-later.ts';
import { ADMIN_TOKEN_OF_DEV, endsWithParent, isStartedByDev, watchParent } from './parent.ts';
import { printable } from './readable-line.ts';
import { ShutdownSignals } from './signals.ts';
import { startFailure } from './start-failure.ts';
import type { Webhooks } from './webhooks/start-webhooks.ts';

const GENERATED_KEY_BYTES = 24;

/**
 * Runs the server in this process until it has stopped. What prevents its start is one line on stderr; the notices are
 * lines of the log.
 */
export async function startServer(config: ResolvedConfig, version: string): Promise<ExitCode> {
  const { settings, tls, notices } = config;
  optimiseLater();
  const log = createLog(settings.logLevel, settings.maxLogBufferBytes);
  logLastWords(log, settings.logFlushMs);
  const problem = settings.app === null ? undefined : appFileProblem(settings.app);
  if (problem !== undefined) {
    const sentence = `The application ${printable(settings.app ?? '')} cannot be loaded: ${problem}.\n`;
    log.print('stderr', Buffer.from(sentence));
    return EXIT_CODES.failed.code;
  }
  for (const { level, message } of notices) log[level]({}, message);
  const signals = new ShutdownSignals(log, (farm) => reloadAll(farm, settings, log));
  const unwatch = endsWithParent(process.env) ? watchParent(() => signals.parentGone()) : undefined;
  const apiKey = settings['api.key'] ?? randomBytes(GENERATED_KEY_BYTES).toString('base64url');
  let admin: AdminListener | undefined;
  let control: ControlServer | undefined;
  try {
    const options = farmOptions(settings, { apiKey, tls, farmId: randomUUID(), version, log });
    // Nothing listens for options with which no farm would start.
    checkOptions(options);
    admin = await openAdmin(config, log, process.env[ADMIN_TOKEN_OF_DEV]);
    control = await openControl(config, process.env, log);
    const farm = await Promise.race([startFarm(options), signals.first]);
    if (farm === undefined) {
      // There is no connection to drain yet, and workers end with the master.
      log.info({}, 'stopped before the farm was ready');
      return EXIT_CODES.stopped.code;
    }
    const webhooks = await webhooksOf(farm, settings, log);
    signals.govern(farm);
    admin?.serve(farm, webhooks);
    control?.serve(farm);
    await announce(farm, { settings, apiKey, version, log }).catch(unlessStopped);
    // A machine that is developed on is not judged.
    if (!isStartedByDev(process.env)) warnOfHost(config, log);
    const exitCode = await untilStopped(farm, signals, log);
    // A second signal is in a hurry.
    if (!signals.isForced) await webhooks?.stop();
    return exitCode;
  } catch (error) {
    const failure = startFailure(error, settings);
    if (failure === undefined) throw error;
    log.print('stderr', Buffer.from(`${failure.sentence}\n`));
    return failure.exitCode;
  } finally {
    unwatch?.();
    signals.stop();
    await Promise.all([admin?.close(), control?.close()]);
  }
}

/** What sends webhooks is loaded only where there are any. */
async function webhooksOf(farm: Farm, settings: Settings, log: Log): Promise<Webhooks | undefined> {
  if (farm.channelEvents === undefined) return undefined;
  const { startWebhooks } = await import('./webhooks/start-webhooks.ts');
  return startWebhooks(farm, settings, log);
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
