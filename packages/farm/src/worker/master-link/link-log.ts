import type { Link } from '../../link/link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log, LogFields, LogLevel } from '../../api/log.ts';

const MAX_LINES_PER_SECOND = 50;

/**
 * A worker's log: the lines travel to the master, which alone writes. At most {@link MAX_LINES_PER_SECOND} a second; the
 * others are counted, and their number is logged, so that a client cannot fill a disk.
 */
export class LinkLog implements Log {
  readonly #link: Link<MasterMessage, WorkerMessage>;
  readonly #counters: Counters;
  #second = 0;
  #lines = 0;
  #suppressed = 0;

  constructor(link: Link<MasterMessage, WorkerMessage>, counters: Counters) {
    this.#link = link;
    this.#counters = counters;
  }

  debug(fields: LogFields, message: string): void {
    this.#write('debug', fields, message);
  }

  info(fields: LogFields, message: string): void {
    this.#write('info', fields, message);
  }

  warn(fields: LogFields, message: string): void {
    this.#write('warn', fields, message);
  }

  error(fields: LogFields, message: string): void {
    this.#write('error', fields, message);
  }

  fatal(fields: LogFields, message: string): void {
    this.#write('fatal', fields, message);
  }

  #write(level: LogLevel, fields: LogFields, message: string): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#lines = 0;
      if (this.#suppressed > 0) {
        const suppressed = this.#suppressed;
        this.#suppressed = 0;
        this.#write('warn', { suppressed }, 'log lines suppressed');
      }
    }
    const isTaken =
      (this.#lines++ < MAX_LINES_PER_SECOND || level === 'fatal') &&
      this.#link.send({ type: 'log', level, fields, message }) === 'sent';
    if (isTaken) return;
    this.#suppressed++;
    this.#counters.add('logs_suppressed');
  }
}
