import type { WorkerPlace } from '../workers/worker-place.ts';
import type { ChangeParts } from './change-parts.ts';
import type { ChangeTally } from './change-tally.ts';
import { evenLives, evenOut, isVain, loadOf } from './even.ts';
import { nextRefuge } from './even-out.ts';
import { retireLife } from './retire-life.ts';
import type { WorkerLife } from '../workers/worker-life.ts';

/** Moves that bring nothing, one after the other, before it gives up. */
const MAX_VAIN = 3;

/** Makes it `count` places. Resolves to the reason when it stops before. */
export async function resize(
  parts: ChangeParts,
  tally: ChangeTally,
  count: number,
): Promise<string | undefined> {
  const { places } = parts;
  if (count > places.all.length) {
    const reason = await grow(parts, tally, count);
    // Also of those that have started.
    return (await evenOut(parts, tally)) ?? reason;
  }
  const leaving = places.all.slice(count);
  tally.of = leaving.length;
  tally.leaving = leaving.flatMap(({ lives }) => lives);
  // None of them is a refuge for another.
  for (const place of leaving) place.close();
  for (const place of leaving.toReversed()) {
    tally.worker++;
    const reason = await empty(place, parts, tally);
    if (reason !== undefined) {
      for (const { index } of leaving) places.all[index]?.open();
      parts.hasRoom();
      return `Worker ${place.index}: ${reason}`;
    }
    await giveUp(place, parts);
    places.removeLast();
  }
  return undefined;
}

async function grow(parts: ChangeParts, tally: ChangeTally, count: number): Promise<string | undefined> {
  const { places, events } = parts;
  const before = places.all.length;
  while (places.all.length < count) places.add(count).start();
  const added = places.all.slice(before);
  tally.of = added.length;
  const beginnings = await Promise.all(
    added.flatMap(({ current }) => (current === undefined ? [] : [events.beginning(current)])),
  );
  const failed = beginnings.findIndex(({ isServing }) => !isServing);
  if (failed === -1) return undefined;
  const beginning = beginnings[failed];
  // Places have the indexes from 0 on, without a gap: those behind it go, too, and may have been given sockets.
  const going = added.slice(failed);
  for (const place of going) place.close();
  for (const place of going.toReversed()) {
    await empty(place, parts, tally);
    await giveUp(place, parts);
    places.removeLast();
  }
  const why = beginning?.isServing === false ? beginning.reason : 'the farm is stopping';
  return `Worker ${before + failed} did not start: ${why}.`;
}

/** Moves all that a place has to those that stay. Resolves to the reason when that is not possible. */
async function empty(
  place: WorkerPlace,
  parts: ChangeParts,
  tally: ChangeTally,
): Promise<string | undefined> {
  for (const life of place.lives) {
    const reason = await moveAway(life, parts, tally);
    if (reason !== undefined) return reason;
  }
  return undefined;
}

/** Ends the lives of a place; none is started there any more. */
async function giveUp(place: WorkerPlace, parts: ChangeParts): Promise<void> {
  place.giveUp();
  const living = place.lives.filter(({ hasProcess }) => hasProcess);
  await Promise.all(
    living.map((life) => {
      if (life.state === 'ready') return retireLife(life, parts);
      const end = parts.events.end(life);
      // One that drains, as the farm does, still has connections to close.
      if (life.state !== 'draining') life.stop();
      return end;
    }),
  );
}

/** Moves all that a life has to those that get sockets. Resolves to the reason when that is not possible. */
export async function moveAway(
  life: WorkerLife,
  parts: ChangeParts,
  tally: ChangeTally,
): Promise<string | undefined> {
  let hasMovable = true;
  for (let vain = 0; life.connections > 0 && life.state === 'ready';) {
    const lives = evenLives(parts).filter((other) => other !== life);
    const refuge = nextRefuge(lives.map(loadOf), life.connections);
    const target = refuge === undefined ? undefined : lives[refuge.to];
    if (refuge === undefined || target === undefined) return 'the others have no room for its connections.';
    const { connections } = life;
    const rows = refuge.rows >= connections || !hasMovable ? 'all' : refuge.rows;
    const result = await parts.moves.begin({
      source: life,
      target,
      rows,
      reason: 'rebalance',
      onMoved: tally.moved,
    });
    tally.ended(result);
    // What is left, as connections over TLS, goes when the worker does; sockets that are no connections yet move with "all".
    hasMovable = result.reason !== 'empty';
    if (rows === 'all' && (result.reason === 'done' || result.reason === 'empty')) return undefined;
    vain = isVain(result) ? vain + 1 : 0;
    if (vain === MAX_VAIN) return 'its connections cannot move now.';
    if (result.moved === 0) await parts.pause();
  }
  return undefined;
}
