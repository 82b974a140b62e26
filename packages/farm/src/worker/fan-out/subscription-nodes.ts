const INITIAL_NODES = 64;
/** Fields of a node: channel id, index among the channel's members, next node of the connection + 1. */
const NODE_FIELDS = 3;

/**
 * A pool of subscriptions: each is a node of three integers, linked to the connection's other ones. No object exists per
 * subscription.
 */
export class SubscriptionNodes {
  #fields = new Int32Array(INITIAL_NODES * NODE_FIELDS);
  #count = 0;
  /** First free node + 1, linked through the `next` field. */
  #free = 0;

  /** `next`: next node of the connection + 1, or 0. */
  allocate(channel: number, index: number, next: number): number {
    if (this.#free === 0) this.#add();
    const node = this.#free - 1;
    const at = node * NODE_FIELDS;
    this.#free = this.#fields[at + 2] ?? 0;
    this.#fields[at] = channel;
    this.#fields[at + 1] = index;
    this.#fields[at + 2] = next;
    return node;
  }

  release(node: number): void {
    this.#fields[node * NODE_FIELDS + 2] = this.#free;
    this.#free = node + 1;
  }

  channelOf(node: number): number {
    return this.#fields[node * NODE_FIELDS] ?? -1;
  }

  indexOf(node: number): number {
    return this.#fields[node * NODE_FIELDS + 1] ?? 0;
  }

  /** The next node of the connection, or -1. */
  nextOf(node: number): number {
    return (this.#fields[node * NODE_FIELDS + 2] ?? 0) - 1;
  }

  setIndex(node: number, index: number): void {
    this.#fields[node * NODE_FIELDS + 1] = index;
  }

  setNext(node: number, next: number): void {
    this.#fields[node * NODE_FIELDS + 2] = next + 1;
  }

  #add(): void {
    if (this.#count * NODE_FIELDS === this.#fields.length) {
      const larger = new Int32Array(this.#fields.length * 2);
      larger.set(this.#fields);
      this.#fields = larger;
    }
    this.#free = ++this.#count;
    this.#fields[(this.#free - 1) * NODE_FIELDS + 2] = 0;
  }
}
