import type { Redis } from 'ioredis';
import type { Broker, BrokerHandlers, BrokerState, PublishResult, SubscribeOutcome } from '../broker.ts';
import { invalidChannel } from '../channel-name.ts';
import { wrapPublication, type PublicationAttributes } from '../envelope.ts';
import { WorkerStore } from '../channel-store/worker-store.ts';
import { BrokerError } from '../errors.ts';
import { receiverName } from '../receiver-name.ts';
import { SubscriptionTable } from '../subscription-table.ts';
import { RedisWire } from './channel-store/redis-wire.ts';
import { ChannelRequests } from './channel-requests.ts';
import { Continuity } from './continuity.ts';
import { RedisConnection } from './connection/connection.ts';
import type { RedisBrokerCounters } from './counters.ts';
import { explainFailure, isReplyError } from './failure.ts';
import { forgetSubscriptions } from './forget-subscriptions.ts';
import { Incoming } from './incoming.ts';
import { Marks } from './marks.ts';
import { roleUnknown } from './connection/handshake.ts';
import type { Shortcoming } from './connection/handshake.ts';
import { resolveOptions } from './options.ts';
import type { RedisBrokerConfig, RedisBrokerOptions } from './options.ts';
import { OwnKeys } from './own-keys.ts';
import { Publisher } from './publisher.ts';
import { roleProblem } from './connection/role.ts';
import { RoleWatch } from './role-watch.ts';
import { SilenceProbe } from './silence-probe.ts';

/** Most channel names in one SUBSCRIBE: up to 130 KB in one command, answered in one go. */
const MAX_NAMES_PER_COMMAND = 512;

/**
 * Carries publications over Redis pub/sub: all brokers on the same Redis with the same prefix
 * receive each other's publications, and those of any program that can PUBLISH.
 *
 * Keys, with the default prefix:
 *
 * ```
 * PUBLISH roost:channel:news hello      a publication to channel "news": raw bytes, or an envelope (see encodeEnvelope)
 * PUBLISH roost:control <bytes>         a control message to every broker
 * roost:probe:<uuid>                    private: this broker receives its own messages here
 * roost:mark:<uuid>                     its marks: see Broker.mark
 * ```
 *
 * Two connections: one publishes, one is subscribed (to channels with local subscribers only). An idle
 * subscription is probed with a message to itself, which proves the whole way through PUBLISH and the
 * subscription, where a PING would prove only that a server answers. When it does not return, both
 * connections are renewed. An error is a sign of life, too: a user that may not publish the probe is probed by
 * PING instead. Publishing needs the publisher connection only, so it may succeed while the state is `away`
 * because of the subscriber.
 *
 * A replica counts as no Redis: it answers publishes that reach no other server. Each connection asks for the
 * role when it is made, and the publisher's is asked again every `roleIntervalMs`, so that a failover that cuts no
 * connection is noticed.
 *
 * RESP2 rather than RESP3: 2.2 µs of CPU per message instead of 2.3 (200 bytes, ioredis 6, Node 20, three runs
 * each), no HELLO that an old server or a proxy may not know, and the subscriber needs none of the commands
 * that RESP3 would allow on it.
 *
 * docs/guide/broadcasting.md names the rights that a user needs, and what happens without one of them.
 */
export class RedisBroker implements Broker {
  readonly counters: RedisBrokerCounters = {
    publicationCount: 0,
    lostConnectionCount: 0,
    gapCount: 0,
    gapChannelCount: 0,
    warningCount: 0,
  };
  readonly store: WorkerStore;
  readonly #handlers: BrokerHandlers;
  readonly #config: RedisBrokerConfig;
  readonly #publisherConnection: RedisConnection;
  readonly #subscriberConnection: RedisConnection;
  readonly #publisher: Publisher;
  readonly #wire: RedisWire;
  readonly #table: SubscriptionTable;
  readonly #requests: ChannelRequests;
  readonly #probe: SilenceProbe;
  readonly #roleWatch: RoleWatch;
  /** What has been warned of, by kind. */
  readonly #warned = new Map<Shortcoming['kind'], string>();
  readonly #channelPrefix: string;
  readonly #ownKeys: OwnKeys;
  readonly #marks: Marks;
  readonly #incoming: Incoming;
  readonly #continuity = new Continuity();
  #state: BrokerState = 'connecting';
  #stateReason: string;
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #onFirstOutcome: (() => void) | undefined;

  constructor(options: RedisBrokerOptions) {
    const config = resolveOptions(options);
    this.#handlers = options.handlers;
    this.#config = config;
    this.#stateReason = `Connecting to Redis at ${config.shownUrl}.`;
    this.#channelPrefix = `${config.prefix}channel:`;
    this.#ownKeys = new OwnKeys({ ...config, onShortcoming: (shortcoming) => this.#warn(shortcoming) });
    const owner = {
      connectionOnReady: (connection: RedisConnection, client: Redis) => this.#onReady(connection, client),
      connectionOnLost: (connection: RedisConnection, wasReady: boolean) =>
        this.#onLost(connection, wasReady),
      connectionOnShortcoming: (shortcoming: Shortcoming) => this.#warn(shortcoming),
    };
    this.#publisherConnection = new RedisConnection('publisher', config, owner);
    this.#subscriberConnection = new RedisConnection('subscriber', config, owner);
    this.#publisher = new Publisher(this.#publisherConnection, config);
    this.#marks = new Marks({
      ...config,
      subscriber: this.#subscriberConnection,
      publisher: this.#publisher,
      onShortcoming: (shortcoming) => this.#warn(shortcoming),
    });
    this.#incoming = new Incoming({
      ...config,
      ownKeys: this.#ownKeys,
      marks: this.#marks,
      wanted: options.wanted,
      handlers: options.handlers,
      counters: this.counters,
      epoch: () => this.epoch,
    });
    this.#wire = new RedisWire({
      ...options.channelStore,
      ...config,
      publisher: this.#publisher,
      onShortcoming: (shortcoming) => this.#warn(shortcoming),
    });
    this.store = new WorkerStore(this.#wire);
    this.#table = new SubscriptionTable(
      {
        maxNames: MAX_NAMES_PER_COMMAND,
        requestSubscribe: (channels) => this.#requests.subscribe(channels),
        requestUnsubscribe: (channels) => this.#requests.unsubscribe(channels),
        wireOnRestored: (restoredCount) => this.#onRestored(restoredCount),
      },
      { ...config, wanted: options.wanted },
    );
    this.#requests = new ChannelRequests(this.#subscriberConnection, {
      channelPrefix: this.#channelPrefix,
      shownUrl: config.shownUrl,
      onConfirmed: (channels) => {
        this.#probe.signOfLife();
        this.#table.confirm(channels);
      },
      onRefused: (channel, reason) => this.#onRefused(channel, reason),
      onAnswered: () => this.#table.answered(),
      onShortcoming: (shortcoming) => this.#warn(shortcoming),
    });
    this.#probe = new SilenceProbe({
      intervalMs: config.probeIntervalMs,
      timeoutMs: config.probeTimeoutMs,
      send: () => this.#sendProbe(),
      onSilent: (silentMs) => this.#onSilent(silentMs),
    });
    this.#roleWatch = new RoleWatch({
      intervalMs: config.roleIntervalMs,
      timeoutMs: config.probeTimeoutMs,
      onOther: (role) => this.#onFailover(roleProblem(config.shownUrl, role) ?? ''),
      onDenied: (error) => this.#warn(roleUnknown(config.shownUrl, error)),
      onSilent: () =>
        this.#publisherConnection.reset(
          `Redis at ${config.shownUrl} did not say within ${config.probeTimeoutMs} ms whether it is the master.`,
        ),
    });
  }

  get state(): BrokerState {
    return this.#state;
  }

  get stateReason(): string {
    return this.#stateReason;
  }

  get epoch(): number {
    return this.#continuity.epoch;
  }

  get server(): string | undefined {
    const { server } = this.#subscriberConnection;
    const isKnown = this.#state === 'ready' && this.#marks.isHeard;
    return isKnown && server === this.#publisherConnection.server ? server : undefined;
  }

  get markAddress(): string {
    return this.#marks.address;
  }

  start(): Promise<void> {
    this.#started ??= new Promise((resolve) => {
      if (this.#state === 'stopped') {
        resolve();
        return;
      }
      this.#onFirstOutcome = resolve;
      this.#continuity.begin(this.#stateReason);
      this.#publisherConnection.start();
      this.#subscriberConnection.start();
    });
    return this.#started;
  }

  publish(channel: string, payload: Uint8Array, attributes?: PublicationAttributes): Promise<PublishResult> {
    const invalid = invalidChannel(channel);
    if (invalid !== undefined) return Promise.reject(invalid);
    return this.#publish(channel, this.#channelPrefix + channel, wrapPublication(payload, attributes));
  }

  async control(message: Uint8Array): Promise<void> {
    await this.#publish(undefined, this.#ownKeys.control, message);
  }

  watchMarks(address: string): Promise<() => void> {
    return this.#state === 'stopped' ? this.#unavailable('Watching marks') : this.#marks.watch(address);
  }

  async mark(address: string, id: number): Promise<void> {
    // Steps of the store may have to be sent twice; all else is in the order of the connection.
    if (this.store.publishCount > 0) await this.store.published();
    if (this.#state === 'stopped') await this.#unavailable('Publishing a mark');
    await this.#marks.send(address, id);
  }

  subscribe(channel: string): Promise<SubscribeOutcome> {
    return this.#table.subscribe(channel);
  }

  isConfirmed(channel: string): boolean {
    return this.#table.isConfirmed(channel);
  }

  unsubscribe(channel: string): void {
    this.#table.unsubscribe(channel);
  }

  setReading(isReading: boolean): void {
    if (this.#state === 'stopped') return;
    this.#probe.setReading(isReading);
    this.#subscriberConnection.setReading(isReading);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.setReading(true);
    this.#setState('stopped', 'The broker is stopped.');
    this.#table.stop();
    this.#probe.stop();
    this.#roleWatch.stop();
    const subscriberStopped = this.#subscriberConnection.stop(true);
    await this.store.stop();
    const isDrained = await this.#publisher.drain();
    this.#publisher.stop();
    await Promise.all([subscriberStopped, this.#publisherConnection.stop(isDrained)]);
  }

  #onReady(connection: RedisConnection, client: Redis): void {
    if (connection === this.#subscriberConnection) {
      client.on('messageBuffer', (key: Buffer, message: Buffer) => {
        this.#probe.signOfLife();
        this.#incoming.onMessage(key, message);
      });
      this.#probe.start();
      void this.#subscribeOwnKeys(client);
    } else {
      this.#roleWatch.start(client);
      this.#wire.connected();
    }
    this.#refreshState();
  }

  /** Control messages, the probe and marks come first; with them answered, the channels follow. */
  async #subscribeOwnKeys(client: Redis): Promise<void> {
    try {
      await Promise.all([this.#ownKeys.subscribe(client), this.#marks.subscribe(client)]);
    } catch (error) {
      // Anything else than a reply is the end of the connection, which is reported elsewhere.
      if (isReplyError(error) && this.#isCurrent(client)) {
        this.#subscriberConnection.reset(explainFailure(this.#config.shownUrl, error));
      }
      return;
    }
    if (!this.#isCurrent(client)) return;
    forgetSubscriptions(client);
    this.#table.up();
  }

  #onLost(connection: RedisConnection, wasReady: boolean): void {
    if (wasReady) this.counters.lostConnectionCount += 1;
    if (connection === this.#subscriberConnection) {
      this.#continuity.lost(connection.reason, wasReady ? this.#probe.heardAt : undefined);
      if (wasReady) {
        this.#probe.stop();
        this.#table.down();
      }
    } else {
      this.#roleWatch.stop();
      this.#wire.disconnected();
    }
    this.#refreshState();
  }

  #onRestored(restoredCount: number): void {
    const interruption = this.#continuity.restored(restoredCount);
    this.#refreshState();
    if (interruption === undefined) return;
    this.#tellGap(restoredCount, interruption.sinceMs, interruption.reason);
  }

  #tellGap(channelCount: number, sinceMs: number, reason: string): void {
    this.counters.gapCount += 1;
    this.counters.gapChannelCount += channelCount;
    this.#handlers.brokerOnGap({ channelCount, sinceMs, reason });
  }

  /** A control message has no channel. */
  #publish(channel: string | undefined, key: string | Buffer, message: Uint8Array): Promise<PublishResult> {
    if (this.#state !== 'stopped' && this.#publisherConnection.client !== undefined) {
      return this.#publisher.publish(channel, key, message);
    }
    return this.#unavailable(`Publishing to ${receiverName(channel)}`);
  }

  #unavailable(doing: string): Promise<never> {
    const reason = `${doing} failed, nothing was sent: ${this.#stateReason}`;
    return Promise.reject(new BrokerError('BROKER_UNAVAILABLE', reason));
  }

  #onRefused(channel: string, reason: string): void {
    // Permissions changed while it was away: no call waits for an answer, but a subscriber needs it.
    if (this.#table.refuse(channel, new BrokerError('BROKER_REFUSED', reason))) this.#tellGap(1, 0, reason);
  }

  #sendProbe(): boolean {
    const { client } = this.#publisherConnection;
    if (client === undefined) return false;
    void this.#ownKeys.sendProbe(client, this.#subscriberConnection.client, () => this.#probe.signOfLife());
    return true;
  }

  /** The same warning is given once, unless it may recur. */
  #warn({ kind, reason, mayRecur }: Shortcoming): void {
    if (this.#state === 'stopped' || (mayRecur !== true && this.#warned.get(kind) === reason)) return;
    this.#warned.set(kind, reason);
    this.counters.warningCount += 1;
    this.#handlers.brokerOnWarning(reason);
  }

  /** It is the master no longer: since it said last that it is, publications may have gone elsewhere. */
  #onFailover(reason: string): void {
    this.#continuity.doubt(reason, Math.min(this.#probe.heardAt, this.#roleWatch.masterAt));
    this.#subscriberConnection.reset(reason);
    this.#publisherConnection.reset(reason);
  }

  #onSilent(silentMs: number): void {
    const reason = `Redis at ${this.#config.shownUrl} was silent for ${Math.round(silentMs)} ms and did not return a probe within ${this.#config.probeTimeoutMs} ms.`;
    this.#subscriberConnection.reset(reason);
    this.#publisherConnection.reset(reason);
  }

  #isCurrent(client: Redis): boolean {
    return this.#subscriberConnection.client === client;
  }

  #refreshState(): void {
    if (this.#state === 'stopped') return;
    const { shownUrl } = this.#config;
    const subscriber = this.#subscriberConnection;
    const publisher = this.#publisherConnection;
    if (publisher.client !== undefined && this.#continuity.isWhole) {
      this.#setState('ready', `Connected to Redis at ${shownUrl}.`);
      return;
    }
    const failure = (subscriber.client === undefined && subscriber.reason) || publisher.reason;
    if (subscriber.client !== undefined && publisher.client !== undefined) {
      if (this.#state === 'away') {
        this.#setState('away', `Redis at ${shownUrl} is back, and channels are being subscribed again.`);
      }
    } else if (failure !== '') this.#setState('away', failure);
  }

  #setState(state: BrokerState, reason: string): void {
    if (state === this.#state && reason === this.#stateReason) return;
    this.#state = state;
    this.#stateReason = reason;
    if (state !== 'connecting') this.#onFirstOutcome?.();
    this.#handlers.brokerOnState(state, reason);
  }
}
