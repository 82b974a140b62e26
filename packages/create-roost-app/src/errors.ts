/** The project cannot be made there. The message is what the command prints: one line. */
export class ProjectError extends Error {
  readonly code = 'PROJECT_ERR_FOLDER';
  /** EX_CANTCREAT of sysexits.h. */
  readonly exitCode = 73;

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ProjectError';
  }
}
