export type ConfigErrorCode =
  /** A value is not of its kind or out of its range. */
  | 'CONFIG_ERR_VALUE'
  /** No option has this name. */
  | 'CONFIG_ERR_UNKNOWN'
  /** The file cannot be read, is not YAML, or sets the same key twice. */
  | 'CONFIG_ERR_FILE';

/** Something that the operator must correct. The message is all that is printed: one line, exit code 78. */
export class ConfigError extends Error {
  readonly code: ConfigErrorCode;

  constructor(code: ConfigErrorCode, message: string) {
    super(message);
    this.name = 'ConfigError';
    this.code = code;
  }
}
