import type { BrokerHandlers, WantedChannels } from '../broker.ts';
import { ownedCopy } from '../owned-copy.ts';
import { receivedPublication } from '../received-publication.ts';
import type { Marks } from './marks.ts';
import type { OwnKeys } from './own-keys.ts';

/** Keys begin, after the prefix, with `channel:`, `control`, `probe:` and `mark:`. */
const SECOND_LETTER_OF_CHANNELS = 'h'.charCodeAt(0);

export interface IncomingOptions {
  readonly prefix: string;
  readonly ownKeys: OwnKeys;
  readonly marks: Marks;
  readonly wanted: WantedChannels;
  readonly handlers: BrokerHandlers;
  readonly counters: { publicationCount: number };
  /** See Broker.epoch. */
  readonly epoch: () => number;
}

/** What arrives on the subscriber connection, by the key that it was published to. */
export class Incoming {
  readonly #options: IncomingOptions;
  readonly #prefixBytes: number;
  readonly #channelPrefixBytes: number;

  constructor(options: IncomingOptions) {
    this.#options = options;
    this.#prefixBytes = Buffer.byteLength(options.prefix);
    this.#channelPrefixBytes = Buffer.byteLength(`${options.prefix}channel:`);
  }

  onMessage(key: Buffer, message: Buffer): void {
    if (key[this.#prefixBytes + 1] !== SECOND_LETTER_OF_CHANNELS) {
      this.#onOwnKey(key, message);
      return;
    }
    const { wanted, handlers, counters } = this.#options;
    const channel = key.toString('utf8', this.#channelPrefixBytes);
    if (!wanted.has(channel)) return;
    counters.publicationCount += 1;
    handlers.brokerOnPublication(receivedPublication(channel, message));
  }

  #onOwnKey(key: Buffer, message: Buffer): void {
    const { ownKeys, marks, handlers, epoch } = this.#options;
    if (key.equals(ownKeys.control)) {
      handlers.brokerOnControl(ownedCopy(message));
      return;
    }
    if (key.equals(ownKeys.probe)) return;
    const address = key.toString();
    const id = marks.idIn(address, message);
    if (id !== undefined) handlers.brokerOnMark(address, id, epoch());
  }
}
