import { Counters } from '../api/counters.ts';
import type { Log } from '../api/log.ts';
import { Guard } from './guard.ts';

function nothing(): void {
  // Only errors are of interest.
}

/** A guard for specs of single parts, which are to fail at nothing: what a callback throws becomes an uncaught exception. */
export function throwingGuard(): Guard {
  const log: Log = { debug: nothing, info: nothing, warn: nothing, fatal: nothing, error: later };
  return new Guard(new Counters(), log);
}

function later(fields: Readonly<Record<string, unknown>>): void {
  queueMicrotask(() => {
    throw new Error(String(fields['error']));
  });
}
