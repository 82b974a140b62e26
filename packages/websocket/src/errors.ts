/** What a caller of this package can do wrong. What a client can do wrong is always a result, never an exception. */
export type WebSocketErrorCode = 'WEBSOCKET_CLOSE_CODE' | 'WEBSOCKET_HEADER' | 'WEBSOCKET_OPTION';

/** Thrown for an argument that this package cannot use; `code` says which kind, the message names the value. */
export class WebSocketArgumentError extends RangeError {
  override readonly name = 'WebSocketArgumentError';
  readonly code: WebSocketErrorCode;

  constructor(code: WebSocketErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The largest value of a byte limit: ws keeps them as signed 32-bit integers, and so do the rows' columns. */
export const MAX_LIMIT = 2 ** 31 - 1;

/** Answers `value`, or throws WEBSOCKET_OPTION when it is not an integer from `minimum` to {@link MAX_LIMIT}. */
export function checkedLimit(option: string, value: number, minimum = 1): number {
  if (Number.isInteger(value) && value >= minimum && value <= MAX_LIMIT) return value;
  throw new WebSocketArgumentError(
    'WEBSOCKET_OPTION',
    `${option} must be an integer from ${minimum} to ${MAX_LIMIT}, got ${value}. Nothing here may be unlimited.`,
  );
}
