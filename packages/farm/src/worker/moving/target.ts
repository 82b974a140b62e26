import type { Publication } from '@roost/broker';
import { closeDescriptors } from '@roost/poller';
import type { MovedFrom } from '../../api/app.ts';
import type { AppFacts, MoveEndReason, MoveReason } from '../../link/messages.ts';
import { Arrival } from './arrival.ts';
import { RECORD_FORMATS } from './move-record.ts';
import type { MovingParts } from './moving-parts.ts';
import { PairMessage, type Pair, type PairHandlers, type ReceivedMessage } from './pair.ts';
import { markOf, pack, unpack, type Held, type Hello, type Plan, type Taken } from './plan.ts';
import type { MoveOutcome } from './source.ts';
import { doTail, type TailOfRow } from './tail.ts';
import { TARGET_START, targetStep, type TargetCommand, type TargetEvent } from './target-protocol.ts';

export interface TargetOptions {
  readonly move: number;
  /** The apps of the source. */
  readonly from: readonly AppFacts[];
  readonly reason: MoveReason;
}

/** The side of a move that takes rows: does what target-protocol.ts says. */
export class Target implements PairHandlers {
  readonly #parts: MovingParts;
  readonly #options: TargetOptions;
  readonly #pair: Pair;
  readonly #onEnd: (outcome: MoveOutcome) => void;
  #state = TARGET_START;
  #arrival: Arrival | undefined;
  /** Whose rows may still have a tail to come. */
  #adopted: { readonly batch: number; readonly arrival: Arrival } | undefined;
  #plan: Plan | undefined;
  /** Sockets of a batch that has come too late. */
  #late: Int32Array | undefined;
  #epoch = 0;
  #moved = 0;
  #closed = 0;
  /** Takings over of counts that are under way, or have ended. */
  readonly #takings: Promise<void>[] = [];
  #reason: MoveEndReason = 'done';
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: MovingParts, options: TargetOptions, pair: Pair, onEnd: (outcome: MoveOutcome) => void) {
    this.#parts = parts;
    this.#options = options;
    this.#pair = pair;
    this.#onEnd = onEnd;
    pair.connect(this);
    const hello: Hello = {
      formats: [RECORD_FORMATS.oldest, RECORD_FORMATS.written],
      markAddress: parts.broker.markAddress,
    };
    pair.send(PairMessage.hello, 0, 0, pack(hello));
  }

  /** The source is dead, and reaped. */
  reaped(): void {
    this.#reason = 'dead';
    this.#tell({ type: 'reaped' });
  }

  /** The worker ends. What may be the source's is not touched. */
  abandon(): void {
    clearTimeout(this.#timer);
    this.#arrival?.forget();
    this.#arrival?.discard();
    // What was not said yet is not said any more, and nothing follows from that.
    this.#state = { ...this.#state, at: 'ended' };
    this.#pair.close();
  }

  publication(publication: Publication): void {
    this.#arrival?.publication(publication);
  }

  control(message: Buffer): void {
    this.#arrival?.control(message);
  }

  mark(address: string, id: number, epoch: number): void {
    const { batch } = this.#state;
    if (address !== this.#parts.broker.markAddress || id !== markOf(this.#options.move, batch)) return;
    this.#tell(epoch === this.#epoch ? { type: 'mark', batch } : { type: 'lost', batch });
  }

  missed(): void {
    this.#arrival?.missed();
    this.#tell({ type: 'lost', batch: this.#state.batch });
  }

  pairOnDrained(): void {
    if (this.#reason === 'done') this.#reason = 'dead';
    this.#tell({ type: 'drained' });
  }

  pairOnMessage({ type, batch, payload, sockets }: ReceivedMessage): void {
    if (type !== PairMessage.batch) closeDescriptors(sockets, sockets.length);
    switch (type) {
      case PairMessage.plan:
        this.#plan = unpack(payload);
        this.#tell({ type: 'plan', batch });
        return;
      case PairMessage.batch:
        this.#arrived(batch, payload, sockets);
        return;
      case PairMessage.drop:
        this.#tell({ type: 'drop', batch });
        return;
      case PairMessage.tail:
        this.#tail(batch, unpack(payload) ?? []);
        return;
      case PairMessage.leave:
        // The source must hear first what has become of its counts.
        void Promise.all(this.#takings).then(() => this.#tell({ type: 'leave' }));
        return;
      default:
    }
  }

  #arrived(batch: number, record: Buffer | undefined, sockets: Int32Array): void {
    const isAwaited = this.#state.at === 'held' && batch === this.#state.batch;
    // Those of a batch that comes too late are nobody's here.
    this.#late = isAwaited ? undefined : sockets;
    const problem = isAwaited ? this.#arrival?.arrive(record, sockets) : undefined;
    if (problem !== undefined) this.#parts.log.error({ problem }, 'a batch of a move could not be read');
    this.#tell(problem === undefined ? { type: 'batch', batch } : { type: 'lost', batch });
    if (problem !== undefined) closeDescriptors(sockets, sockets.length);
    this.#late = undefined;
  }

  #tell(event: TargetEvent): void {
    const [state, commands] = targetStep(this.#state, event);
    const wasWaiting = isWaiting(this.#state);
    this.#state = state;
    if (isWaiting(state) !== wasWaiting) this.#wait();
    const batch = 'batch' in event ? event.batch : state.batch;
    for (const command of commands) this.#do(command, batch);
  }

  #wait(): void {
    clearTimeout(this.#timer);
    if (!isWaiting(this.#state)) return;
    this.#timer = setTimeout(() => {
      this.#parts.counters.add('move_refused_timeout');
      this.#tell({ type: 'late', batch: this.#state.batch });
    }, this.#parts.config.moveTimeoutMs);
  }

  #do(command: TargetCommand, batch: number): void {
    const { link } = this.#parts;
    switch (command) {
      case 'hold':
        void this.#hold(batch);
        return;
      case 'tellHeld':
        this.#pair.send(PairMessage.held, batch, 0, pack(this.#held()));
        return;
      case 'tellRefused':
        this.#pair.send(PairMessage.refused, batch);
        return;
      case 'keep':
        this.#arrival?.keep();
        return;
      case 'tellTaken':
        this.#tellTaken(batch);
        return;
      case 'adopt':
        this.#adopt(batch);
        return;
      case 'forget':
        this.#arrival?.forget();
        this.#arrival = undefined;
        return;
      case 'discard':
        this.#discard();
        return;
      case 'destroy':
        this.#destroy(batch);
        return;
      case 'condemn':
        link.sendUrgent({ type: 'moveNeedsDeath', move: this.#options.move, side: 'source' });
        return;
      case 'tellLeft':
        this.#pair.send(PairMessage.left, batch);
        return;
      case 'end':
        clearTimeout(this.#timer);
        this.#pair.close();
        this.#onEnd({ reason: this.#reason, moved: this.#moved, closed: this.#closed });
    }
  }

  async #hold(batch: number): Promise<void> {
    const { broker, counters } = this.#parts;
    const plan = this.#plan;
    if (plan === undefined) {
      this.#tell({ type: 'failed', batch });
      return;
    }
    const arrival = new Arrival(this.#parts, plan);
    this.#arrival = arrival;
    this.#epoch = broker.epoch;
    const isHeld = broker.server !== undefined && (await arrival.hold());
    if (this.#arrival !== arrival) return;
    const isGood = isHeld && broker.epoch === this.#epoch;
    if (!isGood) counters.add('move_refused_broker');
    this.#tell({ type: isGood ? 'subscribed' : 'failed', batch });
  }

  #held(): Held {
    const { broker, table, config } = this.#parts;
    return {
      server: broker.server,
      room: Math.max(0, table.capacity - config.reservedConnections - table.used),
    };
  }

  #tellTaken(batch: number): void {
    const arrival = this.#arrival;
    if (arrival === undefined) return;
    arrival.measure();
    // Between the mark and now something may have been missed, and a source that is alive can give it.
    const payload = pack(arrival.refused());
    this.#pair.send(PairMessage.taken, batch, arrival.arrivedCount, payload, undefined, (isSent) =>
      this.#tell({ type: isSent ? 'told' : 'untold' }),
    );
  }

  #adopt(batch: number): void {
    const { link } = this.#parts;
    const arrival = this.#arrival;
    if (arrival === undefined) return;
    this.#arrival = undefined;
    this.#adopted = { batch, arrival };
    if (this.#reason === 'done') this.#reason = arrival.problem ?? 'done';
    const { rows, lost, pauseMs, addresses, taken } = arrival.adopt((app) => this.#fromOf(app));
    this.#takings.push(this.#tellCounted(batch, taken));
    this.#moved += rows;
    // The source is dead: nobody serves those that were not taken.
    this.#countClosed(this.#state.at === 'ended' ? arrival.refused().length : lost);
    link.sendUrgent({
      type: 'moved',
      move: this.#options.move,
      direction: 'in',
      rows,
      total: this.#parts.totals.arrived(rows),
      pauseMs,
      payload: addresses,
    });
  }

  async #tellCounted(batch: number, taken: Promise<Taken>): Promise<void> {
    const counts = await taken;
    if (this.#state.at !== 'ended') this.#pair.send(PairMessage.counted, batch, 0, pack(counts));
  }

  /** As far as its rows are connections, they end; but in this worker, where their applications can be told. */
  #destroy(batch: number): void {
    const arrival = this.#arrival;
    arrival?.keepNothing();
    this.#adopt(batch);
    this.#countClosed(arrival?.close() ?? 0);
  }

  #countClosed(rows: number): void {
    this.#closed += rows;
    this.#parts.counters.add('moves_closed', rows);
  }

  #discard(): void {
    const late = this.#late;
    if (late === undefined) this.#arrival?.discard();
    else closeDescriptors(late, late.length);
  }

  #fromOf(app: number): MovedFrom {
    const key = this.#parts.apps.keyOf(app);
    const version = this.#options.from.find(({ name }) => name === key)?.version ?? undefined;
    return { version, reason: this.#options.reason };
  }

  #tail(batch: number, tails: readonly TailOfRow[]): void {
    const adopted = this.#adopted;
    if (adopted?.batch !== batch) return;
    for (const [index, steps, state] of tails)
      doTail(this.#parts, adopted.arrival.slotAt(index), steps, state);
  }
}

/** With only one of mark and batch, the other is to come soon. */
function isWaiting({ at, isMarked, hasArrived }: typeof TARGET_START): boolean {
  return at === 'held' && (isMarked || hasArrived);
}
