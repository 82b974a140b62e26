import { descriptorPair } from '@roost/poller';
import type { MoveEndReason, MoveReason, MoveSide, WorkerMessage } from '../../link/messages.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { FarmConfig } from '../../options/options.ts';
import type { WorkerLife } from '../workers/worker-life.ts';
import { Condemned } from './condemned.ts';
import {
  isMoveOver,
  MOVE_BEGINNING,
  nextMoveStep,
  otherSide,
  type MoveAction,
  type MoveEvent,
  type MoveState,
} from './move-steps.ts';

/** What a move needs of a life. */
export type MovingLife = Pick<
  WorkerLife,
  'apps' | 'connections' | 'givePair' | 'hasProcess' | 'id' | 'index' | 'kill' | 'pid' | 'send' | 'state'
> & {
  readonly report: { readonly broker: { readonly state: string } } | undefined;
};

/** What a worker says of a move. */
export type MoveMessage = Extract<WorkerMessage, { type: 'moved' | 'moveNeedsDeath' | 'moveEnded' }>;

export interface MoveWish {
  readonly source: MovingLife;
  readonly target: MovingLife;
  readonly rows: number | 'all';
  readonly reason: MoveReason;
  /** `rows` have been moved, and were served by nobody for up to `pauseMs`. */
  readonly onMoved?: (rows: number, pauseMs: number) => void;
}

/**
 * How a move has ended. `reason`: that of the side that lives; `left`: what is still at the source. `unsaid`: rows that have come
 * to the target by its word, and whose going the source has not lived to say; below 0, rows that had gone, and whose coming the
 * target has not lived to say.
 */
export interface MoveResult {
  readonly reason: MoveEndReason;
  readonly moved: number;
  readonly left: number;
  readonly closed: number;
  readonly unsaid: number;
}

export interface MoveHooks {
  /** Connections of these addresses have come to `to` from `from`. See address-records.ts. */
  addressesMoved(from: number, to: number, payload: Buffer): void;
  /** For the metrics of the place. */
  paused(target: MovingLife, rows: number, pauseMs: number): void;
}

interface Move {
  readonly id: number;
  readonly wish: MoveWish;
  readonly settle: (result: MoveResult) => void;
  readonly startedAt: number;
  state: MoveState;
  readonly reasons: Record<MoveSide, MoveEndReason>;
  moved: number;
  left: number | undefined;
  closed: number;
  /** By the word of the source, as `moved` is by that of the target. */
  gone: number;
}

/** It travels as a u32. */
const MAX_ID = 0xffff_ffff;

/**
 * Moves of connections from one life of a worker to another, as the master sees them. It makes the pair over which the two
 * talk, keeps no end of it, and from then on only counts, tells of deaths, and kills the side that does not answer. What
 * becomes of a batch the two workers decide.
 */
export class Moves {
  readonly #counters: Counters;
  readonly #log: Log;
  readonly #hooks: MoveHooks;
  readonly #batchRows: number;
  readonly #condemned: Condemned;
  readonly #moves = new Map<number, Move>();
  #lastId = 0;

  constructor(
    { moveBatchRows, handOffTimeoutMs }: Pick<FarmConfig, 'moveBatchRows' | 'handOffTimeoutMs'>,
    counters: Counters,
    log: Log,
    hooks: MoveHooks,
    condemned = new Condemned(handOffTimeoutMs),
  ) {
    this.#batchRows = moveBatchRows;
    this.#condemned = condemned;
    this.#counters = counters;
    this.#log = log;
    this.#hooks = hooks;
  }

  /** Connections may be on their way: at neither worker. */
  get areUnderWay(): boolean {
    return this.#moves.size > 0;
  }

  /** Resolves when both lives have left the move, or are dead. Neither may be in another one. */
  begin(wish: MoveWish): Promise<MoveResult> {
    const { source, target, rows, reason } = wish;
    if (!source.hasProcess || !target.hasProcess) {
      return Promise.resolve({ reason: 'dead', moved: 0, left: source.connections, closed: 0, unsaid: 0 });
    }
    // It closes its connections, each at its time: whoever came to it, or from it, meanwhile might be left out.
    if (source.state === 'draining' || target.state === 'draining') {
      return Promise.resolve({ reason: 'stopped', moved: 0, left: source.connections, closed: 0, unsaid: 0 });
    }
    const pair = this.#pair();
    if (pair === undefined) {
      return Promise.resolve({ reason: 'full', moved: 0, left: source.connections, closed: 0, unsaid: 0 });
    }
    const [sources, targets] = pair;
    this.#lastId = this.#lastId === MAX_ID ? 1 : this.#lastId + 1;
    const id = this.#lastId;
    return new Promise((settle) => {
      const startedAt = performance.now();
      this.#moves.set(id, {
        id,
        wish,
        settle,
        startedAt,
        state: MOVE_BEGINNING,
        reasons: { source: 'done', target: 'done' },
        moved: 0,
        left: undefined,
        closed: 0,
        gone: 0,
      });
      this.#counters.add('moves');
      target.givePair(id, targets);
      source.givePair(id, sources);
      target.send({ type: 'move', move: id, role: 'target', from: source.apps, reason });
      source.send({ type: 'move', move: id, role: 'source', rows, batchRows: this.#batchRows });
    });
  }

  /** Has every move end after the batch that is under way. */
  stop(): void {
    for (const move of this.#moves.values()) this.#step(move, { type: 'stop' });
  }

  /** To be called several times a second. We were not running for `pauseMs` ourselves. */
  look(now: number, pauseMs: number): void {
    this.#condemned.look(now, pauseMs);
  }

  /** A worker says something of a move. Of one that is over, nothing but what has moved counts. */
  workerSaid(life: MovingLife, message: MoveMessage): void {
    const move = this.#moves.get(message.move);
    if (message.type === 'moved') {
      if (move === undefined) return;
      if (message.direction === 'in') this.#movedIn(move, message);
      else move.gone += message.rows;
      return;
    }
    if (move === undefined) return;
    if (message.type === 'moveNeedsDeath') {
      this.#step(move, { type: 'needsDeath', side: message.side });
      return;
    }
    const { role, reason, left, closed } = message;
    move.closed += closed;
    if (role === 'source') move.left = left;
    move.reasons[role] = reason;
    if (life.id === move.wish[role].id) this.#step(move, { type: 'ended', side: role });
  }

  /** Its process has been reaped. */
  workerEnded(life: MovingLife): void {
    for (const move of this.#moves.values()) {
      for (const side of ['source', 'target'] as const) {
        if (move.wish[side] === life) this.#step(move, { type: 'died', side });
      }
    }
  }

  /** Undefined when we have no descriptor left. */
  #pair(): [number, number] | undefined {
    try {
      return descriptorPair();
    } catch (error) {
      this.#log.error({ err: error }, 'no descriptors for a move of connections');
      return undefined;
    }
  }

  #movedIn(move: Move, { rows, pauseMs, payload }: Extract<MoveMessage, { direction: 'in' }>): void {
    const { source, target, onMoved } = move.wish;
    move.moved += rows;
    if (payload.length > 0) this.#hooks.addressesMoved(source.id, target.id, payload);
    this.#hooks.paused(target, rows, pauseMs);
    onMoved?.(rows, pauseMs);
  }

  #step(move: Move, event: MoveEvent): void {
    const { state, actions } = nextMoveStep(move.state, event);
    move.state = state;
    for (const action of actions) this.#act(move, action);
    if (isMoveOver(state)) this.#end(move);
  }

  #act(move: Move, action: MoveAction): void {
    const life = move.wish[action.side];
    if (action.type === 'condemn') this.#condemned.add(move.id, life, performance.now());
    else if (action.what === 'moveStop') life.send({ type: 'moveStop', move: move.id });
    else life.send({ type: 'moveDead', move: move.id, side: otherSide(action.side) });
  }

  #end(move: Move): void {
    if (!this.#moves.delete(move.id)) return;
    this.#condemned.remove(move.id);
    const { source, target } = move.wish;
    const isDead = move.state.source === 'dead' || move.state.target === 'dead';
    const reason = isDead ? 'dead' : reasonOf(move);
    const left = move.state.source === 'dead' ? 0 : (move.left ?? source.connections);
    if (reason !== 'done' && reason !== 'empty') this.#counters.add('moves_stopped');
    this.#log.info(
      {
        from: source.index,
        to: target.index,
        reason,
        rows: move.moved,
        left,
        seconds: Math.round(performance.now() - move.startedAt) / 1000,
      },
      'move done',
    );
    const unsaid = isDead ? move.moved - move.gone : 0;
    move.settle({ reason, moved: move.moved, left, closed: move.closed, unsaid });
  }
}

/** What went wrong at one side says more than that the other was done; and why the target refused rows, more than that it did. */
function reasonOf({ reasons: { source, target }, wish }: Move): MoveEndReason {
  const isReady = [wish.source, wish.target].every(({ report }) => report?.broker.state === 'ready');
  if (source === 'broker' && isReady) return 'marks';
  if (target === 'done' || target === 'empty') return source;
  return source === 'done' || source === 'full' ? target : source;
}
