import { EXIT_CODES } from './exit-codes.ts';
import type { ServerLog } from './log.ts';
import { watchTerminals } from './output/lost-terminals.ts';

/**
 * Puts into the log what Node would write to stderr by itself, where a reader that does not read would stop the process
 * for good: warnings, and uncaught exceptions, which end the process. However it ends, what waits for being written
 * has `flushMs` to get out.
 */
export function logLastWords(log: ServerLog, flushMs: number): void {
  process.removeAllListeners('warning');
  process.on('warning', ({ name, message, stack }) => {
    log.warn({ warning: name, reason: message, stack }, 'warning of Node.js');
  });
  process.on('uncaughtException', (error, origin) => {
    log.fatal({ err: error, origin }, 'uncaught exception in the master: the farm ends');
    process.exit(EXIT_CODES.failed.code);
  });
  const leaveLostTerminals = watchTerminals();
  process.on('exit', () => {
    log.flush(flushMs);
    leaveLostTerminals();
  });
}
