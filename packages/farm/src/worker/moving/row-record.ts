import { ADDRESS_BYTES } from '@roost/poller';
import { RowFlag } from '../rows/connection-table.ts';
import { EMPTY } from '../rows/empty.ts';
import type { MoveRow } from './move-record.ts';
import type { MovingParts } from './moving-parts.ts';
import { positionsOf } from './positions.ts';

/** Flags that say what a connection is, and not how this worker serves it. */
const TRAVELLING = RowFlag.pinged | RowFlag.gap | RowFlag.proxied | RowFlag.counted | RowFlag.deflate;
const NO_MEMBERS: readonly (readonly [string, string])[] = [];
const NO_CHUNKS: readonly (readonly [Uint8Array, number])[] = [];

/** Everything that a row is, to be written down at once: much of it is lent. */
export function rowRecordOf(
  parts: MovingParts,
  slot: number,
  rest: Pick<MoveRow, 'attachment' | 'channels' | 'openMessage'>,
): MoveRow {
  const { table, apps, clock, deadlines, messageRate, inboundBuffer, memberships, sessions, users } = parts;
  const offset = table.addressOffset(slot);
  return {
    state: table.isOpen(slot) ? 'open' : 'handshake',
    app: table.isOpen(slot) ? apps.keyOf(table.apps[slot] ?? 0) : '',
    number: table.numbers[slot] ?? 0,
    address: table.addresses.subarray(offset, offset + ADDRESS_BYTES),
    flags: (table.flags[slot] ?? 0) & TRAVELLING,
    silentTicks: Math.max(0, clock.now - (table.lastSeen[slot] ?? 0)),
    ticksLeft: deadlines.ticksLeft(slot),
    rateAheadMs: Math.ceil(messageRate?.aheadMs(slot) ?? 0),
    channels: rest.channels,
    chunks: chunksOf(parts, slot),
    inbound: inboundBuffer.length(slot) === 0 ? EMPTY : inboundBuffer.copyOf(slot),
    requiredBytes: inboundBuffer.required(slot),
    openMessage: rest.openMessage,
    attachment: rest.attachment,
    user: users.userOf(slot),
    session: sessions.get(slot),
    members: table.firstSubscriptions[slot] === 0 ? NO_MEMBERS : memberships.of(slot),
    positions: parts.config.verifyMoves === 0 ? undefined : positionsOf(table.fds[slot] ?? -1),
  };
}

function chunksOf({ outbound }: MovingParts, slot: number): readonly (readonly [Uint8Array, number])[] {
  const first = outbound.firstChunkOf(slot);
  if (first === undefined) return NO_CHUNKS;
  const chunks: [Uint8Array, number][] = [];
  for (let chunk: typeof first | undefined = first; chunk !== undefined; chunk = chunk.next) {
    chunks.push([chunk.buffer.subarray(chunk.start, chunk.end), chunk.frames]);
  }
  return chunks;
}
