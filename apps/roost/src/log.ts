import { pino } from 'pino';
import type { Logger } from 'pino';
import { readableLine } from './readable-line.ts';

/** Logs to stdout: a JSON object a line, or lines for people when stdout is a terminal. */
export function createLog(level: string): Logger {
  const options = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  if (!process.stdout.isTTY) return pino(options);
  return pino(options, { write: (line) => void process.stdout.write(readableLine(line)) });
}
