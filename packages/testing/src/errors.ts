export type TestingErrorCode =
  | 'TESTING_DEADLINE'
  | 'TESTING_REDIS_MISSING'
  | 'TESTING_START_FAILED'
  | 'TESTING_CLOSED'
  | 'TESTING_UPGRADE_REFUSED'
  | 'TESTING_LEAK';

/** Something that a spec waited for did not come, or was left behind. The message carries what was seen. */
export class TestingError extends Error {
  override readonly name: string = 'TestingError';
  readonly code: TestingErrorCode;

  constructor(code: TestingErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
