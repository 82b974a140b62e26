import { NameIndex } from './name-index.ts';
import { ownString } from './own-string.ts';

/** A channel that has several subscribers in this worker, is held, or has publications under way. */
export interface HubChannel {
  readonly id: number;
  readonly name: string;
  /** Undefined: there is room for one member, in the hub's columns. */
  crowd: Crowd | undefined;
  /** Members, holes included. */
  length: number;
  /** Members that are −1: they left while a broadcast was in flight. */
  holes: number;
  /** A broadcast walks the members: they keep their places. */
  isWalked: boolean;
  /** Upgrades that wait for this channel: it must stay subscribed for them. */
  holds: number;
  /** Who relies on this object being the channel's, see {@link Hub.pin}. */
  pins: number;
}

interface Crowd {
  /** Slots of the subscribers. */
  readonly members: Int32Array;
  /** For each member the subscription node that it is. */
  readonly nodes: Int32Array;
}

const INITIAL_CROWD = 4;
const INITIAL_CHANNELS = 64;
/** Columns of a channel: slot and node of its first member, while it has no crowd. */
const CHANNEL_FIELDS = 2;
const INITIAL_NODES = 64;
/** Fields of a subscription node: channel id, index among the members, next node of the connection + 1. */
const NODE_FIELDS = 3;

/**
 * Who is subscribed to what, in this worker. A subscription is a node of three integers in a pool, linked to the
 * connection's other ones. No object exists per subscription, and none for a channel with one subscriber, of which there
 * may be as many as connections.
 *
 * A channel is, by its id:
 * - lone: its name in `#channels`, one member in `#lone`. No holds, no walk.
 * - an object: while it is held, pinned or has not one member. The members are a dense array of slots, which the poller
 *   walks natively; a first one stays in `#lone` until the second comes.
 *
 * While a broadcast walks a channel, removal leaves a hole (−1) and additions append beyond the length that the walk
 * has recorded; the end of the walk compacts. Swap-removal would make a walk skip or repeat receivers.
 */
export class Hub {
  readonly #onVacant: (channel: string) => void;
  readonly #firstSubscriptions: Int32Array;
  readonly #ids = new NameIndex((id) => this.#nameOf(id));
  readonly #channels: (HubChannel | string | undefined)[] = [];
  readonly #freeChannels: number[] = [];
  #lone = new Int32Array(INITIAL_CHANNELS * CHANNEL_FIELDS);
  /** The only member of a channel, lent by {@link membersOf}. */
  readonly #onlyMember = new Int32Array(1);
  #nodes = new Int32Array(INITIAL_NODES * NODE_FIELDS);
  #nodeCount = 0;
  /** First free node + 1, linked through the `next` field. */
  #freeNode = 0;
  #subscriptionCount = 0;

  /**
   * `onVacant`: a channel has neither subscribers nor holds any more, and is about to be forgotten. `firstSubscriptions` is
   * the table's column.
   */
  constructor(firstSubscriptions: Int32Array, onVacant: (channel: string) => void) {
    this.#firstSubscriptions = firstSubscriptions;
    this.#onVacant = onVacant;
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

  /** The names of all channels that have subscribers or holds. */
  *keys(): IterableIterator<string> {
    for (const channel of this.#channels) {
      if (channel !== undefined) yield typeof channel === 'string' ? channel : channel.name;
    }
  }

  /** Whoever keeps it beyond the call must {@link pin} it. */
  get(name: string): HubChannel | undefined {
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
    if (channel.crowd !== undefined) return channel.crowd.members;
    this.#onlyMember[0] = this.#lone[channel.id * CHANNEL_FIELDS] ?? -1;
    return this.#onlyMember;
  }

  /** The object stays the channel's until {@link unpin}, or until the channel is vacant. */
  pin(channel: HubChannel): void {
    channel.pins++;
  }

  unpin(channel: HubChannel): void {
    channel.pins--;
    this.#settle(channel);
  }

  /** Keeps a channel alive without a subscriber. */
  hold(name: string): void {
    const id = this.#ids.get(name);
    const channel = id === -1 ? this.#addEmpty(name) : this.#objectOf(id);
    if (channel !== undefined) channel.holds++;
  }

  unhold(name: string): void {
    const channel = this.#channels[this.#ids.get(name)];
    if (channel === undefined || typeof channel === 'string' || channel.holds === 0) return;
    channel.holds--;
    this.#settle(channel);
  }

  /** False when the connection is subscribed already. */
  subscribe(slot: number, name: string): boolean {
    const known = this.#ids.get(name);
    if (known !== -1 && this.#isMember(slot, known)) return false;
    const node = this.#allocateNode();
    const id = known === -1 ? this.#addLone(ownString(name)) : known;
    const index = known === -1 ? 0 : this.#append(known);
    this.#setMember(id, index, slot, node);
    const at = node * NODE_FIELDS;
    this.#nodes[at] = id;
    this.#nodes[at + 1] = index;
    this.#nodes[at + 2] = this.#firstSubscriptions[slot] ?? 0;
    this.#firstSubscriptions[slot] = node + 1;
    this.#subscriptionCount++;
    return true;
  }

  /** False when the connection was not subscribed. */
  unsubscribe(slot: number, name: string): boolean {
    const id = this.#ids.get(name);
    if (id === -1) return false;
    let previous = -1;
    for (let node = this.#first(slot); node !== -1; node = this.#nextOf(node)) {
      if (this.#nodes[node * NODE_FIELDS] === id) {
        const next = this.#nodes[node * NODE_FIELDS + 2] ?? 0;
        if (previous === -1) this.#firstSubscriptions[slot] = next;
        else this.#nodes[previous * NODE_FIELDS + 2] = next;
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
      const next = this.#nextOf(node);
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
    for (let node = this.#first(slot); node !== -1; node = this.#nextOf(node)) {
      names.push(this.#nameOf(this.#nodes[node * NODE_FIELDS] ?? -1));
    }
    return names.toReversed();
  }

  /** How many channels the connection has, counted up to `limit`. */
  countOf(slot: number, limit: number): number {
    let count = 0;
    for (let node = this.#first(slot); node !== -1 && count < limit; node = this.#nextOf(node)) count++;
    return count;
  }

  /** From here until {@link endWalk} members keep their places. */
  beginWalk(channel: HubChannel): void {
    channel.isWalked = true;
  }

  endWalk(channel: HubChannel): void {
    channel.isWalked = false;
    if (channel.holes > 0) this.#compact(channel);
    this.#settle(channel);
  }

  #first(slot: number): number {
    return (this.#firstSubscriptions[slot] ?? 0) - 1;
  }

  #nextOf(node: number): number {
    return (this.#nodes[node * NODE_FIELDS + 2] ?? 0) - 1;
  }

  #isMember(slot: number, id: number): boolean {
    for (let node = this.#first(slot); node !== -1; node = this.#nextOf(node)) {
      if (this.#nodes[node * NODE_FIELDS] === id) return true;
    }
    return false;
  }

  #nameOf(id: number): string {
    const channel = this.#channels[id];
    return typeof channel === 'object' ? channel.name : (channel ?? '');
  }

  /** The object of a channel, made when it is lone. */
  #objectOf(id: number): HubChannel | undefined {
    const channel = this.#channels[id];
    if (typeof channel !== 'string') return channel;
    return this.#makeObject(id, channel, 1);
  }

  #makeObject(id: number, name: string, length: 0 | 1): HubChannel {
    const channel = { id, name, crowd: undefined, length, holes: 0, isWalked: false, holds: 0, pins: 0 };
    this.#channels[id] = channel;
    return channel;
  }

  #addEmpty(name: string): HubChannel {
    const kept = ownString(name);
    return this.#makeObject(this.#addLone(kept), kept, 0);
  }

  /** The caller sets its member. The name is kept. */
  #addLone(name: string): number {
    const id = this.#freeChannels.pop() ?? this.#channels.length;
    if (id * CHANNEL_FIELDS === this.#lone.length) this.#lone = enlarged(this.#lone, this.#lone.length * 2);
    this.#channels[id] = name;
    this.#ids.add(name, id);
    return id;
  }

  /** Makes room for one more member of a known channel. Returns its index. */
  #append(id: number): number {
    const channel = this.#objectOf(id);
    if (channel === undefined) return 0;
    const index = channel.length++;
    const { crowd } = channel;
    if (crowd === undefined) {
      if (index === 0) return 0;
      const members = new Int32Array(INITIAL_CROWD);
      const nodes = new Int32Array(INITIAL_CROWD);
      members[0] = this.#lone[id * CHANNEL_FIELDS] ?? -1;
      nodes[0] = this.#lone[id * CHANNEL_FIELDS + 1] ?? 0;
      channel.crowd = { members, nodes };
    } else if (index === crowd.members.length) {
      const size = index * 2;
      channel.crowd = { members: enlarged(crowd.members, size), nodes: enlarged(crowd.nodes, size) };
    }
    return index;
  }

  #setMember(id: number, index: number, slot: number, node: number): void {
    const channel = this.#channels[id];
    if (typeof channel === 'object' && channel.crowd !== undefined) {
      channel.crowd.members[index] = slot;
      channel.crowd.nodes[index] = node;
    } else {
      this.#lone[id * CHANNEL_FIELDS] = slot;
      this.#lone[id * CHANNEL_FIELDS + 1] = node;
    }
  }

  #allocateNode(): number {
    this.#freeNodeGuard();
    const node = this.#freeNode - 1;
    this.#freeNode = this.#nodes[node * NODE_FIELDS + 2] ?? 0;
    return node;
  }

  /** Makes sure that there is a free node. */
  #freeNodeGuard(): void {
    if (this.#freeNode !== 0) return;
    if (this.#nodeCount * NODE_FIELDS === this.#nodes.length) {
      this.#nodes = enlarged(this.#nodes, this.#nodes.length * 2);
    }
    this.#freeNode = ++this.#nodeCount;
    this.#nodes[(this.#freeNode - 1) * NODE_FIELDS + 2] = 0;
  }

  /** Takes a node, already unlinked from its connection, out of its channel. */
  #remove(node: number): void {
    const at = node * NODE_FIELDS;
    const id = this.#nodes[at] ?? -1;
    const index = this.#nodes[at + 1] ?? 0;
    this.#nodes[at + 2] = this.#freeNode;
    this.#freeNode = node + 1;
    this.#subscriptionCount--;
    const channel = this.#channels[id];
    if (channel === undefined) return;
    if (typeof channel === 'string') {
      this.#vacate(id, channel);
      return;
    }
    if (channel.isWalked) {
      this.#setMember(id, index, -1, 0);
      channel.holes++;
      return;
    }
    const last = --channel.length;
    if (index !== last && channel.crowd !== undefined) this.#move(channel.crowd, last, index);
    this.#settle(channel);
  }

  #move({ members, nodes }: Crowd, from: number, to: number): void {
    const node = nodes[from] ?? 0;
    members[to] = members[from] ?? -1;
    nodes[to] = node;
    this.#nodes[node * NODE_FIELDS + 1] = to;
  }

  #compact(channel: HubChannel): void {
    const { crowd, length } = channel;
    channel.length = 0;
    channel.holes = 0;
    // Without a crowd the hole was the only member.
    if (crowd === undefined) return;
    for (let index = 0; index < length; index++) {
      if (crowd.members[index] === -1) continue;
      if (channel.length !== index) this.#move(crowd, index, channel.length);
      channel.length++;
    }
  }

  /** An object that nobody needs any more goes: the channel is vacant, or lone. */
  #settle(channel: HubChannel): void {
    const { id, name, length, crowd } = channel;
    if (length > 1 || channel.isWalked || channel.holds > 0 || this.#channels[id] !== channel) return;
    if (length === 0) {
      this.#vacate(id, name);
      return;
    }
    if (channel.pins > 0) return;
    this.#channels[id] = name;
    if (crowd !== undefined) this.#setMember(id, 0, crowd.members[0] ?? -1, crowd.nodes[0] ?? 0);
  }

  #vacate(id: number, name: string): void {
    this.#onVacant(name);
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
