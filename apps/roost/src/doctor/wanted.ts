import { networkInterfaces } from 'node:os';
import type { Settings } from '../config/options.ts';
import { allowedCpus, descriptorNeeds } from '@roost/farm/checks';

/** What the host is judged for. */
export interface Wanted {
  readonly connections: number;
  readonly workers: number;
  /** Descriptors that a worker, and the master, needs for them. */
  readonly descriptors: { readonly worker: number; readonly master: number };
  readonly maxConnections: number;
  readonly maxConnectionsPerWorker: number;
  readonly backlog: number;
  /** 0: the kernel tunes it. */
  readonly tcpSendBufferBytes: number;
  readonly isTls: boolean;
  /** Clients come through a proxy on this host. */
  readonly hasLocalProxy: boolean;
}

/** For `connections`, which may be more or fewer than the farm is configured to take. */
export function wantedOf(settings: Settings, connections: number): Wanted {
  const workers = settings.workers ?? allowedCpus().length;
  const { maxConnections, maxConnectionsPerWorker, reservedConnections, backlog, tcpSendBufferBytes } =
    settings;
  return {
    connections,
    workers,
    // As if the farm could take them: that it cannot is a finding of its own.
    descriptors: descriptorNeeds({
      workers,
      maxConnections: connections,
      maxConnectionsPerWorker: Math.max(maxConnectionsPerWorker, Math.ceil(connections / workers)),
      reservedConnections,
    }),
    maxConnections,
    maxConnectionsPerWorker,
    backlog,
    tcpSendBufferBytes,
    isTls: settings['tls.cert'] !== null,
    hasLocalProxy: settings.trustedProxies.some(isOfThisHost),
  };
}

function isOfThisHost(range: string): boolean {
  if (/^127\.|^::1(?:\/128)?$/.test(range)) return true;
  const address = range.replace(/\/(?:32|128)$/, '');
  return Object.values(networkInterfaces()).some((list) => list?.some((own) => own.address === address));
}
