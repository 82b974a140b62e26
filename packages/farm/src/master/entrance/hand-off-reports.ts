import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import { HandOff, type HandOffHooks } from './hand-off.ts';

/** Counts and logs what the kernel does not pass on to a worker; what is lost is ended. */
export function handOffReports(
  worker: number,
  counters: Counters,
  log: Log,
): Pick<HandOffHooks, 'refused' | 'lost'> {
  return {
    refused: (errno) => {
      counters.add('handoff_errors');
      log.warn({ worker, errno }, 'sockets cannot be handed off now; trying again');
    },
    lost: (sockets, errno) => {
      counters.add('handoffs_lost', sockets.length);
      log.error({ worker, errno, sockets: sockets.length }, 'sockets cannot be handed off');
      HandOff.drop(sockets);
    },
  };
}
