import type { FarmConfig } from '../../options/options.ts';
import type { Guard } from '../guard.ts';
import type { LifeEvents } from './life-events.ts';
import type { Moves } from './moves.ts';
import type { Places } from '../workers/places.ts';

/** What a change of a running farm works with. */
export interface ChangeParts {
  readonly config: Pick<
    FarmConfig,
    'drainMs' | 'probationMs' | 'reloadParallel' | 'retireMs' | 'stopTimeoutMs'
  >;
  readonly guard: Guard;
  readonly moves: Pick<Moves, 'begin'>;
  readonly places: Places;
  readonly events: LifeEvents;
  /** Before what did not succeed is tried again. */
  readonly pause: () => Promise<void>;
  /** Waiting sockets may be placed now. */
  hasRoom(): void;
}
