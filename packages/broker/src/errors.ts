/** What went wrong, for programs. See the methods of `Broker` for which call rejects with which. */
export type BrokerErrorCode =
  | 'BROKER_UNAVAILABLE'
  | 'BROKER_OUTCOME_UNKNOWN'
  | 'BROKER_OVERLOADED'
  | 'BROKER_SUBSCRIBE_TIMEOUT'
  | 'BROKER_REFUSED'
  | 'BROKER_INVALID_CHANNEL'
  | 'BROKER_INVALID_OPTION';

/**
 * The one error of this package. The message is one sentence that names the channel or option.
 *
 * It carries no `cause` on purpose: the errors of the Redis client hold the command's arguments, that is
 * passwords and payloads, and a logger would print them.
 */
export class BrokerError extends Error {
  override readonly name = 'BrokerError';
  readonly code: BrokerErrorCode;

  constructor(code: BrokerErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
