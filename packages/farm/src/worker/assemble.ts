import { AllowedOrigins } from '../options/allowed-origins.ts';
import { MessageDeflater, MessageInflater } from '@roost/websocket';
import { TrustedProxies } from '../options/trusted-proxies.ts';
import { AppHost } from './app/app-host.ts';
import { AwakeConnections } from './states/awake.ts';
import { Broadcaster } from './fan-out/broadcaster.ts';
import { Clock } from './rows/clock.ts';
import { InboundBuffer } from './rows/inbound-buffer.ts';
import type { Core } from './core.ts';
import { Expirations } from './upkeep/expirations.ts';
import { Handshakes } from './states/handshake.ts';
import { HttpConnections } from './states/http.ts';
import { Inbound } from './states/open.ts';
import { Lifecycle } from './states/closing.ts';
import { MessageRate } from './rows/message-rate.ts';
import { Outbound } from './outbound/outbound.ts';
import { Preface } from './states/preface.ts';
import { Subscriptions } from './fan-out/subscriptions.ts';
import { Timeouts } from './rows/timeouts.ts';
import type { TlsConnections } from './sockets/tls/tls-streams.ts';

/** What a {@link Core} is built from. */
type Foundation = Pick<
  Core,
  | 'config'
  | 'log'
  | 'counters'
  | 'poller'
  | 'table'
  | 'addresses'
  | 'hub'
  | 'broker'
  | 'lease'
  | 'noteReleased'
>;

/** Builds the parts of a worker upon what they all share; `makeTls` is left out where the port does not speak TLS. */
export function assemble(foundation: Foundation, makeTls?: (core: Core) => TlsConnections): Core {
  const { config, table } = foundation;
  const parts: Partial<Mutable<Core>> & Foundation = { ...foundation, clock: new Clock(), isDraining: false };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the parts only keep this object; none reads more than the foundation before it is complete.
  const core = parts as Core;
  parts.timeouts = new Timeouts(
    table.capacity,
    {
      handshake: config.handshakeTimeoutMs,
      upgrade: config.upgradeTimeoutMs,
      message: config.messageTimeoutMs,
      quiet: config.quietMs,
      closing: config.closeTimeoutMs,
      http: config.httpRequestTimeoutMs,
    },
    (slot, kind) => core.lifecycle.expired(slot, kind),
  );
  parts.inboundBuffer = new InboundBuffer({
    capacity: table.capacity,
    maxBytes: config.maxInboundBytesPerWorker,
  });
  parts.inflater = new MessageInflater({ maxMessageBytes: config.maxMessageBytes });
  parts.deflater = new MessageDeflater({ level: config.compressionLevel });
  const { messageRate, messageBurst } = config;
  parts.messageRate =
    messageRate === 0
      ? undefined
      : new MessageRate(table.capacity, messageRate, messageBurst === 0 ? messageRate : messageBurst);
  parts.apps = new AppHost(core);
  parts.trustedProxies = new TrustedProxies(config.trustedProxies);
  parts.allowedOrigins = new AllowedOrigins(config.allowedOrigins);
  parts.preface = new Preface(core);
  parts.handshakes = new Handshakes(core);
  parts.http = new HttpConnections(core);
  parts.inbound = new Inbound(core);
  parts.awake = new AwakeConnections(core);
  parts.outbound = new Outbound(core);
  parts.broadcaster = new Broadcaster(core);
  parts.subscriptions = new Subscriptions(core);
  parts.tls = makeTls?.(core);
  parts.sockets = parts.tls ?? foundation.poller;
  parts.lifecycle = new Lifecycle(core);
  parts.expirations = new Expirations(core);
  return core;
}

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };
