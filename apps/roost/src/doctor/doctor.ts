import type { FarmOptions } from '@roost/farm';
import { inspectRedis } from '@roost/farm/checks';
import type { ResolvedConfig } from '../config/resolve.ts';
import { EXIT_CODES, type ExitCode } from '../exit-codes.ts';
import { checkedOptions } from '../checked-options.ts';
import { HOST_CHECKS } from './checks/host-checks.ts';
import { PROBE_CHECKS } from './checks/probe-checks.ts';
import { REDIS_CHECKS } from './checks/redis-checks.ts';
import { probeAdminPort } from './facts/admin-port.ts';
import { readHostFacts } from './facts/host-facts.ts';
import { probe } from './facts/probes.ts';
import { judgeAll, type NamedFinding } from './finding.ts';
import { reportAsJson, reportAsText, tally, type Report } from './report.ts';
import { wantedOf } from './wanted.ts';

export interface DoctorOptions {
  /** Undefined: as many as the farm is configured to take. */
  readonly connections: number | undefined;
  readonly isJson: boolean;
  readonly hasColours: boolean;
  print(text: string): void;
}

/**
 * Looks at this host, and at the Redis that is configured, and prints what they lack for so many connections. Changes nothing.
 * Throws a ConfigError for options with which a farm would not start.
 */
export async function runDoctor(config: ResolvedConfig, options: DoctorOptions): Promise<ExitCode> {
  const report = await examine(config, options.connections ?? config.settings.maxConnections);
  options.print(options.isJson ? reportAsJson(report) : reportAsText(report, options));
  return tally(report).fail > 0 ? EXIT_CODES.unsupported.code : EXIT_CODES.stopped.code;
}

async function examine(config: ResolvedConfig, connections: number): Promise<Report> {
  const { settings, origins } = config;
  const wanted = wantedOf(settings, connections);
  const farm = checkedOptions(config);
  const probes = await probe(farm);
  const { host, port, 'admin.host': adminHost, 'admin.port': adminPort } = settings;
  const admin = adminPort === 'off' ? undefined : await probeAdminPort(adminHost, adminPort);
  const isAdminPortAskedFor = origins.get('admin.port') !== 'default';
  return {
    connections,
    workers: wanted.workers,
    findings: [
      ...judgeAll(PROBE_CHECKS, { host, port, probes, admin, isAdminPortAskedFor }),
      ...judgeAll(HOST_CHECKS, { wanted, host: readHostFacts() }),
      ...(await ofRedis(farm, wanted.workers)),
    ],
  };
}

async function ofRedis(farm: FarmOptions, workers: number): Promise<NamedFinding[]> {
  const { redisUrl: url, redisPrefix: prefix, recordedEvents = [] } = farm;
  if (url === undefined) return [];
  const redis = await inspectRedis({ url, ...(prefix !== undefined && { prefix }) });
  return judgeAll(REDIS_CHECKS, {
    redis,
    user: userIn(url),
    workers,
    recordsEvents: recordedEvents.length > 0,
  });
}

/** Percent-encoded in every form of the URL; `default` where it names nobody. */
function userIn(url: string): string {
  const user = /^[a-z+]+:\/\/([^:@/]*)(?::[^@/]*)?@/i.exec(url)?.[1] ?? '';
  return user === '' ? 'default' : decodeURIComponent(user);
}
