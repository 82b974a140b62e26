import type { Broker } from '@roost/broker';
import { CloseCode } from '../../api/close-codes.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { AppHost } from '../app/app-host.ts';
import type { Broadcaster } from '../fan-out/broadcaster.ts';
import type { Resyncs } from '../fan-out/resyncs.ts';
import type { AddressCounts } from '../master-link/address-counts.ts';
import type { ConnectionTable } from '../rows/connection-table.ts';
import type { Rows } from '../rows/rows.ts';
import type { Timeouts } from '../rows/timeouts.ts';
import type { PollEvents } from '../sockets/poll-events.ts';
import type { Expirations } from './expirations.ts';
import type { Heartbeat } from './heartbeat.ts';

export interface ReleaseParts {
  readonly config: Pick<FarmConfig, 'stopTimeoutMs'>;
  readonly table: ConnectionTable;
  readonly rows: Rows;
  readonly timeouts: Timeouts;
  readonly addresses: AddressCounts;
  readonly events: PollEvents;
  readonly apps: Pick<AppHost, 'stop'>;
  readonly broker: Pick<Broker, 'stop'>;
  readonly broadcaster: Pick<Broadcaster, 'stop'>;
  readonly heartbeat: Heartbeat;
  readonly expirations: Expirations;
  readonly resyncs: Pick<Resyncs, 'stop'>;
  readonly moves: { abandon(): void };
}

/**
 * Ends every row, and everything else that would keep the process, or a test, alive. Applications and the broker together
 * have `stopTimeoutMs`.
 */
export async function releaseParts(parts: ReleaseParts): Promise<void> {
  const { config, table, rows, timeouts, events, apps, broker } = parts;
  parts.heartbeat.stop();
  parts.moves.abandon();
  for (let slot = 0; slot < table.highWater; slot++) rows.end(slot, CloseCode.goingAway, '');
  timeouts.stop();
  parts.expirations.stop();
  parts.resyncs.stop();
  parts.addresses.stop();
  const isLate = waited(config.stopTimeoutMs);
  await Promise.race([apps.stop(), isLate]);
  await Promise.race([broker.stop(), isLate]);
  parts.broadcaster.stop();
  events.poller.destroy();
}

/** Resolves after so many ms, and keeps no process alive for that. */
export function waited(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
