import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { Guard } from '../guard.ts';

/** What of the master those use who look after a worker. */
export interface SupervisionParts {
  readonly config: FarmConfig;
  readonly log: Log;
  readonly counters: Counters;
  readonly guard: Guard;
}
