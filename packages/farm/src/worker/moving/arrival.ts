import { closeDescriptors, Interest } from '@roost/poller';
import { ownedCopy, type Publication } from '@roost/broker';
import { CloseCode } from '../../api/close-codes.ts';
import type { MovedFrom } from '../../api/app.ts';
import { AddressRecords, NOTE_BYTES } from '../../link/address-records.ts';
import { RowFlag, RowState } from '../rows/connection-table.ts';
import { EMPTY } from '../rows/empty.ts';
import { TICKS_PER_SECOND } from '../rows/clock.ts';
import { TimeoutKind } from '../rows/timeouts.ts';
import { attachmentFromBytes } from './attachment-bytes.ts';
import { ChannelHold } from './channel-hold.ts';
import { Kept } from './kept.ts';
import { readMoveRecord, type MoveRow } from './move-record.ts';
import type { MovingParts } from './moving-parts.ts';
import type { Plan, Taken } from './plan.ts';
import { positionsOf } from './positions.ts';
import { Room } from './room.ts';

const NS_PER_MS = 1e6;
const CUT_UNKNOWN = 'this part of the server has failed';

/** A row that can be taken. */
interface Arriver {
  /** Its place in the batch. */
  readonly index: number;
  readonly fd: number;
  readonly row: MoveRow;
  readonly app: number;
  readonly attachment: unknown;
  slot: number;
  generation: number;
}

/** What has come of a batch. */
export interface Arrived {
  readonly rows: number;
  /** Those that were to be taken, and found no room any more. */
  readonly lost: number;
  readonly pauseMs: number;
  /** Addresses that count: see the message `moved`. */
  readonly addresses: Buffer;
  /** What was taken over of the counts of the source, once it is. */
  readonly taken: Promise<Taken>;
}

/** The rows of one batch, as they come: their channels held, then looked at, and then adopted. When is `target.ts`'s. */
export class Arrival {
  readonly #parts: MovingParts;
  readonly #plan: Plan;
  readonly #hold: ChannelHold;
  #kept: Kept | undefined;
  #arrivers: Arriver[] = [];
  /** Places in the batch of those that cannot be taken. */
  #refused: number[] = [];
  #sockets: Int32Array = new Int32Array(0);
  #frozenAtNs = 0n;
  #capturedAtNs = 0n;
  /** Why rows cannot be taken, other than for want of room. */
  problem: 'attachment' | 'app' | undefined;

  constructor(parts: MovingParts, plan: Plan) {
    this.#parts = parts;
    this.#plan = plan;
    this.#hold = new ChannelHold(parts, plan);
  }

  /** Resolves to false when the target cannot be made ready. */
  hold(): Promise<boolean> {
    return this.#hold.take();
  }

  /** What is published from here on is for the batch. */
  keep(): void {
    this.#kept = new Kept(new Set(this.#plan.channels), this.#parts.config.maxMoveHeldBytes);
  }

  publication(publication: Publication): void {
    if (this.#kept?.publication(publication) === true) this.#parts.counters.add('move_publications_kept');
  }

  control(message: Buffer): void {
    this.#kept?.control(message);
  }

  /** Something was missed that nobody can give any more. */
  missed(): void {
    if (this.#kept !== undefined) this.#kept.hasGap = true;
  }

  /** The batch has come. A sentence when nothing of it can be taken. */
  arrive(record: Buffer | undefined, sockets: Int32Array): string | undefined {
    this.#sockets = sockets;
    const read = record === undefined ? 'the record did not arrive' : readMoveRecord(record);
    if (typeof read === 'string') return read;
    this.#frozenAtNs = read.frozenAtNs;
    this.#capturedAtNs = read.capturedAtNs;
    let index = -1;
    for (const fd of sockets) {
      index++;
      const row = read.rows[index];
      const arriver = typeof row === 'object' ? this.#look(index, fd, row) : undefined;
      if (arriver === undefined) this.#refused.push(index);
      else this.#arrivers.push(arriver);
    }
    return undefined;
  }

  /** Refuses those for which there is no room, now that it is to be said, or done: others may have come since the batch has. */
  measure(): void {
    const room = new Room(this.#parts);
    this.#arrivers = this.#arrivers.filter(({ row, index }) => {
      const isTaken = room.take(row);
      if (!isTaken) this.#refused.push(index);
      return isTaken;
    });
  }

  /** Sockets that have come, taken or not. */
  get arrivedCount(): number {
    return this.#sockets.length;
  }

  /** Places in the batch of those that cannot be taken. */
  refused(): readonly number[] {
    return this.#refused;
  }

  /** The slot of the row at a place in the batch, while it is still there. */
  slotAt(place: number): number {
    const arriver = this.#arrivers.find(({ index }) => index === place);
    if (arriver === undefined || !this.#parts.table.isCurrent(arriver.slot, arriver.generation)) return -1;
    return arriver.slot;
  }

  /** They are ours: serves them, from the very byte and publication at which the source has stopped. All in one go. */
  adopt(fromOf: (app: number) => MovedFrom): Arrived {
    const { broadcaster, subscriptions, controlMessages, table, apps, countedRows, resyncs } = this.#parts;
    const refused = this.#refused.length;
    // It may be long since it was said which are taken.
    this.measure();
    const lost = this.#refused.length - refused;
    this.#closeRefused();
    this.#verify();
    const addresses = new AddressRecords(NOTE_BYTES);
    for (const channel of this.#plan.channels) broadcaster.rows.seal(channel);
    let opened = 0;
    this.#hold.beginCounts();
    for (const arriver of this.#arrivers) {
      this.#place(arriver);
      countedRows.adopt(arriver.slot, addresses);
      if (arriver.row.state === 'open') opened++;
    }
    this.#parts.counters.add('moved_in', opened);
    const taken = this.#hold.takeCounts();
    for (const item of this.#kept?.items ?? []) {
      const slots = this.#open();
      if ('control' in item) controlMessages.applyTo(item.control, slots);
      else {
        const { publication } = item;
        const members = slots.filter((slot) => subscriptions.isSubscribed(slot, publication.channel));
        if (members.length > 0) broadcaster.rows.deliver(publication, members);
      }
    }
    if (this.#kept?.hasGap === true) {
      for (const slot of this.#open()) subscriptions.markGap(slot);
      resyncs.missed(this.#plan.channels);
    }
    this.#kept = undefined;
    this.#hold.release();
    for (const arriver of this.#arrivers) this.#serve(arriver);
    const pauseMs = Number(process.hrtime.bigint() - this.#frozenAtNs) / NS_PER_MS;
    for (const { slot, generation, app, row } of this.#arrivers) {
      if (row.state !== 'open' || !apps.hasMovedHook(app) || !table.isCurrent(slot, generation)) continue;
      apps.moved(slot, fromOf(app));
    }
    return { rows: this.#arrivers.length, lost, pauseMs, addresses: Buffer.from(addresses.bytes), taken };
  }

  /** Nothing comes of it; the sockets, if they are here, are the source's. */
  forget(): void {
    this.#kept = undefined;
    this.#hold.release();
  }

  /** Closes our copies. */
  discard(): void {
    closeDescriptors(this.#sockets, this.#sockets.length);
    this.#sockets = new Int32Array(0);
    this.#arrivers = [];
    this.#refused = [];
  }

  /** What was published since the mark is not for them. */
  keepNothing(): void {
    this.#kept = undefined;
  }

  /** Closes the connections among the rows, which were adopted. Answers how many. */
  close(): number {
    const slots = this.#open();
    for (const slot of slots) this.#parts.connections.closeOwn(slot, CloseCode.serviceRestart, CUT_UNKNOWN);
    return slots.length;
  }

  /** Undefined when the row cannot be read, and must stay where it is. */
  #look(index: number, fd: number, row: MoveRow): Arriver | undefined {
    const { apps, counters } = this.#parts;
    const app = row.state === 'open' ? apps.indexOfKey(row.app) : 0;
    if (app === -1) {
      this.problem = 'app';
      return undefined;
    }
    try {
      const attachment = attachmentFromBytes(row.attachment);
      return { index, fd, row, app, attachment, slot: -1, generation: 0 };
    } catch {
      // Written by a newer V8.
      counters.add('moves_left_attachment');
      this.problem = 'attachment';
      return undefined;
    }
  }

  #closeRefused(): void {
    const refused = Int32Array.from(this.#refused, (index) => this.#sockets[index] ?? -1);
    closeDescriptors(refused, refused.length);
  }

  /** The kernel's own account of the streams must be what it was when they were cut. */
  #verify(): void {
    const { counters, log } = this.#parts;
    for (const { fd, row } of this.#arrivers) {
      if (row.positions === undefined) continue;
      const now = positionsOf(fd);
      if (now === undefined) continue;
      const [sent, received] = row.positions;
      // A client's FIN may have come since, which counts one.
      if (now[0] === sent && (now[1] === received || now[1] === (received + 1) >>> 0)) continue;
      counters.add('move_position_mismatch');
      log.error({ was: row.positions, is: now }, 'a connection did not arrive as it left');
    }
  }

  #place(arriver: Arriver): void {
    const { table, rows, apps, clock, deadlines, messageRate, attachments, sessions, users } = this.#parts;
    const { row, app, attachment, fd } = arriver;
    const slot = table.allocate(fd, row.number, row.address, 0);
    arriver.slot = slot;
    arriver.generation = table.generation(slot);
    table.setFlag(slot, row.flags);
    table.lastSeen[slot] = Math.max(0, clock.now - row.silentTicks);
    const inbound = row.inbound.length === 0 ? EMPTY : ownedCopy(row.inbound);
    if (row.state !== 'open') {
      this.#parts.inboundBuffer.append(slot, inbound, 0, inbound.length);
      return;
    }
    table.apps[slot] = app;
    table.setLane(slot, apps.lanes.ofApp(app));
    table.setFlag(slot, RowFlag.open | RowFlag.opened | RowFlag.sendable);
    rows.enter(slot, RowState.open);
    this.#parts.subscriptions.join(slot, row.channels);
    for (const [channel, user] of row.members) this.#hold.member(slot, channel, user);
    if (row.user !== undefined) users.set(slot, row.user);
    if (attachment !== undefined) attachments.set(slot, attachment);
    if (row.session !== undefined) sessions.set(slot, row.session);
    if (row.ticksLeft !== undefined) deadlines.adopt(slot, Math.max(1, row.ticksLeft - this.#transitTicks()));
    if (row.rateAheadMs > 0) messageRate?.adopt(slot, row.rateAheadMs);
    this.#parts.partialFrames.adopt(slot, inbound, row.requiredBytes);
    if (row.chunks.length === 0) return;
    const chunks = row.chunks.map(([bytes, frames]) => [ownedCopy(bytes), frames] as const);
    this.#parts.outbound.adopt(slot, chunks);
  }

  /** Since the rows were written down. */
  #transitTicks(): number {
    return Math.floor((Number(process.hrtime.bigint() - this.#capturedAtNs) / 1e9) * TICKS_PER_SECOND);
  }

  /** The row is read from here on. */
  #serve({ slot, generation, row }: Arriver): void {
    const { table, rows, timeouts, awake, events, counters } = this.#parts;
    if (!table.isCurrent(slot, generation)) return;
    // One without a byte may be an HTTP client between two requests.
    const isSilent = row.inbound.length === 0;
    if (row.state === 'handshake') timeouts.set(slot, isSilent ? TimeoutKind.http : TimeoutKind.handshake);
    // What came behind the mark may have closed it.
    if (table.state(slot) === RowState.open && row.openMessage.length > 0) {
      const openMessage = Buffer.from(row.openMessage);
      awake.wake(slot, openMessage, 0, openMessage.length);
    }
    if (!table.isCurrent(slot, generation)) return;
    const isQueued = table.hasFlag(slot, RowFlag.queued);
    if (events.poller.watch(slot, isQueued ? Interest.readable | Interest.writable : Interest.readable) === 0)
      return;
    counters.add('watch_errors');
    rows.end(slot, CloseCode.abnormal, '');
  }

  #open(): number[] {
    const { table } = this.#parts;
    return this.#arrivers
      .filter(({ slot, generation }) => table.isCurrent(slot, generation) && table.isOpen(slot))
      .map(({ slot }) => slot);
  }
}
