import type {
  Broker,
  BrokerHandlers,
  BrokerState,
  PublishResult,
  SubscribeOutcome,
  WantedChannels,
} from '../broker.ts';
import { invalidChannel } from '../channel-name.ts';
import type { ChannelStoreOptions } from '../channel-store.ts';
import { WorkerStore } from '../channel-store/worker-store.ts';
import { wrapPublication, type PublicationAttributes } from '../envelope.ts';
import { BrokerError } from '../errors.ts';
import { checkMarkId } from '../mark-id.ts';
import { ownedCopy } from '../owned-copy.ts';
import { receivedPublication } from '../received-publication.ts';
import { receiverName } from '../receiver-name.ts';
import { SUBSCRIBE_TIMEOUT_MS, SubscriptionTable, UNSUBSCRIBE_LINGER_MS } from '../subscription-table.ts';
import { MAX_NAMES_PER_MESSAGE } from './link.ts';
import type { BrokerLink, BrokerLinkMessage, WorkerToExchangeMessage } from './link.ts';
import { checkAddress, MemoryMarks } from './memory-marks.ts';
import { MemoryWire } from './memory-wire.ts';
import { PublishesUnderWay } from './publishes-under-way.ts';

export interface MemoryBrokerOptions {
  readonly handlers: BrokerHandlers;
  readonly wanted: WantedChannels;
  /** The way to the exchange. */
  readonly link: BrokerLink;
  /** How long `subscribe` waits for the exchange's answer, in ms. Default 5,000. */
  readonly subscribeTimeoutMs?: number;
  /** How long a subscription outlives its last local subscriber, in ms. Default 2,000. */
  readonly unsubscribeLingerMs?: number;
  /**
   * Most bytes of publishes that the exchange has not acknowledged yet; one counts its payload plus
   * 896 bytes. Beyond, `publish` rejects with `BROKER_OVERLOADED`; one larger payload may go alone.
   * Default 16 MiB.
   */
  readonly maxInFlightBytes?: number;
  /**
   * When the exchange acknowledges no publish for this many ms while some are under way, they are given up with
   * `BROKER_OUTCOME_UNKNOWN`. Default 5,000.
   */
  readonly publishTimeoutMs?: number;
  /** Of {@link Broker.store}. What is recorded is for the exchange to know, too. */
  readonly channelStore?: ChannelStoreOptions;
}

/** Default of `maxInFlightBytes`. */
const MAX_IN_FLIGHT_BYTES = 16 * 1024 * 1024;
/** Default of `publishTimeoutMs`. */
const PUBLISH_TIMEOUT_MS = 5_000;

/**
 * The embedded broker of one worker. Everything it publishes goes to the exchange in the master and returns
 * from there, so that all workers of the farm see one order.
 *
 * `publish` resolves when the exchange has given the publication its place in that order, so a later publication
 * through another worker does not overtake it. `BROKER_OUTCOME_UNKNOWN`: the exchange did not acknowledge it within
 * `publishTimeoutMs`, or until the broker was stopped. `ready` from `start` to `stop`.
 */
export class MemoryBroker implements Broker {
  readonly store: WorkerStore;
  readonly #handlers: BrokerHandlers;
  readonly #wanted: WantedChannels;
  readonly #link: BrokerLink;
  readonly #table: SubscriptionTable;
  readonly #underWay: PublishesUnderWay;
  readonly #maxInFlightBytes: number;
  readonly #wire: MemoryWire;
  readonly #marks: MemoryMarks;
  #epoch = 1;
  #stopped: Promise<void> | undefined;
  #state: BrokerState = 'connecting';
  #stateReason = 'The embedded broker is not started.';

  constructor(options: MemoryBrokerOptions) {
    this.#handlers = options.handlers;
    this.#wanted = options.wanted;
    this.#link = options.link;
    const link = this.#link;
    this.#marks = new MemoryMarks(link);
    this.#maxInFlightBytes = options.maxInFlightBytes ?? MAX_IN_FLIGHT_BYTES;
    const timeoutMs = options.publishTimeoutMs ?? PUBLISH_TIMEOUT_MS;
    this.#underWay = new PublishesUnderWay({ maxBytes: this.#maxInFlightBytes, timeoutMs });
    const { recorded = [] } = options.channelStore ?? {};
    this.#wire = new MemoryWire({ link, timeoutMs, recorded, owner: this.#marks.address });
    this.store = new WorkerStore(this.#wire);
    this.#table = new SubscriptionTable(
      {
        maxNames: MAX_NAMES_PER_MESSAGE,
        requestSubscribe: (channels) => link.send({ type: 'subscribe', channels }),
        requestUnsubscribe: (channels) => link.send({ type: 'unsubscribe', channels }),
        wireOnRestored: () => {
          this.#setState('ready', "The embedded broker in the farm's master is ready.");
          this.#wire.open();
        },
      },
      {
        wanted: options.wanted,
        subscribeTimeoutMs: options.subscribeTimeoutMs ?? SUBSCRIBE_TIMEOUT_MS,
        unsubscribeLingerMs: options.unsubscribeLingerMs ?? UNSUBSCRIBE_LINGER_MS,
      },
    );
  }

  get state(): BrokerState {
    return this.#state;
  }

  get stateReason(): string {
    return this.#stateReason;
  }

  get epoch(): number {
    return this.#epoch;
  }

  get server(): string | undefined {
    return this.#marks.server;
  }

  get markAddress(): string {
    return this.#marks.address;
  }

  start(): Promise<void> {
    if (this.#state === 'connecting') {
      this.#marks.start();
      this.#table.up();
    }
    return Promise.resolve();
  }

  publish(channel: string, payload: Uint8Array, attributes?: PublicationAttributes): Promise<PublishResult> {
    const invalid = invalidChannel(channel);
    if (invalid !== undefined) return Promise.reject(invalid);
    const bytes = bufferOf(wrapPublication(payload, attributes));
    return this.#send(channel, { type: 'publish', channel, payload: bytes });
  }

  async control(message: Uint8Array): Promise<void> {
    await this.#send(undefined, { type: 'control', payload: bufferOf(message) });
  }

  watchMarks(address: string): Promise<() => void> {
    return this.#state === 'ready' ? this.#marks.watch(address) : this.#unavailable('Watching marks');
  }

  async mark(address: string, id: number): Promise<void> {
    checkAddress(address);
    checkMarkId(id);
    // Steps of the store may wait; all else is in the order of the link.
    if (this.store.publishCount > 0) await this.store.published();
    await this.#marks.follow(address, id, this.#send(undefined, { type: 'mark', address, id }));
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
    if (this.#state !== 'stopped') this.#link.setReading(isReading);
  }

  /** A message of the exchange has arrived over the link. The payload is copied when it is kept. */
  onMessage(message: BrokerLinkMessage): void {
    if (message.type === 'published') this.#underWay.acknowledged(message.count);
    if (this.#state === 'stopped') return;
    switch (message.type) {
      case 'publication':
        if (!this.#wanted.has(message.channel)) return;
        this.#handlers.brokerOnPublication(receivedPublication(message.channel, message.payload));
        return;
      case 'subscribed':
        this.#table.confirm(message.channels);
        this.#table.answered();
        return;
      case 'control':
        this.#handlers.brokerOnControl(ownedCopy(message.payload));
        return;
      case 'mark':
        if (!this.#marks.hears(message.address)) return;
        this.#handlers.brokerOnMark(message.address, message.id, this.#epoch);
        return;
      case 'marksWatched':
        this.#marks.confirmed(message.address, message.server);
        return;
      case 'markRefused':
        this.#marks.refused(message.address, message.id);
        return;
      case 'gap':
        this.#epoch += 1;
        this.#handlers.brokerOnGap({
          channelCount: message.channelCount,
          ...(message.channels !== undefined && { channels: message.channels }),
          droppedCount: message.droppedCount,
          sinceMs: message.sinceMs,
          reason: `This worker read too slowly for ${message.sinceMs} ms, and the master dropped ${message.droppedCount} publications for it.`,
        });
        return;
      case 'stepped':
        this.#wire.onStepped(message);
        return;
      case 'step':
      case 'published':
      case 'publish':
      case 'subscribe':
      case 'unsubscribe':
      case 'watchMarks':
      case 'unwatchMarks':
        return;
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    // Or the acknowledgements that it waits for would not come.
    this.setReading(true);
    this.#table.stop();
    this.#marks.stop();
    this.#setState('stopped', 'The broker is stopped.');
    await this.store.stop();
    await this.#underWay.drain();
    this.#underWay.stop();
  }

  #send(
    channel: string | undefined,
    message: Extract<WorkerToExchangeMessage, { type: 'publish' | 'control' | 'mark' }>,
  ): Promise<PublishResult> {
    if (this.#state !== 'ready') return this.#unavailable(`Publishing to ${receiverName(channel)}`);
    const length = 'payload' in message ? message.payload.length : 0;
    if (!this.#underWay.hasRoomFor(length)) {
      return this.#overloaded(
        channel,
        length,
        `${this.#underWay.bytes} bytes are under way to the master and ${this.#maxInFlightBytes} may be`,
      );
    }
    if (!this.#link.send(message)) {
      return this.#overloaded(channel, length, 'the channel to the master is full');
    }
    return this.#underWay.begin(channel, length);
  }

  #unavailable(doing: string): Promise<never> {
    const reason = `${doing} failed, nothing was sent: ${this.#stateReason}`;
    return Promise.reject(new BrokerError('BROKER_UNAVAILABLE', reason));
  }

  #overloaded(channel: string | undefined, bytes: number, why: string): Promise<never> {
    return Promise.reject(
      new BrokerError(
        'BROKER_OVERLOADED',
        `Publishing ${bytes} bytes to ${receiverName(channel)} failed, nothing was sent: ${why}, so publish more slowly.`,
      ),
    );
  }

  #setState(state: BrokerState, reason: string): void {
    this.#state = state;
    this.#stateReason = reason;
    this.#handlers.brokerOnState(state, reason);
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
