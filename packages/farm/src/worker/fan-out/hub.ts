import { NameIndex, ownString, type Arena } from '@roost/broker';
import { newHubChannel, type HubChannel } from './hub-channel.ts';
import { MemberLists } from './member-lists.ts';
import { SubscriptionNodes } from './subscription-nodes.ts';

const NOBODY = new Int32Array(0);
const INITIAL_MEMBERS = 4;
const INITIAL_CHANNELS = 64;
/** Columns of a channel: slot and node of its first member, while that is its only one. */
const CHANNEL_FIELDS = 2;

/**
 * Which connection is subscribed to which channel, in this worker. A subscription is a node in a pool, see
 * {@link SubscriptionNodes}. No object exists for a channel with one subscriber, of which there may be as many as connections.
 *
 * A channel is, by its id:
 * - single: its name in `#channels`, one member in `#singles`. No reservations, no walk.
 * - an object: while it is reserved, retained or does not have exactly one member. The members are a dense array of slots,
 *   which the poller walks natively; a first one stays in `#singles` until the second comes.
 *
 * While a broadcast walks a channel, removal leaves a hole (−1) and additions append beyond the length that the walk
 * has recorded; the end of the walk compacts. Swap-removal would make a walk skip or repeat receivers.
 */
export class Hub {
  readonly #firstSubscriptions: Int32Array;
  readonly #ids = new NameIndex((id) => this.nameOf(id));
  readonly #channels: (HubChannel | string | undefined)[] = [];
  readonly #freeChannels: number[] = [];
  #singles = new Int32Array(INITIAL_CHANNELS * CHANNEL_FIELDS);
  /** The only member of a channel, lent by {@link membersOf}. */
  readonly #onlyMember = new Int32Array(1);
  readonly #nodes = new SubscriptionNodes();
  readonly #lists: MemberLists;
  #subscriptionCount = 0;
  #onEmpty: (channel: string) => void = () => undefined;

  /** `firstSubscriptions` is the table's column; small lists of members are records of `arena`. */
  constructor(firstSubscriptions: Int32Array, arena: Arena) {
    this.#firstSubscriptions = firstSubscriptions;
    this.#lists = new MemberLists(arena);
  }

  /** `onEmpty`: a channel has neither subscribers nor reservations any more, and is about to be forgotten. */
  connect(onEmpty: (channel: string) => void): void {
    this.#onEmpty = onEmpty;
  }

  get subscriptionCount(): number {
    return this.#subscriptionCount;
  }

  get channelCount(): number {
    return this.#ids.size;
  }

  has(name: string): boolean {
    return this.#ids.get(name) !== -1;
  }

  /** By which the channel is known as long as it is there; −1 for none. */
  idOf(name: string): number {
    return this.#ids.get(name);
  }

  /** The name of the channel with this id. */
  nameOf(id: number): string {
    const channel = this.#channels[id];
    return typeof channel === 'object' ? channel.name : (channel ?? '');
  }

  /** The names of all channels that have subscribers or reservations. */
  *keys(): IterableIterator<string> {
    for (const channel of this.#channels) {
      if (channel !== undefined) yield typeof channel === 'string' ? channel : channel.name;
    }
  }

  /**
   * The channel as an object, which is made for a single one. The caller either keeps it with {@link retain} or gives it
   * back with {@link settle}.
   */
  open(name: string): HubChannel | undefined {
    const id = this.#ids.get(name);
    return id === -1 ? undefined : this.#objectOf(id);
  }

  /** Each channel that has subscribers, and how many. */
  *subscriberCounts(): IterableIterator<[name: string, count: number]> {
    for (const channel of this.#channels) {
      if (channel === undefined) continue;
      if (typeof channel === 'string') yield [channel, 1];
      else if (channel.length > channel.holes) yield [channel.name, channel.length - channel.holes];
    }
  }

  /** Slots of the subscribers, holes included. Lent until the next call; the first `length` count. */
  membersOf(channel: HubChannel): Int32Array {
    const { members } = channel;
    if (typeof members === 'object') return members;
    if (members !== undefined) {
      const start = this.#lists.startOf(members);
      return this.#lists.integersOf(members).subarray(start, start + channel.length);
    }
    this.#onlyMember[0] = this.#singles[channel.id * CHANNEL_FIELDS] ?? -1;
    return this.#onlyMember;
  }

  /** A copy of the subscribers' slots, without holes. */
  subscribersOf(name: string): Int32Array {
    const id = this.#ids.get(name);
    const channel = this.#channels[id];
    if (channel === undefined) return NOBODY;
    if (typeof channel === 'string') return this.#singles.slice(id * CHANNEL_FIELDS, id * CHANNEL_FIELDS + 1);
    return this.membersOf(channel)
      .slice(0, channel.length)
      .filter((slot) => slot >= 0);
  }

  /** The object stays the channel's until {@link release}, or until the channel is empty. */
  retain(channel: HubChannel): void {
    channel.retains++;
  }

  /** Whether a part relies on the channel's object: something waits for its subscribers. */
  isRetained(name: string): boolean {
    const channel = this.#channels[this.#ids.get(name)];
    return typeof channel === 'object' && channel.retains > 0;
  }

  release(channel: HubChannel): void {
    channel.retains--;
    this.settle(channel);
  }

  /** Keeps a channel alive without a subscriber. */
  reserve(name: string): void {
    const id = this.#ids.get(name);
    const channel = id === -1 ? this.#addEmpty(name) : this.#objectOf(id);
    if (channel !== undefined) channel.reservations++;
  }

  unreserve(name: string): void {
    const channel = this.#channels[this.#ids.get(name)];
    if (channel === undefined || typeof channel === 'string' || channel.reservations === 0) return;
    channel.reservations--;
    this.settle(channel);
  }

  /** False when the connection is subscribed already. */
  subscribe(slot: number, name: string): boolean {
    const known = this.#ids.get(name);
    if (known !== -1 && this.#isMember(slot, known)) return false;
    const id = known === -1 ? this.#addSingle(ownString(name)) : known;
    const index = known === -1 ? 0 : this.#append(known);
    const node = this.#nodes.allocate(id, index, this.#firstSubscriptions[slot] ?? 0);
    this.#setMember(id, index, slot, node);
    this.#firstSubscriptions[slot] = node + 1;
    this.#subscriptionCount++;
    return true;
  }

  /** False when the connection was not subscribed. */
  unsubscribe(slot: number, name: string): boolean {
    const id = this.#ids.get(name);
    if (id === -1) return false;
    let previous = -1;
    for (let node = this.#first(slot); node !== -1; node = this.#nodes.nextOf(node)) {
      if (this.#nodes.channelOf(node) === id) {
        const next = this.#nodes.nextOf(node);
        if (previous === -1) this.#firstSubscriptions[slot] = next + 1;
        else this.#nodes.setNext(previous, next);
        this.#remove(node);
        return true;
      }
      previous = node;
    }
    return false;
  }

  unsubscribeAll(slot: number): void {
    let node = this.#first(slot);
    this.#firstSubscriptions[slot] = 0;
    while (node !== -1) {
      const next = this.#nodes.nextOf(node);
      this.#remove(node);
      node = next;
    }
  }

  isSubscribed(slot: number, name: string): boolean {
    const id = this.#ids.get(name);
    return id !== -1 && this.#isMember(slot, id);
  }

  subscriptionsOf(slot: number): string[] {
    const names: string[] = [];
    for (let node = this.#first(slot); node !== -1; node = this.#nodes.nextOf(node)) {
      names.push(this.nameOf(this.#nodes.channelOf(node)));
    }
    return names.toReversed();
  }

  /** Whether the connection has no channel but these. */
  hasOnly(slot: number, names: ReadonlySet<string>): boolean {
    for (let node = this.#first(slot); node !== -1; node = this.#nodes.nextOf(node)) {
      if (!names.has(this.nameOf(this.#nodes.channelOf(node)))) return false;
    }
    return true;
  }

  /** The connection's channels that are objects, and its place among the members of each. */
  *placesOf(slot: number): IterableIterator<[channel: HubChannel, index: number]> {
    for (let node = this.#first(slot); node !== -1; node = this.#nodes.nextOf(node)) {
      const channel = this.#channels[this.#nodes.channelOf(node)];
      if (typeof channel === 'object') yield [channel, this.#nodes.indexOf(node)];
    }
  }

  /** How many channels the connection has, counted up to `limit`. */
  countOf(slot: number, limit: number): number {
    let count = 0;
    for (let node = this.#first(slot); node !== -1 && count < limit; node = this.#nodes.nextOf(node)) count++;
    return count;
  }

  /** From here until {@link endWalk} members keep their places. */
  beginWalk(channel: HubChannel): void {
    channel.isWalked = true;
  }

  endWalk(channel: HubChannel): void {
    channel.isWalked = false;
    if (channel.holes > 0) this.#compact(channel);
    this.settle(channel);
  }

  /** Drops an object that is needed no more: the channel is empty, or single. */
  settle(channel: HubChannel): void {
    const { id, name, length } = channel;
    if (length > 1 || channel.isWalked || channel.reservations > 0 || this.#channels[id] !== channel) return;
    if (length === 0) {
      this.#forget(id, name);
      this.#freeList(channel);
      return;
    }
    if (channel.retains > 0) return;
    this.#channels[id] = name;
    if (channel.members === undefined) return;
    const integers = this.#lists.integersOf(channel.members);
    const start = this.#lists.startOf(channel.members);
    this.#setMember(id, 0, integers[start] ?? -1, integers[start + channel.room] ?? 0);
    this.#freeList(channel);
  }

  #first(slot: number): number {
    return (this.#firstSubscriptions[slot] ?? 0) - 1;
  }

  #isMember(slot: number, id: number): boolean {
    for (let node = this.#first(slot); node !== -1; node = this.#nodes.nextOf(node)) {
      if (this.#nodes.channelOf(node) === id) return true;
    }
    return false;
  }

  /** The object of a channel, made when it is single. */
  #objectOf(id: number): HubChannel | undefined {
    const channel = this.#channels[id];
    if (typeof channel !== 'string') return channel;
    return this.#makeObject(id, channel, 1);
  }

  #makeObject(id: number, name: string, length: 0 | 1): HubChannel {
    const channel = newHubChannel(id, name, length);
    this.#channels[id] = channel;
    return channel;
  }

  #addEmpty(name: string): HubChannel {
    const kept = ownString(name);
    return this.#makeObject(this.#addSingle(kept), kept, 0);
  }

  /** The caller sets its member. The name is kept. */
  #addSingle(name: string): number {
    const id = this.#freeChannels.pop() ?? this.#channels.length;
    if (id * CHANNEL_FIELDS === this.#singles.length)
      this.#singles = enlarged(this.#singles, this.#singles.length * 2);
    this.#channels[id] = name;
    this.#ids.add(name, id);
    return id;
  }

  /** Makes room for one more member of a known channel. Returns its index. */
  #append(id: number): number {
    const channel = this.#objectOf(id);
    if (channel === undefined) return 0;
    const index = channel.length++;
    if (channel.members === undefined) {
      if (index === 0) return 0;
      channel.members = this.#lists.make(INITIAL_MEMBERS);
      channel.room = INITIAL_MEMBERS;
      const single = id * CHANNEL_FIELDS;
      this.#setMember(id, 0, this.#singles[single] ?? -1, this.#singles[single + 1] ?? 0);
    } else if (index === channel.room) {
      channel.members = this.#lists.enlarge(channel.members, channel.room);
      channel.room *= 2;
    }
    return index;
  }

  #setMember(id: number, index: number, slot: number, node: number): void {
    const channel = this.#channels[id];
    if (typeof channel === 'object' && channel.members !== undefined) {
      const integers = this.#lists.integersOf(channel.members);
      const at = this.#lists.startOf(channel.members) + index;
      integers[at] = slot;
      integers[at + channel.room] = node;
    } else {
      this.#singles[id * CHANNEL_FIELDS] = slot;
      this.#singles[id * CHANNEL_FIELDS + 1] = node;
    }
  }

  /** Takes a node, already unlinked from its connection, out of its channel. */
  #remove(node: number): void {
    const id = this.#nodes.channelOf(node);
    const index = this.#nodes.indexOf(node);
    this.#nodes.release(node);
    this.#subscriptionCount--;
    const channel = this.#channels[id];
    if (channel === undefined) return;
    if (typeof channel === 'string') {
      this.#forget(id, channel);
      return;
    }
    if (channel.isWalked) {
      this.#setMember(id, index, -1, 0);
      channel.holes++;
      return;
    }
    const last = --channel.length;
    if (index !== last) this.#move(channel, last, index);
    this.settle(channel);
  }

  #move({ members, room }: HubChannel, from: number, to: number): void {
    if (members === undefined) return;
    const integers = this.#lists.integersOf(members);
    const start = this.#lists.startOf(members);
    const node = integers[start + room + from] ?? 0;
    integers[start + to] = integers[start + from] ?? -1;
    integers[start + room + to] = node;
    this.#nodes.setIndex(node, to);
  }

  #compact(channel: HubChannel): void {
    const { length, members } = channel;
    channel.length = 0;
    channel.holes = 0;
    // The hole was the only member.
    if (members === undefined) return;
    const integers = this.#lists.integersOf(members);
    const start = this.#lists.startOf(members);
    for (let index = 0; index < length; index++) {
      if (integers[start + index] === -1) continue;
      if (channel.length !== index) this.#move(channel, index, channel.length);
      channel.length++;
    }
  }

  #freeList(channel: HubChannel): void {
    if (channel.members !== undefined) this.#lists.free(channel.members);
    channel.members = undefined;
  }

  #forget(id: number, name: string): void {
    this.#onEmpty(name);
    this.#ids.remove(name, id);
    this.#channels[id] = undefined;
    this.#freeChannels.push(id);
  }
}

function enlarged(column: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(column);
  return larger;
}
