/** Every code that a {@link TestingError} may carry; docs/reference/errors.md has a line for each. */
export type TestingErrorCode =
  /** The farm did not start: its process ended before. The message has the reason and what was printed. */
  | 'TESTING_START_FAILED'
  /** What a test waited for did not come in time. The message says what had come by then. */
  | 'TESTING_DEADLINE'
  /** What a test waited for cannot come any more: the connection is closed. */
  | 'TESTING_CLOSED'
  /** The server answered an upgrade with something else than 101. */
  | 'TESTING_UPGRADE_REFUSED'
  /** The broker of the farm did not take a publication. */
  | 'TESTING_PUBLISH_FAILED'
  /** The farm has ended, and was asked for something. */
  | 'TESTING_STOPPED';

/** A test waited for something in vain. */
export class TestingError extends Error {
  /** Which error it is; docs/reference/errors.md says what to do. */
  readonly code: TestingErrorCode;

  constructor(code: TestingErrorCode, message: string) {
    super(message);
    this.name = 'TestingError';
    this.code = code;
  }
}

/** The server answered the upgrade with something else than 101: what an upgrade hook rejects with, most often. */
export class UpgradeRefusedError extends TestingError {
  /** HTTP status of the answer. */
  readonly status: number;
  /** Body of the answer: the reason that `reject()` was given. */
  readonly body: string;
  /** Headers of the answer; lower-case names. */
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: string, headers: Readonly<Record<string, string>>) {
    super('TESTING_UPGRADE_REFUSED', `The server answered the upgrade with ${status}: ${body}`);
    this.name = 'UpgradeRefusedError';
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}
