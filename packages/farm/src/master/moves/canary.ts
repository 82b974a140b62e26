import type { WorkerLife } from '../workers/worker-life.ts';
import type { WorkerPlace } from '../workers/worker-place.ts';
import type { ChangeParts } from './change-parts.ts';
import type { ChangeTally } from './change-tally.ts';
import { evenLives } from './even.ts';
import { missingApps } from './missing-apps.ts';
import { moveAway } from './resize.ts';
import { retireLife } from './retire-life.ts';

/** A life that is tried with a part of all connections, beside the old one of its place. */
export interface Canary {
  readonly place: WorkerPlace;
  readonly life: WorkerLife;
}

/**
 * Starts a canary in the first place, and moves `share` of every worker's connections to it; of new ones it gets as many as keep
 * its share. Resolves to the reason when that is not possible.
 */
export async function startCanary(
  parts: ChangeParts,
  tally: ChangeTally,
  share: number,
): Promise<Canary | string> {
  const place = parts.places.all[0];
  const life = place?.startOther();
  if (place === undefined || life === undefined) return 'The farm is stopping.';
  const beginning = await parts.events.beginning(life);
  if (!beginning.isServing) return `The canary did not start: ${beginning.reason}.`;
  const olds = evenLives(parts);
  tally.of = olds.length;
  for (const old of olds) {
    const missing = await missingApps(old, life);
    if (missing.length === 0) continue;
    if (!life.hasProcess) break;
    await retireLife(life, parts);
    return `The new application has no ${missing.join(', ')}, which has connections: they would have nobody to serve them.`;
  }
  for (const old of olds) {
    tally.worker++;
    const rows = Math.min(Math.round(old.connections * share), life.fullCapacity - life.connections);
    if (rows <= 0 || !old.hasProcess) continue;
    const result = await parts.moves.begin({
      source: old,
      target: life,
      rows,
      reason: 'reload',
      onMoved: tally.moved,
    });
    tally.ended(result);
    if (!life.hasProcess) break;
  }
  if (!life.hasProcess) return 'The canary died while connections moved to it.';
  life.admits = () => {
    // It has taken the place of a worker that died, and nobody else gets sockets there.
    if (life === place.current) return true;
    const all = parts.places.lives.all.reduce((sum, { connections }) => sum + connections, 0);
    return life.connections < share * all;
  };
  return { place, life };
}

/** Moves back what a canary has, and ends it. Resolves to the reason when that is not possible. */
export async function rollBack(
  { life }: Canary,
  parts: ChangeParts,
  tally: ChangeTally,
): Promise<string | undefined> {
  tally.of = 1;
  tally.worker = 1;
  tally.leaving = [life];
  const { admits } = life;
  life.admits = () => false;
  const reason = await moveAway(life, parts, tally);
  if (reason !== undefined) {
    life.admits = admits;
    parts.hasRoom();
    return `The canary has connections left: ${reason}`;
  }
  if (life.state === 'ready') await retireLife(life, parts);
  return undefined;
}
