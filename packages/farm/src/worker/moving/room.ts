import type { MoveRow } from './move-record.ts';
import type { MovingParts } from './moving-parts.ts';

export type RoomParts = Pick<MovingParts, 'config' | 'table' | 'inboundBuffer' | 'outbound' | 'awake'>;

/** What a target has room for at this moment. The rows of a batch share it: each that is taken leaves less to the next. */
export class Room {
  readonly #outbound: RoomParts['outbound'];
  readonly #blockBytes: number;
  #rows: number;
  #inboundBytes: number;
  #queuedBytes = 0;
  #openMessages: number;

  constructor({ config, table, inboundBuffer, outbound, awake }: RoomParts) {
    table.settle();
    this.#outbound = outbound;
    this.#blockBytes = inboundBuffer.blockBytes;
    this.#rows = table.capacity - config.reservedConnections - table.used;
    this.#inboundBytes = inboundBuffer.maxBytes - inboundBuffer.usedBytes;
    this.#openMessages = config.maxAwakeConnections - awake.count;
  }

  /** False, with nothing taken, when there is none for the row. */
  take({ inbound, openMessage, chunks }: MoveRow): boolean {
    const isAwake = openMessage.length > 0;
    const inboundBytes = Math.ceil(inbound.length / this.#blockBytes) * this.#blockBytes + openMessage.length;
    let queuedBytes = 0;
    for (const [bytes] of chunks) queuedBytes += bytes.length;
    if (this.#rows <= 0) return false;
    if (inboundBytes > 0 && inboundBytes > this.#inboundBytes) return false;
    if (queuedBytes > 0 && !this.#outbound.hasRoomFor(this.#queuedBytes + queuedBytes)) return false;
    if (isAwake && this.#openMessages <= 0) return false;
    this.#rows--;
    this.#inboundBytes -= inboundBytes;
    this.#queuedBytes += queuedBytes;
    if (isAwake) this.#openMessages--;
    return true;
  }
}
