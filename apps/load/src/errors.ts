export type LoadErrorCode =
  /** An option or a control command is out of its range. */
  | 'LOAD_ERR_OPTION'
  /** This machine's limits do not allow that many connections; the message says what to change. */
  | 'LOAD_ERR_LIMIT'
  /** A publication could not be made. */
  | 'LOAD_ERR_PUBLISH'
  /** A load process died. */
  | 'LOAD_ERR_PROCESS'
  /** Phantom clients cannot be had here, or their server did not come; the message says what to do. */
  | 'LOAD_ERR_PHANTOM';

export class LoadError extends Error {
  readonly code: LoadErrorCode;

  constructor(code: LoadErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'LoadError';
    this.code = code;
  }
}
