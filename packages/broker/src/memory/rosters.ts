import { Arena, firstByte, MAX_RECORD_BYTES } from '../arena.ts';
import type { Member } from '../channel-store.ts';
import { NameIndex } from '../name-index.ts';

/** Who is in one channel: records, from `first` to `last` in the order in which they came; 0 for none. */
export interface Roster {
  readonly id: number;
  first: number;
  last: number;
  size: number;
}

/** Of a record: its neighbours, the roster's id, the owner, the bytes of the user; then user and info in UTF-8. */
const AT = { next: 0, previous: 4, roster: 8, owner: 13, userBytes: 16, texts: 18 };
/** So many that none comes twice in years: a roster for each channel that begins to exist, an owner for each start of a worker. */
const ROSTER_BYTES = 5;
const OWNER_BYTES = 3;
/** In place of the bytes of a user: the texts are too large for a record. */
const ELSEWHERE = 0xffff;
/** Beside the bytes of a user: the texts are ASCII, which is read in a third of the time. A record has not so many bytes. */
const ASCII = 0x8000;
const NONE = -1;

/**
 * The members of all channels as records of bytes, some 60 for each with short texts: strings in Maps
 * take four times as many.
 *
 * A member is there through one owner or several: a worker in which the user has connections. Nearly all have one, which stands in
 * the record; only further ones are kept beside it.
 */
export class Rosters {
  readonly #arena = new Arena();
  readonly #index = new NameIndex((record) => nameOf(this.#rosterOf(record), this.#memberOf(record).user));
  /** Texts that are too large. */
  readonly #large = new Map<number, Member>();
  /** Owners beside the one of the record. */
  readonly #further = new Map<number, Set<number>>();
  #lastId = 0;

  make(): Roster {
    return { id: ++this.#lastId, first: 0, last: 0, size: 0 };
  }

  has(roster: Roster, user: string): boolean {
    return this.#find(roster, user) !== NONE;
  }

  /** `first`: nobody had the user there; `further`: another owner has, whose info stays; `again`: this owner had. */
  join(roster: Roster, member: Member, owner: number): 'first' | 'further' | 'again' {
    const record = this.#find(roster, member.user);
    if (record === NONE) {
      this.#append(roster, member, owner);
      return 'first';
    }
    if (this.#isOwner(record, owner)) return 'again';
    const others = this.#further.get(record);
    if (others === undefined) this.#further.set(record, new Set([owner]));
    else others.add(owner);
    return 'further';
  }

  /** `last`: nobody has the user there any more; `absent`: this owner had not. */
  leave(roster: Roster, user: string, owner: number): 'last' | 'others' | 'absent' {
    const record = this.#find(roster, user);
    if (record === NONE || !this.#isOwner(record, owner)) return 'absent';
    const others = this.#further.get(record);
    if (others === undefined) {
      this.#remove(roster, record, user);
      return 'last';
    }
    if (!others.delete(owner)) {
      const [heir = owner] = others;
      others.delete(heir);
      this.#arena.get(record).writeUIntLE(heir, AT.owner, OWNER_BYTES);
    }
    if (others.size === 0) this.#further.delete(record);
    return 'others';
  }

  /** The first so many. */
  members(roster: Roster, limit = Number.POSITIVE_INFINITY): Member[] {
    const members: Member[] = [];
    for (let record = roster.first; record !== 0 && members.length < limit; record = this.#nextOf(record)) {
      members.push(this.#memberOf(record));
    }
    return members;
  }

  /** The users whom this owner has there. */
  usersOf(roster: Roster, owner: number): string[] {
    const users: string[] = [];
    for (let record = roster.first; record !== 0; record = this.#nextOf(record)) {
      if (this.#isOwner(record, owner)) users.push(this.#memberOf(record).user);
    }
    return users;
  }

  #nextOf(record: number): number {
    return this.#arena.pageOf(record).readUInt32LE(firstByte(record) + AT.next);
  }

  #find(roster: Roster, user: string): number {
    return this.#index.get(nameOf(roster.id, user));
  }

  #isOwner(record: number, owner: number): boolean {
    const first = this.#arena.pageOf(record).readUIntLE(firstByte(record) + AT.owner, OWNER_BYTES);
    return first === owner || this.#further.get(record)?.has(owner) === true;
  }

  #rosterOf(record: number): number {
    return this.#arena.pageOf(record).readUIntLE(firstByte(record) + AT.roster, ROSTER_BYTES);
  }

  #memberOf(record: number): Member {
    const page = this.#arena.pageOf(record);
    const start = firstByte(record);
    const userBytes = page.readUInt16LE(start + AT.userBytes);
    const large = userBytes === ELSEWHERE ? this.#large.get(record) : undefined;
    if (large !== undefined) return large;
    const end = start + this.#arena.lengthOf(record);
    const texts = start + AT.texts;
    if (userBytes >= ASCII) {
      const both = page.toString('latin1', texts, end);
      return { user: both.slice(0, userBytes - ASCII), info: both.slice(userBytes - ASCII) };
    }
    return {
      user: page.toString('utf8', texts, texts + userBytes),
      info: page.toString('utf8', texts + userBytes, end),
    };
  }

  #append(roster: Roster, { user, info }: Member, owner: number): void {
    const userBytes = Buffer.byteLength(user);
    const infoBytes = Buffer.byteLength(info);
    const length = AT.texts + userBytes + infoBytes;
    const isAscii = userBytes === user.length && infoBytes === info.length;
    const isLarge = length > MAX_RECORD_BYTES;
    const record = this.#arena.allocate(isLarge ? AT.texts : length);
    const bytes = this.#arena.get(record);
    bytes.writeUInt32LE(0, AT.next);
    bytes.writeUInt32LE(roster.last, AT.previous);
    bytes.writeUIntLE(roster.id, AT.roster, ROSTER_BYTES);
    bytes.writeUIntLE(owner, AT.owner, OWNER_BYTES);
    bytes.writeUInt16LE(isLarge ? ELSEWHERE : userBytes + (isAscii ? ASCII : 0), AT.userBytes);
    if (isLarge) this.#large.set(record, { user, info });
    else bytes.write(info, AT.texts + bytes.write(user, AT.texts));
    if (roster.last === 0) roster.first = record;
    else this.#arena.get(roster.last).writeUInt32LE(record, AT.next);
    roster.last = record;
    roster.size++;
    this.#index.add(nameOf(roster.id, user), record);
  }

  #remove(roster: Roster, record: number, user: string): void {
    this.#index.remove(nameOf(roster.id, user), record);
    const bytes = this.#arena.get(record);
    const next = bytes.readUInt32LE(AT.next);
    const previous = bytes.readUInt32LE(AT.previous);
    if (previous === 0) roster.first = next;
    else this.#arena.get(previous).writeUInt32LE(next, AT.next);
    if (next === 0) roster.last = previous;
    else this.#arena.get(next).writeUInt32LE(previous, AT.previous);
    roster.size--;
    this.#large.delete(record);
    this.#arena.free(record);
  }
}

function nameOf(roster: number, user: string): string {
  return `${roster}\n${user}`;
}
