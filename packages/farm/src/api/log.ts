/** A log line is an event: a constant, searchable message, and its facts as fields. */
export type LogFields = Readonly<Record<string, unknown>>;
/** How bad it is, from what only helps to debug to what ends a process. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Where log events go. pino's loggers fit; workers send theirs to the master, which alone writes. */
export interface Log {
  /** For whoever looks for a fault. */
  debug(fields: LogFields, message: string): void;
  /** A step in the life of the farm. */
  info(fields: LogFields, message: string): void;
  /** Something that an operator may want to change. */
  warn(fields: LogFields, message: string): void;
  /** Something went wrong, and the farm goes on. */
  error(fields: LogFields, message: string): void;
  /** A process ends for it. */
  fatal(fields: LogFields, message: string): void;
  /**
   * Takes what workers write to their stdout and stderr (console.log of an application), in whole lines with their
   * ends. Must neither wait nor throw. A log without it has workers write to stdout and stderr of the master themselves.
   */
  readonly print?: (stream: 'stdout' | 'stderr', lines: Buffer) => void;
  /** Lines that it could not write: `log_lines_lost` of info(). */
  readonly linesLost?: number;
}
