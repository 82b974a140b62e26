import type { Redis } from 'ioredis';
import type {
  Broker,
  BrokerHandlers,
  BrokerState,
  PublishResult,
  SubscribeOutcome,
  WantedChannels,
} from '../broker.ts';
import { invalidChannel } from '../channel-name.ts';
import { BrokerError } from '../errors.ts';
import { ownedCopy } from '../owned-copy.ts';
import { SubscriptionTable } from '../subscription-table.ts';
import { ChannelRequests } from './channel-requests.ts';
import { RedisConnection } from './connection/connection.ts';
import { explainFailure, isReplyError } from './failure.ts';
import { forgetSubscriptions } from './forget-subscriptions.ts';
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

/** What a RedisBroker has seen so far. Totals, for metrics. */
export interface RedisBrokerCounters {
  /** Publications delivered to `brokerOnPublication`. */
  publicationCount: number;
  /** Times that a ready connection, publisher or subscriber, was lost. */
  lostConnectionCount: number;
  /** Gaps reported to `brokerOnGap`. */
  gapCount: number;
  /** Sum of the `channelCount` of those gaps. */
  gapChannelCount: number;
  /** Warnings given to `brokerOnWarning`. */
  warningCount: number;
}

/**
 * Carries publications over Redis pub/sub: all brokers on the same Redis with the same prefix
 * receive each other's publications, and those of any program that can PUBLISH.
 *
 * Keys, with the default prefix (payloads are raw bytes, without an envelope):
 *
 * ```
 * PUBLISH roost:channel:news hello      a publication to channel "news"
 * PUBLISH roost:control <bytes>         a control message to every broker
 * roost:probe:<uuid>                    private: this broker receives its own messages here
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
 * With ACLs the user needs `+subscribe`, `+unsubscribe`, `+publish`, `+info` and `&<prefix>*`. docs/guide/broadcasting.md
 * describes what happens without one of them.
 */
export class RedisBroker implements Broker {
  readonly counters: RedisBrokerCounters = {
    publicationCount: 0,
    lostConnectionCount: 0,
    gapCount: 0,
    gapChannelCount: 0,
    warningCount: 0,
  };
  readonly #handlers: BrokerHandlers;
  readonly #wanted: WantedChannels;
  readonly #config: RedisBrokerConfig;
  readonly #publisherConnection: RedisConnection;
  readonly #subscriberConnection: RedisConnection;
  readonly #publisher: Publisher;
  readonly #table: SubscriptionTable;
  readonly #requests: ChannelRequests;
  readonly #probe: SilenceProbe;
  readonly #roleWatch: RoleWatch;
  /** What has been warned of, by kind. */
  readonly #warned = new Map<Shortcoming['kind'], string>();
  readonly #channelPrefix: string;
  readonly #channelPrefixBytes: number;
  readonly #ownKeys: OwnKeys;
  #state: BrokerState = 'connecting';
  #stateReason: string;
  #started: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  #onFirstOutcome: (() => void) | undefined;
  #isRestored = false;
  #wasRestored = false;
  #gapSince: number | undefined;
  #gapReason = '';

  constructor(options: RedisBrokerOptions) {
    const config = resolveOptions(options);
    this.#handlers = options.handlers;
    this.#wanted = options.wanted;
    this.#config = config;
    this.#stateReason = `Connecting to Redis at ${config.shownUrl}.`;
    this.#channelPrefix = `${config.prefix}channel:`;
    this.#channelPrefixBytes = Buffer.byteLength(this.#channelPrefix);
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

  start(): Promise<void> {
    this.#started ??= new Promise((resolve) => {
      if (this.#state === 'stopped') {
        resolve();
        return;
      }
      this.#onFirstOutcome = resolve;
      this.#gapSince = performance.now();
      this.#gapReason = this.#stateReason;
      this.#publisherConnection.start();
      this.#subscriberConnection.start();
    });
    return this.#started;
  }

  publish(channel: string, payload: Uint8Array): Promise<PublishResult> {
    const invalid = invalidChannel(channel);
    if (invalid !== undefined) return Promise.reject(invalid);
    if (this.#state === 'stopped' || this.#publisherConnection.client === undefined) {
      return Promise.reject(
        new BrokerError(
          'BROKER_UNAVAILABLE',
          `Publishing to channel ${JSON.stringify(channel)} failed, nothing was sent: ${this.#stateReason}`,
        ),
      );
    }
    return this.#publisher.publish(channel, this.#channelPrefix + channel, payload);
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
    const isDrained = await this.#publisher.drain();
    this.#publisher.stop();
    await Promise.all([subscriberStopped, this.#publisherConnection.stop(isDrained)]);
  }

  #onReady(connection: RedisConnection, client: Redis): void {
    if (connection === this.#subscriberConnection) {
      client.on('messageBuffer', (key: Buffer, message: Buffer) => this.#onMessage(key, message));
      this.#probe.start();
      void this.#subscribeOwnKeys(client);
    } else this.#roleWatch.start(client);
    this.#refreshState();
  }

  /** Control messages and the probe come first; with them answered, the channels follow. */
  async #subscribeOwnKeys(client: Redis): Promise<void> {
    try {
      await this.#ownKeys.subscribe(client);
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
      this.#isRestored = false;
      // The cause of the gap is what happened first, not how the attempts to reconnect ended.
      if (this.#gapSince === undefined || !this.#wasRestored) this.#gapReason = connection.reason;
      if (wasReady) {
        // Not from now: what Redis sent since the last sign of life may have been lost on the way.
        this.#gapSince ??= this.#probe.heardAt;
        this.#probe.stop();
        this.#table.down();
      }
    } else this.#roleWatch.stop();
    this.#refreshState();
  }

  #onRestored(restoredCount: number): void {
    this.#isRestored = true;
    const since = this.#gapSince;
    const isWorthTelling = this.#wasRestored || restoredCount > 0;
    this.#wasRestored = true;
    this.#gapSince = undefined;
    this.#refreshState();
    if (since === undefined || !isWorthTelling) return;
    this.#tellGap(restoredCount, Math.ceil(performance.now() - since), this.#gapReason);
  }

  #tellGap(channelCount: number, sinceMs: number, reason: string): void {
    this.counters.gapCount += 1;
    this.counters.gapChannelCount += channelCount;
    this.#handlers.brokerOnGap({ channelCount, sinceMs, reason });
  }

  #onMessage(key: Buffer, message: Buffer): void {
    this.#probe.signOfLife();
    if (key.equals(this.#ownKeys.control)) {
      this.#handlers.brokerOnControl(ownedCopy(message));
      return;
    }
    if (key.equals(this.#ownKeys.probe)) return;
    const channel = key.toString('utf8', this.#channelPrefixBytes);
    if (!this.#wanted.has(channel)) return;
    this.counters.publicationCount += 1;
    this.#handlers.brokerOnPublication({ channel, payload: ownedCopy(message) });
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

  /** The same warning is given once. */
  #warn({ kind, reason }: Shortcoming): void {
    if (this.#state === 'stopped' || this.#warned.get(kind) === reason) return;
    this.#warned.set(kind, reason);
    this.counters.warningCount += 1;
    this.#handlers.brokerOnWarning(reason);
  }

  /** It is the master no longer: since it said last that it is, publications may have gone elsewhere. */
  #onFailover(reason: string): void {
    if (this.#gapSince === undefined) {
      this.#gapSince = Math.min(this.#probe.heardAt, this.#roleWatch.masterAt);
      this.#gapReason = reason;
    }
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
    if (publisher.client !== undefined && this.#isRestored) {
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
