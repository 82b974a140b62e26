import type { Redis } from 'ioredis';
import type { RedisConnection } from './connection/connection.ts';
import { answerOf, explainFailure, isReplyError } from './failure.ts';
import type { Shortcoming } from './connection/handshake.ts';

export interface ChannelRequestsOptions {
  /** What the keys of channels begin with. */
  readonly channelPrefix: string;
  /** For messages. */
  readonly shownUrl: string;
  readonly onConfirmed: (channels: readonly string[]) => void;
  readonly onRefused: (channel: string, reason: string) => void;
  /** Each channel of a request has been confirmed or refused. */
  readonly onAnswered: () => void;
  readonly onShortcoming: (shortcoming: Shortcoming) => void;
}

/** SUBSCRIBE and UNSUBSCRIBE for channels. Answers on a connection that is no longer the current one are ignored. */
export class ChannelRequests {
  readonly #connection: RedisConnection;
  readonly #options: ChannelRequestsOptions;

  constructor(connection: RedisConnection, options: ChannelRequestsOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** False: not now. */
  subscribe(channels: readonly string[]): boolean {
    const { client } = this.#connection;
    if (client === undefined) return false;
    void this.#request(client, channels);
    return true;
  }

  /** False: not now. */
  unsubscribe(channels: readonly string[]): boolean {
    const { client } = this.#connection;
    if (client === undefined) return false;
    client.unsubscribe(...this.#keys(channels)).catch((error: unknown) => {
      // Anything else than a reply is the end of the connection, and of the subscriptions with it.
      if (!isReplyError(error)) return;
      const { shownUrl, onShortcoming } = this.#options;
      const reason = `Redis at ${shownUrl} refuses UNSUBSCRIBE (${answerOf(error)}), so publications without subscribers here keep arriving: give the user +unsubscribe.`;
      onShortcoming({ kind: 'unsubscribe', reason });
    });
    return true;
  }

  async #request(client: Redis, channels: readonly string[]): Promise<void> {
    await this.#ask(client, channels);
    if (this.#isCurrent(client)) this.#options.onAnswered();
  }

  /**
   * Redis refuses a whole SUBSCRIBE for one forbidden name, so a refused one is asked again in halves until the names that are
   * meant stand alone.
   */
  async #ask(client: Redis, channels: readonly string[]): Promise<void> {
    try {
      await client.subscribe(...this.#keys(channels));
    } catch (error) {
      if (!isReplyError(error) || !this.#isCurrent(client)) return;
      const [channel] = channels;
      if (channels.length === 1 && channel !== undefined) {
        const failure = explainFailure(this.#options.shownUrl, error);
        const reason = `Subscribing to channel ${JSON.stringify(channel)} failed: ${failure}`;
        this.#options.onRefused(channel, reason);
        return;
      }
      const half = Math.ceil(channels.length / 2);
      await this.#ask(client, channels.slice(0, half));
      await this.#ask(client, channels.slice(half));
      return;
    }
    if (this.#isCurrent(client)) this.#options.onConfirmed(channels);
  }

  #keys(channels: readonly string[]): string[] {
    return channels.map((channel) => this.#options.channelPrefix + channel);
  }

  #isCurrent(client: Redis): boolean {
    return this.#connection.client === client;
  }
}
