/** A log line is an event: a constant, searchable message, and its facts as fields. */
export type LogFields = Readonly<Record<string, unknown>>;
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Where log events go. pino's loggers fit; workers send theirs to the master, which alone writes. */
export interface Log {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  fatal(fields: LogFields, message: string): void;
  /**
   * Takes what workers write to their stdout and stderr (console.log of an application), in whole lines with their
   * ends. Must neither wait nor throw. A log without it has workers write to stdout and stderr of the master themselves.
   */
  readonly print?: (stream: 'stdout' | 'stderr', lines: Buffer) => void;
  /** Lines that it could not write: `log_lines_lost` of info(). */
  readonly linesLost?: number;
}
