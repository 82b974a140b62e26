import { closeDescriptor } from '@roost/poller';
import type { Publication } from '@roost/broker';
import type { MasterMessage, MoveSide } from '../../link/messages.ts';
import type { RowOwner } from '../rows/row-owner.ts';
import { optimiseAsUsual, optimiseMuchLater } from '../upkeep/compile-thresholds.ts';
import type { MovingParts } from './moving-parts.ts';
import { Pair } from './pair.ts';
import { Source, type MoveOutcome } from './source.ts';
import { Target } from './target.ts';

type MoveMessage = Extract<MasterMessage, { type: 'move' }>;

/**
 * The move that this worker takes part in: one at a time, which is for the master to see to. Its message and its end of the pair
 * come by different ways, in any order. What the broker says goes through here, to be kept for rows that are between two
 * workers.
 */
export class Moves implements RowOwner {
  readonly #parts: MovingParts;
  readonly #pairs = new Map<number, number>();
  #message: MoveMessage | undefined;
  /** The move is to stop, also if it has not begun for want of the pair. */
  #isStopping = false;
  #source: Source | undefined;
  #target: Target | undefined;

  constructor(parts: MovingParts) {
    this.#parts = parts;
  }

  /** The master wants rows moved. */
  begin(message: MoveMessage): void {
    this.#message = message;
    this.#isStopping = false;
    const fd = this.#pairs.get(message.move);
    if (fd !== undefined) this.#start(message, fd);
  }

  /** Our end of the pair of a move; −1: there was no descriptor left for it. */
  pair(move: number, fd: number): void {
    if (this.#message?.move === move) this.#start(this.#message, fd);
    else this.#pairs.set(move, fd);
  }

  stop(move: number): void {
    if (this.#message?.move !== move) return;
    this.#isStopping = true;
    this.#source?.stop();
  }

  /** The other side of the move is dead, and reaped. */
  dead(move: number, side: MoveSide): void {
    if (this.#message?.move !== move) return;
    if (side === 'target') this.#source?.reaped();
    else this.#target?.reaped();
  }

  publication(publication: Publication): void {
    this.#source?.publication(publication);
    this.#target?.publication(publication);
  }

  control(message: Buffer): void {
    this.#source?.control(message);
    this.#target?.control(message);
  }

  mark(address: string, id: number, epoch: number): void {
    this.#source?.mark(address, id, epoch);
    this.#target?.mark(address, id, epoch);
  }

  /** Publications may have been missed. */
  missed(): void {
    this.#source?.missed();
    this.#target?.missed();
  }

  release(slot: number): void {
    this.#source?.rowEnded(slot);
  }

  depart(): void {
    // It is the move itself that lets it go.
  }

  /** The worker ends. */
  abandon(): void {
    if (this.#source !== undefined || this.#target !== undefined) optimiseAsUsual();
    this.#source?.abandon();
    this.#target?.abandon();
    this.#source = this.#target = undefined;
    for (const fd of this.#pairs.values()) if (fd >= 0) closeDescriptor(fd);
    this.#pairs.clear();
  }

  #start(message: MoveMessage, fd: number): void {
    const { move } = message;
    this.#pairs.delete(move);
    if (fd < 0) {
      this.#ended(message, { reason: 'full', moved: 0, closed: 0 });
      return;
    }
    const pair = new Pair(fd, this.#parts.events);
    const onEnd = (outcome: MoveOutcome): void => {
      optimiseAsUsual();
      this.#ended(message, outcome);
    };
    optimiseMuchLater();
    if (message.role === 'source') this.#source = new Source(this.#parts, message, pair, onEnd);
    else this.#target = new Target(this.#parts, message, pair, onEnd);
    if (this.#isStopping) this.#source?.stop();
  }

  #ended({ move, role }: MoveMessage, { reason, moved, closed }: MoveOutcome): void {
    if (role === 'source') this.#source = undefined;
    else this.#target = undefined;
    this.#message = undefined;
    const left = this.#parts.table.used;
    this.#parts.link.sendUrgent({ type: 'moveEnded', move, role, reason, moved, left, closed });
  }
}
