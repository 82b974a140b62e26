import { bytesForIntegers, firstInteger, type Arena } from '@roost/broker';

/** With more room a list is an array of its own. */
const MAX_RECORD_ROOM = 256;

/** Of one channel: a record of the arena, or an array. */
export type MemberList = number | Int32Array<ArrayBuffer>;

/**
 * The members of channels that have several: for each channel as many integers as there is room, the slots, and as many again, a
 * node for each slot. A small list is a record of the arena: an array takes 350 bytes beside what is in it, which is several
 * times as much as a few members do.
 */
export class MemberLists {
  readonly #arena: Arena;

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  make(room: number): MemberList {
    return room > MAX_RECORD_ROOM
      ? new Int32Array(2 * room)
      : this.#arena.allocate(bytesForIntegers(2 * room));
  }

  /** Where the integers of a list are, from {@link startOf} on. Lent until the list is freed. */
  integersOf(list: MemberList): Int32Array {
    return typeof list === 'number' ? this.#arena.integers(list) : list;
  }

  startOf(list: MemberList): number {
    return typeof list === 'number' ? firstInteger(list) : 0;
  }

  /** A list with twice the room in place of this one, which is freed. */
  enlarge(list: MemberList, room: number): MemberList {
    const larger = this.make(2 * room);
    const [from, to] = [this.integersOf(list), this.integersOf(larger)];
    const [start, target] = [this.startOf(list), this.startOf(larger)];
    to.set(from.subarray(start, start + room), target);
    to.set(from.subarray(start + room, start + 2 * room), target + 2 * room);
    this.free(list);
    return larger;
  }

  free(list: MemberList): void {
    if (typeof list === 'number') this.#arena.free(list);
  }
}
