/** Every code that a {@link FarmError} may carry; docs/reference/errors.md has a line for each. */
export type FarmErrorCode =
  /** An option is out of its range; `option` names it. */
  | 'FARM_ERR_OPTION'
  /** The listening address is in use. */
  | 'FARM_ERR_PORT_IN_USE'
  /** The kernel refused to listen for another reason. */
  | 'FARM_ERR_LISTEN'
  /** The system had no descriptors, processes or memory for the first workers. */
  | 'FARM_ERR_FORK'
  /** The limit of open files is too low for any connection. */
  | 'FARM_ERR_DESCRIPTORS'
  /** A worker died before it was ready for the first time: the app could not be loaded, most often. */
  | 'FARM_ERR_WORKER_BOOTSTRAP'
  /** An app was not loaded within appStartTimeoutMs. */
  | 'FARM_ERR_APP_START_TIMEOUT'
  /** Another change of the farm is under way: a reload, another number of workers, or a rebalance. */
  | 'FARM_ERR_BUSY'
  /** There is a canary that must be ended first, or there is none. */
  | 'FARM_ERR_CANARY'
  /** The farm is stopping or stopped. */
  | 'FARM_ERR_STOPPED'
  /** The master did not answer a question of a worker in time. */
  | 'FARM_ERR_QUERY'
  /** Not 1 to 255 bytes of UTF-8 without control characters. */
  | 'FARM_ERR_CHANNEL_NAME'
  /** maxSubscriptionsPerConnection is reached. */
  | 'FARM_ERR_TOO_MANY_SUBSCRIPTIONS'
  /** Something between the master and a worker was malformed: a bug of ours. */
  | 'FARM_ERR_LINK';

/** What the farm throws and rejects with. The message says what was wrong, what was received and what is allowed. */
export class FarmError extends Error {
  /** Which error it is; docs/reference/errors.md says what to do. */
  readonly code: FarmErrorCode;
  /** The option at fault, when it is one. */
  readonly option: string | undefined;

  constructor(code: FarmErrorCode, message: string, facts: { option?: string; cause?: unknown } = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'FarmError';
    this.code = code;
    this.option = facts.option;
  }
}
