import { Arena, MemoryBroker, type Broker } from '@roost/broker';
import type { RedisBroker } from '@roost/broker/redis';
import { MessageDeflater, MessageInflater } from '@roost/websocket';
import { Counters } from '../api/counters.ts';
import type { Log } from '../api/log.ts';
import type { ConnectionIdSecret } from '../link/connection-id-secret.ts';
import type { Link } from '../link/link.ts';
import type { MasterMessage, WorkerMessage } from '../link/messages.ts';
import type { TlsCredentials } from '../link/tls-credentials.ts';
import { AllowedOrigins } from '../options/allowed-origins.ts';
import type { FarmConfig } from '../options/options.ts';
import { TrustedProxies } from '../options/trusted-proxies.ts';
import { AppHost } from './app/app-host.ts';
import { Connections } from './connections.ts';
import { Broadcaster } from './fan-out/broadcaster.ts';
import { BrokerEvents } from './fan-out/broker-events.ts';
import { ChannelKnowledge } from './fan-out/channel-knowledge.ts';
import { CpuLease } from './fan-out/cpu-lease.ts';
import { Hub } from './fan-out/hub.ts';
import { Joins } from './fan-out/joins.ts';
import { Memberships } from './fan-out/memberships.ts';
import { Occupancy } from './fan-out/occupancy.ts';
import { Resyncs } from './fan-out/resyncs.ts';
import { Subscriptions } from './fan-out/subscriptions.ts';
import { UserCommands } from './fan-out/user-commands.ts';
import { Users } from './fan-out/users.ts';
import { AddressCounts } from './master-link/address-counts.ts';
import { CountedRows } from './master-link/counted-rows.ts';
import { LinkLog } from './master-link/link-log.ts';
import { ReleaseReports } from './master-link/release-reports.ts';
import { Moves } from './moving/moves.ts';
import { MoveTotals } from './moving/totals.ts';
import { Outbound } from './outbound/outbound.ts';
import { RowEvents } from './row-events.ts';

import { Attachments } from './rows/attachments.ts';
import { Clock } from './rows/clock.ts';
import { ConnectionIds } from './rows/connection-ids.ts';
import { ConnectionTable, RowState } from './rows/connection-table.ts';
import { Deadlines } from './rows/deadlines.ts';
import { Draining } from './rows/draining.ts';
import { InboundBuffer } from './rows/inbound-buffer.ts';
import { MessageRate } from './rows/message-rate.ts';
import { PendingWork } from './rows/pending-work.ts';
import { Rows } from './rows/rows.ts';
import { Sessions } from './rows/sessions.ts';
import type { RowOwner } from './rows/row-owner.ts';
import { Timeouts } from './rows/timeouts.ts';
import { Adoption } from './sockets/adoption.ts';
import { DescriptorStreams, type Streams } from './sockets/descriptor-streams.ts';
import { PollEvents } from './sockets/poll-events.ts';
import { SocketOwner } from './sockets/socket-owner.ts';
import type { Sockets } from './sockets/sockets.ts';
import type { TlsStreams } from './sockets/tls/tls-streams.ts';
import { Answering } from './states/answering.ts';
import { Awake } from './states/awake.ts';
import { Closing } from './states/closing.ts';
import { Deciding } from './states/deciding.ts';
import { Ending } from './states/ending.ts';
import { Handshake } from './states/handshake.ts';
import { Http } from './states/http.ts';
import { Open } from './states/open.ts';
import { Leaving } from './states/leaving.ts';
import { PartialFrames } from './states/partial-frames.ts';
import { PlainHandshakes } from './states/plain-handshakes.ts';
import { Preface } from './states/preface.ts';
import { Refusing } from './states/refusing.ts';
import type { Securing } from './states/securing.ts';
import type { State } from './states/state.ts';
import { UpgradeGuards } from './states/upgrade-guards.ts';
import { Upgrading } from './states/upgrading.ts';
import { Collection } from './upkeep/collection.ts';
import { ControlMessages } from './upkeep/control-messages.ts';
import type { DrainParts } from './upkeep/drain.ts';
import { Expirations } from './upkeep/expirations.ts';
import { Heartbeat } from './upkeep/heartbeat.ts';
import type { OperationsParts } from './upkeep/operations.ts';
import type { WorkerMeasuresParts } from './upkeep/worker-measures.ts';

/** Parts that are loaded only where the configuration asks for them: ioredis, node:tls and what needs them are large. */
export interface LoadedParts {
  readonly Redis?: typeof RedisBroker | undefined;
  readonly Tls?: { readonly TlsStreams: typeof TlsStreams; readonly Securing: typeof Securing } | undefined;
}

export interface AssembleOptions {
  readonly config: FarmConfig;
  readonly link: Link<MasterMessage, WorkerMessage>;
  /** Rows of the table. */
  readonly rowCount: number;
  /** What the port speaks TLS with; null when it does not. */
  readonly tls: TlsCredentials | null;
  readonly sharesCpu: boolean;
  readonly ids: ConnectionIdSecret;
  readonly poisonSlab: boolean;
  readonly loaded: LoadedParts;
  /** The state of the broker has changed. */
  readonly onBrokerState: () => void;
}

/** The parts that a worker itself uses. */
export interface Assembled extends DrainParts, WorkerMeasuresParts, OperationsParts {
  readonly config: FarmConfig;
  readonly counters: Counters;
  readonly connections: Connections;
  readonly inboundBuffer: InboundBuffer;
  readonly log: Log;
  readonly draining: Draining;
  readonly timeouts: Timeouts;
  readonly addresses: AddressCounts;
  readonly events: PollEvents;
  readonly tls: TlsStreams | undefined;
  readonly apps: AppHost;
  readonly outbound: Outbound;
  readonly broker: Broker;
  /** The same broker, when it is the embedded one. */
  readonly memoryBroker: MemoryBroker | undefined;
  readonly lease: CpuLease;
  readonly subscriptions: Subscriptions;
  readonly userCommands: UserCommands;
  readonly broadcaster: Broadcaster;
  readonly resyncs: Resyncs;
  readonly heartbeat: Heartbeat;
  readonly expirations: Expirations;
  readonly collection: Collection;
  readonly moves: Moves;
  /** From here on sockets are received, through the worker's end of the descriptor socket pair. */
  adopt(descriptors: number): void;
}

/**
 * Puts a worker together, floor by floor. Each floor hands all of its parts up, and each part picks what its `…Parts` names.
 * What a part reports upward goes to the handlers that it is connected to at the end.
 */
export function assemble(options: AssembleOptions): Assembled {
  const { config, link, tls: credentials, sharesCpu, poisonSlab, loaded } = options;

  // Rows
  const counters = new Counters();
  const table = new ConnectionTable(options.rowCount);
  const { capacity } = table;
  const arena = new Arena();
  const clock = new Clock();
  const timeouts = makeTimeouts(config, capacity);
  const rows = new Rows(table, counters);
  const inboundBuffer = new InboundBuffer({ capacity, maxBytes: config.maxInboundBytesPerWorker });
  const ground = {
    config,
    counters,
    log: new LinkLog(link, counters),
    table,
    ids: new ConnectionIds(options.ids),
    rows,
    clock,
    timeouts,
    inboundBuffer,
    draining: new Draining(),
    attachments: new Attachments(),
    arena,
    pendingWork: new PendingWork(table),
    sessions: new Sessions({ table, arena }),
    deadlines: new Deadlines(table, clock),
    messageRate: makeMessageRate(config, capacity),
    trustedProxies: new TrustedProxies(config.trustedProxies),
    allowedOrigins: new AllowedOrigins(config.allowedOrigins),
  };

  // The master, the sockets, the applications
  const addresses = new AddressCounts(config, link);
  const countedRows = new CountedRows(table, addresses);
  const releaseReports = new ReleaseReports(link, table);
  const events = new PollEvents(table, clock, { poisonSlab });
  const { poller } = events;
  const tls =
    credentials === null || loaded.Tls === undefined
      ? undefined
      : new loaded.Tls.TlsStreams({ ...ground, poller }, credentials, { poison: poisonSlab });
  const sockets: Sockets = tls ?? poller;
  const streams: Streams = tls ?? new DescriptorStreams(table, poller);
  const apps = new AppHost(ground);
  const first = { ...ground, countedRows, events, sockets, streams, apps };

  // Bytes and publications to clients
  const inflater = new MessageInflater({ maxMessageBytes: config.maxMessageBytes });
  const deflater = new MessageDeflater({ level: config.compressionLevel });
  const outbound = new Outbound({ ...first, deflater });
  const hub = new Hub(table.firstSubscriptions, arena);
  const brokerEvents = new BrokerEvents(counters, ground.log);
  const broker = makeBroker(options, brokerEvents, hub);
  const subscriptions = new Subscriptions({ ...first, hub, broker });
  const { store } = broker;
  const knowledge = new ChannelKnowledge({
    timeoutMs: config.subscribeTimeoutMs,
    isUsed: (channel) => hub.has(channel),
    isBehind: (channel) => hub.isRetained(channel),
  });
  const memberships = new Memberships({ ...ground, hub, store });
  const occupancy = new Occupancy({ ...first, store });
  const joins = new Joins({ ...first, subscriptions, knowledge, memberships, store, outbound });
  const { lanes } = apps;
  const resyncs = new Resyncs({ ...first, lanes, knowledge, memberships, store });
  const users = new Users({ ...ground, occupancy });
  const userCommands = new UserCommands({ ...first, broker });
  const lease = new CpuLease(link, counters, sharesCpu ? config.broadcastTurnMs : 0);
  const broadcaster = new Broadcaster({
    ...first,
    lanes,
    outbound,
    deflater,
    hub,
    broker,
    subscriptions,
    lease,
    knowledge,
    resyncs,
  });
  const second = { ...first, inflater, outbound, subscriptions, users, memberships, joins };

  // The states of a row, from its end to its beginning
  const ending = new Ending(second);
  const refusing = new Refusing({ ...second, ending });
  const closing = new Closing({ ...second, ending });
  const partialFrames = new PartialFrames(inboundBuffer, timeouts);
  const awake = new Awake({ ...second, partialFrames, closing, ending });
  const open = new Open({ ...second, partialFrames, awake, closing, ending });
  const plainHandshakes = new PlainHandshakes(config);
  const answering = new Answering({ ...second, plainHandshakes, refusing });
  const guards = new UpgradeGuards(second);
  const upgrading = new Upgrading({ ...second, refusing, next: { open, closing } });
  const deciding = new Deciding({ ...second, guards, answering, refusing, upgrading });
  const http = new Http({ ...second, ending });
  const handshake = new Handshake({ ...second, refusing, http, plainHandshakes, deciding });
  const securing =
    tls === undefined || loaded.Tls === undefined
      ? undefined
      : new loaded.Tls.Securing({ ...second, streams: tls, refusing });
  const next =
    securing === undefined
      ? { state: RowState.handshake, part: handshake }
      : { state: RowState.securing, part: securing };
  const preface = new Preface({ ...second, next });
  const byState: State[] = [];
  byState[RowState.preface] = preface;
  if (securing !== undefined) byState[RowState.securing] = securing;
  byState[RowState.handshake] = handshake;
  byState[RowState.upgrading] = upgrading;
  byState[RowState.http] = http;
  byState[RowState.refusing] = refusing;
  byState[RowState.open] = open;
  byState[RowState.awake] = awake;
  byState[RowState.closing] = closing;

  // A row whatever its state, and what looks after all of them
  const leaving = new Leaving(second);
  byState[RowState.leaving] = leaving;
  const connections = new Connections({ ...second, awake, closing, leaving });
  const rowEvents = new RowEvents({ ...second, preface, states: byState, ending, connections });
  const heartbeat = new Heartbeat({ ...second, broadcaster });
  const expirations = new Expirations({ ...second, connections });
  const collection = new Collection({ counters, awake, inboundBuffer });
  const controlMessages = new ControlMessages({ ...second, connections });
  const moves = new Moves({
    ...second,
    link,
    broker,
    occupancy,
    broadcaster,
    resyncs,
    partialFrames,
    awake,
    leaving,
    http,
    connections,
    controlMessages,
    totals: new MoveTotals(),
  });

  const { attachments, sessions, messageRate } = ground;
  const socketOwner = new SocketOwner(table, poller, sockets);
  const owners: (RowOwner | undefined)[] = [
    moves,
    timeouts,
    awake,
    ending,
    subscriptions,
    outbound,
    inboundBuffer,
  ];
  owners.push(
    attachments,
    sessions,
    users,
    leaving,
    ground.pendingWork,
    messageRate,
    upgrading,
    http,
    securing,
    countedRows,
    releaseReports,
    socketOwner,
  );
  const onPair = (move: number, fd: number): void => moves.pair(move, fd);
  rows.connect(
    owners.filter((owner) => owner !== undefined),
    connections,
  );
  timeouts.connect(rowEvents);
  events.connect(rowEvents);
  if (securing !== undefined) tls?.connect(rowEvents, securing);
  subscriptions.connect({ memberships, occupancy, knowledge, joins });
  resyncs.connect((channel, now) => broadcaster.resync(channel, now));
  apps.connect(connections);
  outbound.connect(rowEvents);
  http.connect({ httpOnUpgrade: (slot, bytes) => handshake.receive(slot, bytes, 0, bytes.length) });
  brokerEvents.connect({
    broadcaster,
    subscriptions,
    resyncs,
    moves,
    onState: options.onBrokerState,
    onControl: (message) => controlMessages.receive(message),
  });

  return {
    ...second,
    addresses,
    tls,
    broker,
    memoryBroker: broker instanceof MemoryBroker ? broker : undefined,
    lease,
    resyncs,
    userCommands,
    broadcaster,
    http,
    connections,
    heartbeat,
    expirations,
    collection,
    moves,
    adopt: (descriptors) =>
      events.adopt(new Adoption({ ...first, handlers: rowEvents, onPair }, descriptors)),
  };
}

function makeTimeouts(config: FarmConfig, capacity: number): Timeouts {
  return new Timeouts(capacity, {
    handshake: config.handshakeTimeoutMs,
    upgrade: config.upgradeTimeoutMs,
    message: config.messageTimeoutMs,
    quiet: config.quietMs,
    closing: config.closeTimeoutMs,
    http: config.httpRequestTimeoutMs,
  });
}

function makeMessageRate(
  { messageRate, messageBurst }: FarmConfig,
  capacity: number,
): MessageRate | undefined {
  if (messageRate === 0) return undefined;
  return new MessageRate(capacity, messageRate, messageBurst === 0 ? messageRate : messageBurst);
}

function makeBroker({ config, link, loaded }: AssembleOptions, handlers: BrokerEvents, wanted: Hub): Broker {
  const { subscribeTimeoutMs, recordedEvents: recorded, maxRecordedEvents: maxEvents } = config;
  if (loaded.Redis !== undefined) {
    const { redisUrl, redisPrefix: prefix, presenceLeaseMs: leaseMs } = config;
    const onOwner = (owner: string): void => void link.sendUrgent({ type: 'owner', owner });
    const channelStore = { recorded, maxEvents, leaseMs, onOwner };
    return new loaded.Redis({
      url: redisUrl ?? '',
      prefix,
      handlers,
      wanted,
      subscribeTimeoutMs,
      channelStore,
    });
  }
  return new MemoryBroker({
    handlers,
    wanted,
    link: {
      send: (message) => link.send({ type: 'broker', message }) === 'sent',
      setReading: (isReading) => link.setReading(isReading),
    },
    subscribeTimeoutMs,
    maxInFlightBytes: config.maxWorkerLinkBytes,
    channelStore: { recorded },
  });
}
