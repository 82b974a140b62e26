import { isatty } from 'node:tty';
import type { Log } from '@roost/farm';
import { pino } from 'pino';
import { createOutputs } from './output/outputs.ts';
import { readableLine } from './readable-line.ts';

/** The log of the server, and the way out for whatever else it and its workers print. */
export interface ServerLog extends Required<Log> {
  /** The process ends: what waits is written, for `ms` at the most. See {@link Output.flush}. */
  flush(ms: number): void;
}

/**
 * Logs to stdout: a JSON object a line, or lines for people when stdout is a terminal. Never waits for its reader,
 * and never fails: at most `maxBytes` wait, and lines beyond them are lost, counted and reported later.
 */
export function createLog(level: string, maxBytes: number): ServerLog {
  const outputs = createOutputs({
    maxBytes,
    onResumed: (lines) => logger.warn({ lines }, 'log lines lost: they could not be written in time'),
  });
  const isTerminal = isatty(1);
  const fatal = pino.levels.values['fatal'];
  const destination = {
    // Has pino say the level of each line.
    [Symbol.for('pino.metadata')]: true,
    lastLevel: 0,
    write(line: string): void {
      outputs.stdout.write(isTerminal ? readableLine(line) : line, this.lastLevel === fatal);
    },
  };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label: string) => ({ level: label }) },
    },
    destination,
  );
  return {
    debug: (fields, message) => logger.debug(fields, message),
    info: (fields, message) => logger.info(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    error: (fields, message) => logger.error(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
    print: (stream, lines) => outputs[stream].write(lines),
    flush(ms) {
      outputs.stdout.flush(ms);
      if (outputs.stderr !== outputs.stdout) outputs.stderr.flush(ms);
    },
    get linesLost() {
      const { stdout, stderr } = outputs;
      return stdout.linesLost + (stderr === stdout ? 0 : stderr.linesLost);
    },
  };
}
