import type { WorkerLife } from '../workers/worker-life.ts';
import type { ChangeParts } from './change-parts.ts';
import type { ChangeTally } from './change-tally.ts';
import type { MoveResult } from './moves.ts';
import { nextTransfer, type EvenLoad } from './even-out.ts';

/** Moves that bring nothing, one after the other, before it gives up. */
const MAX_VAIN = 3;

/** The lives among which connections are evened out: those that get sockets. */
export function evenLives({ places }: Pick<ChangeParts, 'places'>): WorkerLife[] {
  return places.all.flatMap(({ current }) =>
    current?.state === 'ready' && current.admits() ? [current] : [],
  );
}

export function loadOf({ connections, fullCapacity }: WorkerLife): EvenLoad {
  return { connections, capacity: fullCapacity };
}

/** A move brought nothing, and not because the broker was away: that is waited for. */
export function isVain({ moved, reason }: MoveResult): boolean {
  return moved === 0 && reason !== 'broker';
}

/** Moves connections until all workers have about as many. Resolves to the reason when it stops before. */
export async function evenOut(parts: ChangeParts, tally: ChangeTally): Promise<string | undefined> {
  for (let vain = 0; vain < MAX_VAIN;) {
    const lives = evenLives(parts);
    tally.of = lives.length;
    const transfer = nextTransfer(lives.map(loadOf));
    if (transfer === undefined) return undefined;
    const source = lives[transfer.from];
    const target = lives[transfer.to];
    if (source === undefined || target === undefined) return undefined;
    tally.worker = target.index + 1;
    const { rows } = transfer;
    const result = await parts.moves.begin({
      source,
      target,
      rows,
      reason: 'rebalance',
      onMoved: tally.moved,
    });
    tally.ended(result);
    vain = isVain(result) ? vain + 1 : 0;
    if (result.moved === 0) await parts.pause();
  }
  return 'What is left to be moved cannot move now: some workers keep more connections than others.';
}
