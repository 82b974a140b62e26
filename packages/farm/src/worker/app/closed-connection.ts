import type { PublishOptions } from '../../api/channel-publication.ts';
import type { Connection } from '../../api/connection.ts';

/** What the close hook is given: the facts of a connection whose row may already be another one's. */
export class ClosedConnection implements Connection {
  readonly id: string;
  readonly remoteAddress: string;
  readonly channels: readonly string[];
  readonly hasGap: boolean;
  readonly isOpen = false;
  readonly bufferedBytes = 0;
  readonly expiresAt = undefined;
  attachment: unknown;
  session: Uint8Array | undefined;
  user: string | undefined;
  readonly #publish: Connection['publish'];

  constructor(connection: Connection, channels: readonly string[]) {
    this.id = connection.id;
    this.remoteAddress = connection.remoteAddress;
    this.attachment = connection.attachment;
    this.session = connection.session?.slice();
    this.user = connection.user;
    this.channels = channels;
    this.hasGap = connection.hasGap;
    this.#publish = (channel, data, options) => connection.publish(channel, data, options);
  }

  isSubscribed(): boolean {
    return false;
  }

  memberOf(): undefined {
    return undefined;
  }

  send(): boolean {
    return false;
  }

  subscribe(): Promise<boolean> {
    return Promise.resolve(false);
  }

  unsubscribe(): boolean {
    return false;
  }

  /** Still possible: a chat says goodbye in its close hook. */
  publish(channel: string, data: string | Uint8Array, options?: PublishOptions): Promise<void> {
    return this.#publish(channel, data, options);
  }

  close(): boolean {
    return false;
  }

  terminate(): boolean {
    return false;
  }
}
