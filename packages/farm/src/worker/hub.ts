/** A channel that has subscribers in this worker, or whose subscription is awaited. */
export interface HubChannel {
  readonly name: string;
  /** Slots of the subscribers; −1 where one left while a broadcast was in flight. The first {@link length} count. */
  members: Int32Array;
  /** For each member the subscription node that it is. */
  nodes: Int32Array;
  length: number;
  /** Members that are −1. */
  holes: number;
  /** A broadcast walks the members: they keep their places. */
  isWalked: boolean;
  /** Upgrades that wait for this channel: it must stay subscribed for them. */
  holds: number;
}

const INITIAL_MEMBERS = 1;
const INITIAL_NODES = 64;
/** Fields of a subscription node: channel id, index among the members, next node of the connection + 1. */
const NODE_FIELDS = 3;

/**
 * Who is subscribed to what, in this worker. A channel holds a dense array of slots, which the poller walks natively; a
 * subscription is a node of three integers in a pool, linked to the connection's other ones. No object exists per
 * subscription.
 *
 * While a broadcast walks a channel, removal leaves a hole (−1) and additions append beyond the length that the walk
 * has recorded; the end of the walk compacts. Swap-removal would make a walk skip or repeat receivers.
 */
export class Hub {
  readonly #onVacant: (channel: string) => void;
  readonly #firstSubscriptions: Int32Array;
  readonly #byName = new Map<string, number>();
  readonly #channels: (HubChannel | undefined)[] = [];
  readonly #freeChannels: number[] = [];
  #nodes = new Int32Array(INITIAL_NODES * NODE_FIELDS);
  #nodeCount = 0;
  /** First free node + 1, linked through the `next` field. */
  #freeNode = 0;
  #subscriptionCount = 0;

  /** `onVacant`: a channel has neither subscribers nor holds any more. `firstSubscriptions` is the table's column. */
  constructor(firstSubscriptions: Int32Array, onVacant: (channel: string) => void) {
    this.#firstSubscriptions = firstSubscriptions;
    this.#onVacant = onVacant;
  }

  get subscriptionCount(): number {
    return this.#subscriptionCount;
  }

  get channelCount(): number {
    return this.#byName.size;
  }

  get(name: string): HubChannel | undefined {
    const id = this.#byName.get(name);
    return id === undefined ? undefined : this.#channels[id];
  }

  *channels(): IterableIterator<HubChannel> {
    for (const id of this.#byName.values()) {
      const channel = this.#channels[id];
      if (channel !== undefined) yield channel;
    }
  }

  /** Keeps a channel alive without a subscriber. */
  hold(name: string): void {
    const channel = this.#channels[this.#idOf(name)];
    if (channel !== undefined) channel.holds++;
  }

  unhold(name: string): void {
    const id = this.#byName.get(name);
    const channel = id === undefined ? undefined : this.#channels[id];
    if (channel === undefined) return;
    channel.holds--;
    this.#vacateIfEmpty(channel);
  }

  /** False when the connection is subscribed already. */
  subscribe(slot: number, name: string): boolean {
    if (this.isSubscribed(slot, name)) return false;
    const id = this.#idOf(name);
    const channel = this.#channels[id];
    if (channel === undefined) return false;
    const node = this.#allocateNode();
    const index = channel.length;
    if (index === channel.members.length) grow(channel);
    channel.members[index] = slot;
    channel.nodes[index] = node;
    channel.length++;
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
    const id = this.#byName.get(name);
    if (id === undefined) return false;
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
    const id = this.#byName.get(name);
    if (id === undefined) return false;
    for (let node = this.#first(slot); node !== -1; node = this.#nextOf(node)) {
      if (this.#nodes[node * NODE_FIELDS] === id) return true;
    }
    return false;
  }

  subscriptionsOf(slot: number): string[] {
    const names: string[] = [];
    for (let node = this.#first(slot); node !== -1; node = this.#nextOf(node)) {
      const channel = this.#channels[this.#nodes[node * NODE_FIELDS] ?? -1];
      if (channel !== undefined) names.push(channel.name);
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
    this.#vacateIfEmpty(channel);
  }

  #first(slot: number): number {
    return (this.#firstSubscriptions[slot] ?? 0) - 1;
  }

  #nextOf(node: number): number {
    return (this.#nodes[node * NODE_FIELDS + 2] ?? 0) - 1;
  }

  #idOf(name: string): number {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const id = this.#freeChannels.pop() ?? this.#channels.length;
    this.#channels[id] = {
      name,
      members: new Int32Array(INITIAL_MEMBERS),
      nodes: new Int32Array(INITIAL_MEMBERS),
      length: 0,
      holes: 0,
      isWalked: false,
      holds: 0,
    };
    this.#byName.set(name, id);
    return id;
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
      const larger = new Int32Array(this.#nodes.length * 2);
      larger.set(this.#nodes);
      this.#nodes = larger;
    }
    this.#freeNode = ++this.#nodeCount;
    this.#nodes[(this.#freeNode - 1) * NODE_FIELDS + 2] = 0;
  }

  /** Takes a node, already unlinked from its connection, out of its channel. */
  #remove(node: number): void {
    const at = node * NODE_FIELDS;
    const channel = this.#channels[this.#nodes[at] ?? -1];
    const index = this.#nodes[at + 1] ?? 0;
    this.#nodes[at + 2] = this.#freeNode;
    this.#freeNode = node + 1;
    this.#subscriptionCount--;
    if (channel === undefined) return;
    if (channel.isWalked) {
      channel.members[index] = -1;
      channel.holes++;
      return;
    }
    const last = --channel.length;
    if (index !== last) this.#place(channel, index, last);
    this.#vacateIfEmpty(channel);
  }

  /** Moves the member at `from` to `to`. */
  #place(channel: HubChannel, to: number, from: number): void {
    const node = channel.nodes[from] ?? 0;
    channel.members[to] = channel.members[from] ?? -1;
    channel.nodes[to] = node;
    this.#nodes[node * NODE_FIELDS + 1] = to;
  }

  #compact(channel: HubChannel): void {
    let kept = 0;
    for (let index = 0; index < channel.length; index++) {
      if (channel.members[index] === -1) continue;
      if (kept !== index) this.#place(channel, kept, index);
      kept++;
    }
    channel.length = kept;
    channel.holes = 0;
  }

  #vacateIfEmpty(channel: HubChannel): void {
    if (channel.length > 0 || channel.isWalked || channel.holds > 0) return;
    const id = this.#byName.get(channel.name);
    if (id === undefined || this.#channels[id] !== channel) return;
    this.#byName.delete(channel.name);
    this.#channels[id] = undefined;
    this.#freeChannels.push(id);
    this.#onVacant(channel.name);
  }
}

function grow(channel: HubChannel): void {
  const size = Math.max(4, channel.members.length * 2);
  const members = new Int32Array(size);
  members.set(channel.members);
  channel.members = members;
  const nodes = new Int32Array(size);
  nodes.set(channel.nodes);
  channel.nodes = nodes;
}
