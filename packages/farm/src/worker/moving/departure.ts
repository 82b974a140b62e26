import { Interest } from '@roost/poller';
import { hiddenChannel, type Publication } from '@roost/broker';
import { CloseCode } from '../../api/close-codes.ts';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import { EMPTY } from '../rows/empty.ts';
import { TimeoutKind } from '../rows/timeouts.ts';
import type { Tail } from '../states/leaving.ts';
import { Kept } from './kept.ts';
import { attachmentToBytes } from './attachment-bytes.ts';
import { isMovable } from './is-movable.ts';
import type { MoveRecordWriter } from './move-record.ts';
import type { MovingParts } from './moving-parts.ts';
import type { Plan } from './plan.ts';
import type { Chosen } from './row-chooser.ts';
import { rowRecordOf } from './row-record.ts';
import type { TailState } from './tail.ts';

/** A batch with more bytes than these takes no further row. */
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
const NONE: ReadonlySet<string> = new Set();

/** A row of a batch. */
interface Leaver {
  readonly slot: number;
  readonly generation: number;
  /** As planned. */
  members: readonly (readonly [channel: string, user: string])[];
  /** From capture on. */
  channels: readonly string[];
  openMessage: Buffer;
  hasDeparted: boolean;
}

/** The batch, written down. */
export interface Captured {
  readonly record: Buffer;
  readonly sockets: Int32Array;
  /** Slots of rows that stay because their attachments cannot be serialised. */
  readonly unwritable: readonly number[];
}

/** What came of a batch. */
export interface Departed {
  readonly count: number;
  /** By their places in the batch. */
  readonly tails: readonly (readonly [index: number, tail: Tail, state: TailState | undefined])[];
}

/** The rows of one batch, as they leave: frozen, captured, and then gone or back. What to do when is `source.ts`'s. */
export class Departure {
  readonly #parts: MovingParts;
  readonly #writer: MoveRecordWriter;
  readonly #isPatient: boolean;
  readonly #channels = new Set<string>();
  /** A row stays because something has begun for it since it was chosen, and is waited for. */
  hasLate = false;
  #leavers: Leaver[];
  #kept: Kept | undefined;
  #frozenAtNs = 0n;
  #counted: ReadonlySet<string> = NONE;
  readonly #unwritable: number[] = [];

  constructor(parts: MovingParts, writer: MoveRecordWriter, { slots, isPatient }: Chosen) {
    this.#parts = parts;
    this.#writer = writer;
    this.#isPatient = isPatient;
    this.#leavers = slots.map((slot) => ({
      slot,
      generation: parts.table.generation(slot),
      members: [],
      channels: [],
      openMessage: EMPTY,
      hasDeparted: false,
    }));
  }

  get count(): number {
    return this.#leavers.length;
  }

  /** What the target must be ready for. From here on nothing is told of counts; resolves when nothing of that is on its way any more. */
  async plan(): Promise<Plan> {
    const { subscriptions, memberships, occupancy, users, apps, table, broker } = this.#parts;
    const counted = new Map<string, boolean>();
    const members: [string, string, string][] = [];
    for (const leaver of this.#leavers) {
      const { slot } = leaver;
      const channels = subscriptions.channelsOf(slot);
      for (const channel of channels) this.#channels.add(channel);
      leaver.members = memberships.of(slot);
      for (const [channel, user] of leaver.members) {
        members.push([channel, user, broker.store.infoOf(channel, user) ?? '']);
      }
      if (!occupancy.counts(slot)) continue;
      const app = table.apps[slot] ?? 0;
      for (const channel of channels) counted.set(channel, apps.tellsCount(app, channel));
      const user = users.userOf(slot);
      if (user !== undefined) counted.set(hiddenChannel(user), false);
    }
    this.#counted = new Set(counted.keys());
    await broker.store.holdCounts([...this.#counted]);
    // Known, now that what was told first has been told.
    const { owner } = broker.store;
    return { rows: this.count, channels: [...this.#channels], counted: [...counted], owner, members };
  }

  /** Channels, and users as channels, whose counts are held: who takes them must release them. */
  takeCounted(): readonly string[] {
    const counted = [...this.#counted];
    this.#counted = NONE;
    return counted;
  }

  /** It has come to nothing: what is counted here stays. */
  forget(): void {
    this.#parts.broker.store.releaseCounts(this.takeCounted());
  }

  /** The first so many stay in the batch. */
  limit(count: number): void {
    this.#leavers.length = Math.min(this.#leavers.length, count);
  }

  /** Nothing is read from here on. Rows that have changed too much since they were planned leave the batch. */
  freeze(): void {
    const { table, timeouts, events, pendingWork } = this.#parts;
    this.#frozenAtNs = process.hrtime.bigint();
    this.#leavers = this.#leavers.filter(({ slot, generation }) => {
      if (!table.isCurrent(slot, generation) || !isMovable(this.#parts, slot)) return false;
      if (this.#isPatient && pendingWork.has(slot)) {
        this.hasLate = true;
        return false;
      }
      table.setFlag(slot, RowFlag.frozen);
      timeouts.clear(slot);
      events.poller.unwatch(slot);
      return true;
    });
  }

  unfreeze(): void {
    for (const leaver of this.#leavers) this.#thaw(leaver);
    this.forget();
  }

  /**
   * The mark is here: sends what is pending, writes the rows down and takes them out of their channels. From here on
   * publications of the batch are kept. All in one go, so that no hook sees a row that is half gone.
   */
  capture(batch: number): Captured {
    const { apps, broadcaster, controlMessages, subscriptions, table } = this.#parts;
    controlMessages.finish();
    if (apps.hasHandoverHook) {
      for (const { slot, generation } of this.#leavers) {
        if (table.isCurrent(slot, generation) && table.isOpen(slot)) apps.handover(slot);
      }
    }
    this.#keepOnly((leaver) => this.#isReady(leaver));
    subscriptions.keep(this.#channels);
    broadcaster.settleDrops();
    const sent = broadcaster.rows.isPending ? this.#leavers : [];
    if (sent.length > 0) {
      broadcaster.rows.deliverNow(this.#leavers.map(({ slot }) => slot));
      // A queue that was full may have cost one its place.
      this.#keepOnly((leaver) => this.#isReady(leaver));
    }
    const writer = this.#writer;
    writer.begin();
    this.#keepOnly((leaver) => writer.bytes <= MAX_BATCH_BYTES && this.#write(leaver));
    this.#subscribeAnew(sent);
    this.#kept = new Kept(this.#channels, this.#parts.config.maxMoveHeldBytes);
    for (const { slot } of this.#leavers) {
      subscriptions.suspend(slot);
      if (table.isOpen(slot)) this.#parts.leaving.begin(slot);
      this.#parts.rows.enter(slot, RowState.leaving);
    }
    const record = writer.finish(batch, this.#frozenAtNs, process.hrtime.bigint());
    const sockets = Int32Array.from(this.#leavers, ({ slot }) => table.fds[slot] ?? -1);
    return { record, sockets, unwritable: this.#unwritable };
  }

  publication(publication: Publication): void {
    if (this.#kept?.publication(publication) === true) this.#parts.counters.add('move_publications_kept');
  }

  control(message: Buffer): void {
    this.#kept?.control(message);
  }

  /** Publications may have been missed here since the capture. */
  missed(): void {
    if (this.#kept !== undefined) this.#kept.hasGap = true;
  }

  /** The target has the first `arrived`, but those that it could not take; the others are still here. */
  depart(arrived: number, refused: ReadonlySet<number>): Departed {
    const { rows, subscriptions, leaving, table, counters } = this.#parts;
    const tails: [number, Tail, TailState | undefined][] = [];
    const staying: Leaver[] = [];
    let count = 0;
    let opened = 0;
    let index = -1;
    for (const leaver of this.#leavers) {
      index++;
      const { slot, generation, channels } = leaver;
      if (!table.isCurrent(slot, generation)) continue;
      if (index >= arrived || refused.has(index)) {
        staying.push(leaver);
        continue;
      }
      const tail = leaving.take(slot);
      if (tail !== undefined && (tail.hasChanged || tail.steps.length > 0)) {
        tails.push([index, tail, tail.hasChanged ? this.#stateOf(slot) : undefined]);
      }
      if (table.hasFlag(slot, RowFlag.opened)) opened++;
      leaver.hasDeparted = true;
      subscriptions.gone(slot, channels);
      rows.depart(slot);
      count++;
    }
    counters.add('moved_out', opened);
    this.#back(staying);
    return { count, tails };
  }

  /** None of them has moved: they go on here, with what was kept. */
  resume(): void {
    this.#parts.counters.add('move_batches_resumed');
    this.#back(this.#leavers.filter(({ slot, generation }) => this.#parts.table.isCurrent(slot, generation)));
    this.forget();
  }

  /** A row ends while it leaves: what it kept in its channels ends with it. */
  ended(slot: number): void {
    const leaver = this.#leavers.find((one) => one.slot === slot && !one.hasDeparted);
    if (leaver === undefined || this.#kept === undefined) return;
    if (this.#parts.table.state(slot) === RowState.leaving)
      this.#parts.subscriptions.gone(slot, leaver.channels);
  }

  /** The worker ends, and does not know whose the rows are: it lets go of them, as it does of its memory. */
  abandon(): void {
    const { table, rows } = this.#parts;
    for (const { slot, generation } of this.#leavers) {
      if (table.isCurrent(slot, generation) && table.state(slot) === RowState.leaving) rows.depart(slot);
    }
  }

  /** As arrival.ts has it, but that the sockets are here. */
  #back(leavers: readonly Leaver[]): void {
    const { broadcaster, subscriptions, resyncs, rows, table, controlMessages, connections, leaving } =
      this.#parts;
    const kept = this.#kept;
    this.#kept = undefined;
    // What is under way passes them by, as long as they are leaving: it was kept.
    if (leavers.length > 0) controlMessages.finish();
    if (leavers.length > 0) for (const channel of this.#channels) broadcaster.rows.seal(channel);
    for (const { slot, channels } of leavers) {
      subscriptions.resume(slot, channels);
      rows.enter(slot, table.isOpen(slot) ? RowState.open : RowState.handshake);
      if (kept?.hasGap === true) subscriptions.markGap(slot);
    }
    for (const item of kept?.items ?? []) {
      const slots = leavers.map(({ slot }) => slot).filter((slot) => table.isOpen(slot));
      if ('control' in item) controlMessages.applyTo(item.control, slots);
      else {
        const { publication } = item;
        const members = slots.filter((slot) => subscriptions.isSubscribed(slot, publication.channel));
        broadcaster.rows.deliver(publication, members);
      }
    }
    if (kept?.hasGap === true && leavers.length > 0) resyncs.missed([...this.#channels]);
    subscriptions.unreserve(this.#channels);
    for (const leaver of leavers) {
      const { slot, generation } = leaver;
      for (const step of leaving.take(slot)?.steps ?? []) {
        if (!table.isCurrent(slot, generation)) break;
        if (step.do === 'send') connections.send(slot, step.opcode, step.data);
        else if (step.do === 'terminate') connections.terminate(slot);
        else if (step.isOwn) connections.closeOwn(slot, step.code, step.reason);
        else connections.close(slot, step.code, step.reason);
      }
      this.#thaw(leaver);
    }
  }

  /** The row is read again, if it is still there. */
  #thaw({ slot, generation, openMessage }: Leaver): void {
    const { table, timeouts, partialFrames, awake, rows, events, counters } = this.#parts;
    if (!table.isCurrent(slot, generation) || !table.hasFlag(slot, RowFlag.frozen)) return;
    table.clearFlag(slot, RowFlag.frozen);
    const state = table.state(slot);
    if (state === RowState.open && openMessage.length > 0)
      awake.wake(slot, openMessage, 0, openMessage.length);
    else if (state === RowState.awake) awake.restart(slot);
    else if (state === RowState.handshake)
      timeouts.set(slot, partialFrames.has(slot) ? TimeoutKind.handshake : TimeoutKind.http);
    if (!table.isCurrent(slot, generation)) return;
    if (table.isOpen(slot) && partialFrames.has(slot)) timeouts.set(slot, TimeoutKind.message);
    const isQueued = table.hasFlag(slot, RowFlag.queued);
    const interest = isQueued ? Interest.readable | Interest.writable : Interest.readable;
    if (events.poller.watch(slot, interest) === 0) return;
    counters.add('watch_errors');
    rows.end(slot, CloseCode.abnormal, '');
  }

  #keepOnly(stays: (leaver: Leaver) => boolean): void {
    const leaving: Leaver[] = [];
    for (const leaver of this.#leavers) {
      if (stays(leaver)) leaving.push(leaver);
      else this.#thaw(leaver);
    }
    this.#leavers = leaving;
  }

  /** Those who stay of rows that were sent what is pending, which must not come to them again. */
  #subscribeAnew(sent: readonly Leaver[]): void {
    const { broadcaster, subscriptions, table } = this.#parts;
    const leaving = new Set(this.#leavers);
    const staying = sent
      .filter((leaver) => !leaving.has(leaver) && table.isCurrent(leaver.slot, leaver.generation))
      .map(({ slot }) => ({ slot, channels: subscriptions.channelsOf(slot) }));
    if (staying.length === 0) return;
    for (const { slot } of staying) subscriptions.suspend(slot);
    for (const channel of this.#channels) broadcaster.rows.seal(channel);
    for (const { slot, channels } of staying) subscriptions.resume(slot, channels);
  }

  #isReady({ slot, generation, members }: Leaver): boolean {
    const { table, subscriptions, memberships, occupancy, users } = this.#parts;
    if (!table.isCurrent(slot, generation) || !isMovable(this.#parts, slot)) return false;
    const isCounted = occupancy.counts(slot);
    if (!subscriptions.hasOnly(slot, isCounted ? this.#counted : this.#channels)) return false;
    const user = isCounted ? users.userOf(slot) : undefined;
    if (user !== undefined && !this.#counted.has(hiddenChannel(user))) return false;
    // As what the target is no member already, it would leave.
    for (const [channel, member] of memberships.of(slot)) {
      if (!members.some(([name, planned]) => name === channel && planned === member)) return false;
    }
    return true;
  }

  /** False when the row cannot be written down, and stays. */
  #write(leaver: Leaver): boolean {
    const { table, apps, awake, counters, log } = this.#parts;
    const { slot } = leaver;
    let attachment: Buffer;
    try {
      attachment = attachmentToBytes(this.#parts.attachments.get(slot));
    } catch (error) {
      counters.add('moves_left_attachment');
      // One says what is wrong with all of them.
      if (this.#unwritable.length === 0) {
        const reason = error instanceof Error ? error.message : String(error);
        log.warn(
          { app: apps.keyOf(table.apps[slot] ?? 0), reason },
          'connection cannot move: its attachment cannot be serialised',
        );
      }
      this.#unwritable.push(slot);
      return false;
    }
    if (table.state(slot) === RowState.awake) {
      const openMessage = awake.lift(slot);
      if (openMessage === undefined) {
        counters.add('moves_left_awake');
        return false;
      }
      leaver.openMessage = openMessage;
    }
    leaver.channels = this.#parts.subscriptions.channelsOf(slot);
    const { channels, openMessage } = leaver;
    this.#writer.add(rowRecordOf(this.#parts, slot, { channels, openMessage, attachment }));
    return true;
  }

  /** What the application may have replaced since the row was written down. */
  #stateOf(slot: number): TailState {
    const { attachments, sessions, users, deadlines, log } = this.#parts;
    const session = sessions.get(slot);
    const state = {
      session: session === undefined ? undefined : Uint8Array.from(session),
      user: users.userOf(slot),
      ticksLeft: deadlines.ticksLeft(slot),
    };
    try {
      return { ...state, attachment: attachmentToBytes(attachments.get(slot)) };
    } catch (error) {
      // The connection is the target's already, with the one that it had.
      const reason = error instanceof Error ? error.message : String(error);
      log.warn({ reason }, 'attachment cannot move: it cannot be serialised');
      return { ...state, attachment: undefined };
    }
  }
}
