import type { Connection } from '@roost/farm';
import { errorMessage, subscriptionError } from './codec.ts';
import type { PusherCounter } from './counters.ts';
import { CLOSING_ERRORS, MESSAGE_ERRORS, SUBSCRIPTION_ERRORS } from './errors.ts';
import type { ClosingErrorName, MessageErrorName, SubscriptionErrorName } from './errors.ts';

/** What clients are told when something is wrong, and counted with it. */
export class Answers {
  readonly #count: (name: PusherCounter) => void;

  constructor(count: (name: PusherCounter) => void) {
    this.#count = count;
  }

  count(name: PusherCounter): void {
    this.#count(name);
  }

  /** The message is refused; the connection stays. `detail` says what exactly was wrong. */
  refuse(connection: Connection, error: MessageErrorName, detail?: string): void {
    const { code, message, counter } = MESSAGE_ERRORS[error];
    this.#count(counter);
    connection.send(errorMessage(code, withDetail(message, detail)));
  }

  /**
   * The subscription is refused; the connection stays. Told twice, as applications look in one of two places: at the
   * channel, or at the connection.
   */
  refuseSubscription(
    connection: Connection,
    channel: string,
    error: SubscriptionErrorName,
    detail?: string,
  ): void {
    const { code, type, status, message, counter } = SUBSCRIPTION_ERRORS[error];
    this.#count(counter);
    const text = withDetail(message, detail);
    connection.send(subscriptionError(channel, { type, error: text, status }));
    connection.send(errorMessage(code, text));
  }

  /** The connection ends: told by a message for clients that do not look at close codes, then by a close code. */
  close(connection: Connection, error: ClosingErrorName): void {
    const { code, message, counter } = CLOSING_ERRORS[error];
    this.#count(counter);
    connection.send(errorMessage(code, message));
    connection.close(code, message);
  }
}

function withDetail(message: string, detail: string | undefined): string {
  return detail === undefined ? message : `${message}: ${detail}.`;
}
