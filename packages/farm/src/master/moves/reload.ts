import type { WorkerLife } from '../workers/worker-life.ts';
import type { WorkerPlace } from '../workers/worker-place.ts';
import type { ChangeParts } from './change-parts.ts';
import type { ChangeTally } from './change-tally.ts';
import { PlaceReload } from './place-reload.ts';

/**
 * Replaces the workers of all places, `reloadParallel` at a time. `canary`: the life that serves already in its place. Resolves
 * to the reason when it stops; places that come later keep their workers then.
 */
export async function reloadAll(
  parts: ChangeParts,
  tally: ChangeTally,
  canary?: { readonly place: WorkerPlace; readonly life: WorkerLife },
): Promise<string | undefined> {
  const places = [...parts.places.all];
  tally.of = places.length;
  tally.leaving = parts.places.lives.all.filter((life) => life !== canary?.life);
  let stopped: string | undefined;
  const lane = async (): Promise<void> => {
    for (let place = places.shift(); place !== undefined && stopped === undefined; place = places.shift()) {
      tally.worker++;
      const life = canary?.place === place ? canary.life : undefined;
      const reason = await reloadPlace(place, parts, tally, life);
      stopped ??= reason === undefined ? undefined : `Worker ${place.index}: ${reason}`;
    }
  };
  await Promise.all(Array.from({ length: parts.config.reloadParallel }, lane));
  return stopped;
}

async function reloadPlace(
  place: WorkerPlace,
  parts: ChangeParts,
  tally: ChangeTally,
  canary: WorkerLife | undefined,
): Promise<string | undefined> {
  // What an earlier reload that stopped has left here, too.
  const olds = place.lives.filter((life) => life !== canary);
  let successor = canary;
  for (const old of olds) {
    if (old === place.current && !(await isServing(place, parts))) continue;
    const living = old.hasProcess ? old : place.current;
    if (living === undefined || living === successor || living.state !== 'ready') continue;
    // Nothing can move to it any more; and what has died with the new code once may do so again.
    if (successor?.hasProcess === false) return 'The new worker died.';
    const outcome = await new PlaceReload(place, living, parts, tally).run(successor);
    if (typeof outcome === 'string') return outcome;
    successor = outcome;
  }
  return undefined;
}

/** One that is being started may have read what is replaced: it is waited for. A dead one is started anew in any case. */
async function isServing({ current }: WorkerPlace, { events }: ChangeParts): Promise<boolean> {
  if (current?.hasProcess !== true) return false;
  return current.state === 'ready' || (await events.beginning(current)).isServing;
}
