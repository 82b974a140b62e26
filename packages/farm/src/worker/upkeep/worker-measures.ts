import type { Broker } from '@roost/broker';
import type { Counters } from '../../api/counters.ts';
import type { HistogramName, HistogramValues } from '../../api/histograms.ts';
import type { WorkerMeasured } from '../../link/questions.ts';
import { ProcessMeasures } from '../../measures/process-measures.ts';
import type { AppHost } from '../app/app-host.ts';
import type { Broadcaster } from '../fan-out/broadcaster.ts';
import type { Memberships } from '../fan-out/memberships.ts';
import type { Subscriptions } from '../fan-out/subscriptions.ts';
import type { Outbound } from '../outbound/outbound.ts';
import { RowFlag, RowState, type ConnectionTable } from '../rows/connection-table.ts';
import type { InboundBuffer } from '../rows/inbound-buffer.ts';
import type { PollEvents } from '../sockets/poll-events.ts';
import { TcpSampling } from './tcp-sampling.ts';

export interface WorkerMeasuresParts {
  readonly table: ConnectionTable;
  readonly counters: Counters;
  readonly inboundBuffer: InboundBuffer;
  readonly events: PollEvents;
  readonly apps: AppHost;
  readonly broker: Pick<Broker, 'state'>;
  readonly outbound: Outbound;
  readonly subscriptions: Subscriptions;
  readonly memberships: Memberships;
  readonly broadcaster: Broadcaster;
}

/** Names of the states, by their numbers. */
const STATE_NAMES = new Map<number, string>(Object.entries(RowState).map(([name, state]) => [state, name]));

/**
 * What a worker tells when it is asked for its metrics. Nearly all of it was counted while it happened, or is the length of
 * something; only the rows are gone through, which takes less than a nanosecond each.
 */
export class WorkerMeasures {
  readonly #parts: WorkerMeasuresParts;
  readonly #process = new ProcessMeasures();
  readonly #tcp: TcpSampling;

  constructor(parts: WorkerMeasuresParts) {
    this.#parts = parts;
    this.#tcp = new TcpSampling(parts.table);
  }

  read(): WorkerMeasured {
    const { counters, broker, subscriptions, memberships, outbound, broadcaster } = this.#parts;
    const { table, inboundBuffer, events } = this.#parts;
    const rows = this.#countRows();
    const ofProcess = this.#process.read(table.used);
    const [received = 0, sent = 0] = events.poller.movedBytes;
    const tcp = this.#tcp.take(rows.openCount);
    const histograms: Partial<Record<HistogramName, HistogramValues>> = {
      ...ofProcess.histograms,
      broadcast_duration_seconds: broadcaster.duration.values,
      tcp_rtt_seconds: this.#tcp.rtt.values,
    };
    return {
      totals: { ...ofProcess.totals, received_bytes: received, sent_bytes: sent },
      gauges: {
        ...ofProcess.gauges,
        ...tcp,
        subscriptions: subscriptions.count,
        channels: subscriptions.channelCount,
        presence_members: memberships.count,
        presence_channels: memberships.channelCount,
        outbound_queues: outbound.queueCount,
        outbound_queue_bytes: outbound.heldBytes,
        broadcast_queue_bytes: broadcaster.queuedBytes,
        inbound_buffer_bytes: inboundBuffer.usedBytes,
        broker_ready: broker.state === 'ready' ? 1 : 0,
      },
      histograms,
      connections: rows.connections,
      sockets: rows.sockets,
      closes: counters.closes.snapshot(),
    };
  }

  stop(): void {
    this.#process.stop();
  }

  #countRows(): Pick<WorkerMeasured, 'connections' | 'sockets'> & { readonly openCount: number } {
    const { table, apps } = this.#parts;
    const { states, flags, apps: appOf, highWater } = table;
    const byState = new Int32Array(STATE_NAMES.size);
    const byApp = new Int32Array(apps.names.length);
    for (let slot = 0; slot < highWater; slot++) {
      const state = states[slot] ?? RowState.free;
      byState[state] = (byState[state] ?? 0) + 1;
      if (((flags[slot] ?? 0) & RowFlag.open) === 0) continue;
      const app = appOf[slot] ?? 0;
      byApp[app] = (byApp[app] ?? 0) + 1;
    }
    const sockets: Record<string, number> = {};
    for (const [state, name] of STATE_NAMES) {
      if (state !== RowState.free) sockets[name] = byState[state] ?? 0;
    }
    const connections: Record<string, number> = {};
    let openCount = 0;
    for (const [app, name] of apps.names.entries()) {
      if (name === undefined) continue;
      const count = byApp[app] ?? 0;
      openCount += count;
      connections[name] = (connections[name] ?? 0) + count;
    }
    return { sockets, connections, openCount };
  }
}
