import type { Broker } from '@roost/broker';
import type { Poller } from '@roost/poller';
import type { AllowedOrigins } from '../options/allowed-origins.ts';
import type { MessageDeflater, MessageInflater } from '@roost/websocket';
import type { Counters } from '../api/counters.ts';
import type { Log } from '../api/log.ts';
import type { FarmConfig } from '../options/options.ts';
import type { TrustedProxies } from '../options/trusted-proxies.ts';
import type { AddressCounts } from './master-link/address-counts.ts';
import type { AppHost } from './app/app-host.ts';
import type { AwakeConnections } from './states/awake.ts';
import type { CpuLease } from './fan-out/cpu-lease.ts';
import type { Broadcaster } from './fan-out/broadcaster.ts';
import type { Clock } from './rows/clock.ts';
import type { ConnectionTable } from './rows/connection-table.ts';
import type { InboundBuffer } from './rows/inbound-buffer.ts';
import type { Expirations } from './upkeep/expirations.ts';
import type { Handshakes } from './states/handshake.ts';
import type { HttpConnections } from './states/http.ts';
import type { Hub } from './fan-out/hub.ts';
import type { Inbound } from './states/open.ts';
import type { Lifecycle } from './states/closing.ts';
import type { MessageRate } from './rows/message-rate.ts';
import type { Outbound } from './outbound/outbound.ts';
import type { Preface } from './states/preface.ts';
import type { Sockets } from './sockets/sockets.ts';
import type { Subscriptions } from './fan-out/subscriptions.ts';
import type { Timeouts } from './rows/timeouts.ts';
import type { TlsConnections } from './sockets/tls/tls-streams.ts';

/**
 * The parts of one worker, put together by worker.ts. Each part keeps this object and reaches its neighbours through
 * it at call time, for they need each other in circles: a message may close, a close may flush, a flush may wake.
 */
export interface Core {
  readonly config: FarmConfig;
  readonly log: Log;
  readonly counters: Counters;
  readonly poller: Poller;
  /** The poller, unless something stands between it and the rows. */
  readonly sockets: Sockets;
  /** What stands there when the port speaks TLS. */
  readonly tls: TlsConnections | undefined;
  readonly table: ConnectionTable;
  readonly timeouts: Timeouts;
  /** Which addresses the rows are counted for. */
  readonly addresses: AddressCounts;
  /** Request heads and frames that have not fully arrived; counts the fragments that ws holds as well. */
  readonly inboundBuffer: InboundBuffer;
  /** For all connections that agreed on compression; empty until the first message. */
  readonly inflater: MessageInflater;
  readonly deflater: MessageDeflater;
  readonly hub: Hub;
  readonly broker: Broker;
  readonly apps: AppHost;
  readonly trustedProxies: TrustedProxies;
  readonly allowedOrigins: AllowedOrigins;
  readonly preface: Preface;
  readonly handshakes: Handshakes;
  readonly http: HttpConnections;
  readonly inbound: Inbound;
  readonly awake: AwakeConnections;
  /** Undefined without a limit. */
  readonly messageRate: MessageRate | undefined;
  readonly outbound: Outbound;
  readonly lease: CpuLease;
  readonly broadcaster: Broadcaster;
  readonly subscriptions: Subscriptions;
  readonly lifecycle: Lifecycle;
  readonly clock: Clock;
  readonly expirations: Expirations;
  /** True from the moment the farm drains: upgrades are refused. */
  isDraining: boolean;
  /** A row has been given back: the master is to learn of it soon. */
  noteReleased(): void;
}
