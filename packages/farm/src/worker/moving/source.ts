import { closeDescriptors } from '@roost/poller';
import type { Publication } from '@roost/broker';
import type { MoveEndReason } from '../../link/messages.ts';
import { Departure } from './departure.ts';
import { GivenCounts } from './given-counts.ts';
import { MoveRecordWriter, RECORD_FORMATS } from './move-record.ts';
import type { MovingParts } from './moving-parts.ts';
import { PairMessage, type Pair, type PairHandlers, type ReceivedMessage } from './pair.ts';
import { markOf, pack, unpack, type Held, type Hello } from './plan.ts';
import { FIRST_PAUSE_MS, LAST_PAUSE_MS, patienceOf } from './patience.ts';
import { RowChooser } from './row-chooser.ts';
import {
  SOURCE_START,
  sourceStep,
  type SourceCommand,
  type SourceEvent,
  type SourceStage,
} from './source-protocol.ts';

/** So many batches in a row that did not move, with a broker that is there, end the move. */
const MAX_FAILURES = 5;
/** So many batches in a row of which no row has moved end the move. */
const MAX_VAIN = 20;
const NOBODY: ReadonlySet<number> = new Set();

export interface SourceOptions {
  readonly move: number;
  readonly rows: number | 'all';
  readonly batchRows: number;
}

export interface MoveOutcome {
  readonly reason: MoveEndReason;
  readonly moved: number;
  readonly closed: number;
}

/** The side of a move that gives rows away: does what source-protocol.ts says. */
export class Source implements PairHandlers {
  readonly #parts: MovingParts;
  readonly #options: SourceOptions;
  readonly #pair: Pair;
  readonly #onEnd: (outcome: MoveOutcome) => void;
  readonly #writer = new MoveRecordWriter();
  readonly #chooser: RowChooser;
  readonly #counts: GivenCounts;
  #state = SOURCE_START;
  #departure: Departure | undefined;
  #hello: Hello | undefined;
  #unwatchMarks: (() => void) | undefined;
  #epoch = 0;
  #lastBatch = 0;
  #moved = 0;
  #failures = 0;
  /** Batches in a row of which no row has moved. */
  #vain = 0;
  #reason: MoveEndReason = 'done';
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: MovingParts, options: SourceOptions, pair: Pair, onEnd: (outcome: MoveOutcome) => void) {
    this.#parts = parts;
    this.#options = options;
    this.#pair = pair;
    this.#onEnd = onEnd;
    this.#chooser = new RowChooser(parts, options.rows === 'all');
    this.#counts = new GivenCounts(parts.broker.store);
    this.#wait('greeting');
    pair.connect(this);
  }

  /** The batch under way is the last. */
  stop(): void {
    this.#reason = 'stopped';
    this.#tell({ type: 'stop' });
  }

  /** The target is dead, and reaped. */
  reaped(): void {
    if (this.#reason === 'done') this.#reason = 'dead';
    this.#tell({ type: 'reaped' });
  }

  /** The worker ends. What may be the target's is not touched. */
  abandon(): void {
    clearTimeout(this.#timer);
    this.#departure?.abandon();
    this.#unwatchMarks?.();
    this.#pair.close();
  }

  publication(publication: Publication): void {
    this.#departure?.publication(publication);
  }

  control(message: Buffer): void {
    this.#departure?.control(message);
  }

  mark(address: string, id: number, epoch: number): void {
    if (address !== this.#hello?.markAddress || id !== markOf(this.#options.move, this.#state.batch)) return;
    const { batch } = this.#state;
    this.#tell(epoch === this.#epoch ? { type: 'mark', batch } : { type: 'lost', batch });
  }

  /** Publications may have been missed. */
  missed(): void {
    this.#departure?.missed();
    this.#tell({ type: 'lost', batch: this.#state.batch });
  }

  rowEnded(slot: number): void {
    this.#departure?.ended(slot);
  }

  pairOnDrained(): void {
    if (this.#reason === 'done') this.#reason = 'dead';
    this.#tell({ type: 'drained' });
  }

  pairOnMessage({ type, batch, value, payload, sockets }: ReceivedMessage): void {
    // Nobody sends any here.
    closeDescriptors(sockets, sockets.length);
    switch (type) {
      case PairMessage.hello:
        void this.#greet(unpack(payload));
        return;
      case PairMessage.held:
        this.#held(batch, unpack(payload));
        return;
      case PairMessage.refused:
        this.#tell({ type: 'refused', batch });
        return;
      case PairMessage.taken:
        this.#taken(batch, value, new Set<number>(unpack(payload)));
        return;
      case PairMessage.counted:
        this.#counts.taken(batch, unpack(payload));
        return;
      case PairMessage.left:
        this.#tell({ type: 'left' });
        return;
      default:
    }
  }

  async #greet(hello: Hello | undefined): Promise<void> {
    if (hello === undefined || this.#hello !== undefined) return;
    const [oldest, newest] = hello.formats;
    if (oldest > RECORD_FORMATS.written || newest < RECORD_FORMATS.written) {
      this.#giveUp('server');
      return;
    }
    this.#hello = hello;
    try {
      this.#unwatchMarks = await this.#parts.broker.watchMarks(hello.markAddress);
    } catch {
      this.#giveUp('broker');
      return;
    }
    if (this.#state.at === 'ended') this.#unwatchMarks();
    else this.#tell({ type: 'hello' });
  }

  #held(batch: number, held: Held | undefined): void {
    if (batch !== this.#state.batch || this.#state.at !== 'planned') return;
    const { broker, counters } = this.#parts;
    const problem =
      held === undefined || broker.server === undefined || held.server === undefined
        ? 'broker'
        : held.server !== broker.server
          ? 'server'
          : held.room === 0
            ? 'full'
            : undefined;
    if (problem !== undefined || held === undefined) {
      counters.add(`move_refused_${problem ?? 'broker'}`);
      this.#reason = problem ?? 'broker';
      // Without a broker it waits; the others will not be different soon.
      if (problem !== 'broker') this.#failures = MAX_FAILURES;
      this.#tell({ type: 'lost', batch });
      return;
    }
    this.#departure?.limit(held.room);
    this.#tell({ type: 'held', batch });
  }

  #taken(batch: number, arrived: number, refused: ReadonlySet<number>): void {
    if (batch !== this.#state.batch) return;
    this.#arrived = arrived;
    this.#refused = refused;
    this.#tell({ type: 'taken', batch });
  }

  #arrived = 0;
  #refused = NOBODY;

  #tell(event: SourceEvent): void {
    const [state, commands] = sourceStep(this.#state, event);
    if (state.at !== this.#state.at || state.batch !== this.#state.batch) this.#entered(state.at);
    this.#state = state;
    for (const command of commands) this.#do(command);
  }

  #entered(at: SourceStage): void {
    clearTimeout(this.#timer);
    if (at !== 'idle' && at !== 'ended' && at !== 'condemned') this.#wait(at);
  }

  #wait(stage: SourceStage): void {
    const ms = patienceOf(stage, this.#parts.config);
    this.#timer = setTimeout(() => {
      this.#parts.counters.add('move_refused_timeout');
      this.#reason = 'timeout';
      this.#tell({ type: 'late', batch: this.#state.batch });
    }, ms);
  }

  #do(command: SourceCommand): void {
    const { batch } = this.#state;
    switch (command) {
      case 'choose':
        this.#failures = 0;
        this.#choose();
        return;
      case 'chooseLater':
        this.#chooseLater();
        return;
      case 'plan':
        void this.#plan(batch);
        return;
      case 'drop':
        this.#pair.send(PairMessage.drop, batch);
        return;
      case 'forget':
        this.#departure?.forget();
        this.#departure = undefined;
        return;
      case 'freeze':
        this.#freeze();
        return;
      case 'unfreeze':
        this.#departure?.unfreeze();
        this.#departure = undefined;
        return;
      case 'capture':
        this.#capture();
        return;
      case 'depart':
        this.#depart();
        return;
      case 'resume':
        this.#departure?.resume();
        this.#departure = undefined;
        return;
      case 'condemn':
        this.#parts.link.sendUrgent({ type: 'moveNeedsDeath', move: this.#options.move, side: 'target' });
        return;
      case 'leave':
        this.#pair.send(PairMessage.leave, batch);
        return;
      case 'end':
        this.#end();
    }
  }

  async #plan(batch: number): Promise<void> {
    const departure = this.#departure;
    if (departure === undefined) return;
    const plan = await departure.plan();
    if (this.#departure === departure) this.#pair.send(PairMessage.plan, batch, 0, pack(plan));
  }

  #choose(): void {
    const { rows, batchRows } = this.#options;
    // HTTP clients that wait for nothing are bare sockets again, and move as such.
    if (rows === 'all') this.#parts.http.liftIdle();
    const wanted = rows === 'all' ? Number.POSITIVE_INFINITY : rows - this.#moved;
    const chosen = this.#chooser.choose(Math.min(wanted, batchRows));
    const { postponed } = chosen;
    if (chosen.slots.length > 0) {
      this.#departure = new Departure(this.#parts, this.#writer, chosen);
      this.#tell({ type: 'chosen', batch: ++this.#lastBatch });
    } else if (postponed > 0 && wanted > 0) {
      this.#parts.counters.add('move_rows_postponed', postponed);
      this.#chooseIn(FIRST_PAUSE_MS);
    } else {
      if (wanted > 0 && this.#chooser.hasLeft) this.#reason = 'attachment';
      else if (this.#moved === 0) this.#reason = 'empty';
      this.#tell({ type: 'nothing' });
    }
  }

  #chooseLater(): void {
    const isAway = this.#parts.broker.server === undefined;
    if (!isAway) this.#failures++;
    if (this.#failures >= MAX_FAILURES) {
      if (this.#reason === 'done') this.#reason = 'timeout';
      this.#tell({ type: 'nothing' });
      return;
    }
    this.#pauseMs = Math.min(LAST_PAUSE_MS, 2 * this.#pauseMs);
    this.#chooseIn(this.#pauseMs);
  }

  #pauseMs = FIRST_PAUSE_MS;

  #chooseIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#parts.broker.server === undefined) this.#chooseLater();
      else this.#choose();
    }, ms);
  }

  #freeze(): void {
    const { broker } = this.#parts;
    const { batch } = this.#state;
    this.#departure?.freeze();
    this.#epoch = broker.epoch;
    broker
      .mark(this.#hello?.markAddress ?? '', markOf(this.#options.move, batch))
      .catch(() => this.#tell({ type: 'lost', batch }));
  }

  #capture(): void {
    const { batch } = this.#state;
    const captured = this.#departure?.capture(batch);
    if (captured === undefined) return;
    this.#chooser.leave(captured.unwritable);
    this.#parts.counters.add('move_batches');
    this.#pair.send(PairMessage.batch, batch, 0, captured.record, captured.sockets);
  }

  #depart(): void {
    const departure = this.#departure;
    if (departure === undefined) return;
    const hasNoRoom = this.#arrived < departure.count;
    const { count, tails } = departure.depart(this.#arrived, this.#refused);
    this.#counts.given(this.#state.batch, departure.takeCounted());
    this.#departure = undefined;
    this.#moved += count;
    this.#pauseMs = FIRST_PAUSE_MS;
    if (this.#reason !== 'stopped') this.#reason = 'done';
    if (tails.length > 0) {
      this.#pair.send(
        PairMessage.tail,
        this.#state.batch,
        0,
        pack(tails.map(([index, { steps }, state]) => [index, steps, state])),
      );
    }
    this.#reportTotal(count);
    if (departure.hasLate) this.#chooser.late();
    const isVain = count === 0 && !departure.hasLate;
    if (!isVain) this.#vain = 0;
    // Nothing more of it would find room, or be understood, there.
    if (hasNoRoom || (count === 0 && this.#refused.size > 0)) {
      this.#parts.counters.add('move_refused_full');
      this.#stopFor('full');
    } else if (isVain && ++this.#vain === MAX_VAIN) {
      // All have ended on their way; or they are such as cannot leave, which would be chosen for ever.
      this.#stopFor('busy');
    }
  }

  /** Behind the commands of the step that is being taken. */
  #stopFor(reason: MoveEndReason): void {
    this.#reason = reason;
    setImmediate(() => this.#tell({ type: 'stop' }));
  }

  #reportTotal(count: number): void {
    this.#parts.link.sendUrgent({
      type: 'moved',
      move: this.#options.move,
      direction: 'out',
      rows: count,
      total: this.#parts.totals.departed(count),
    });
  }

  #giveUp(reason: MoveEndReason): void {
    this.#reason = reason;
    this.#tell({ type: 'stop' });
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#unwatchMarks?.();
    this.#counts.end();
    this.#pair.close();
    this.#onEnd({ reason: this.#reason, moved: this.#moved, closed: 0 });
  }
}
