/** The user's module cannot be used. The message is what `roost start` prints. */
export class UserAppError extends Error {
  readonly code = 'USER_APP_UNUSABLE';

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UserAppError';
  }
}
