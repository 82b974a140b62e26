/** A slot whose handshake may begin, and the owner for whom it counts until {@link SecuringQueue.ended}. */
export interface SecuringStart {
  readonly slot: number;
  readonly owner: string;
}

/** What an owner has. It exists as long as any of that. */
interface Lane {
  readonly owner: string;
  readonly maxUnderWay: number;
  underWay: number;
  /** Slots, oldest first. */
  readonly waiting: Set<number>;
}

/**
 * Which TLS handshake begins next. Each owner (an address) has a lane: its slots wait there, oldest first, and a bounded
 * number of them is under way. Lanes that have both a slot waiting and room are served round robin, so that neither a client
 * that begins handshakes and does not go on, nor one that begins very many, makes the others wait behind it.
 */
export class SecuringQueue {
  readonly #lanes = new Map<string, Lane>();
  /** Lanes from which the next may come, in that order. */
  readonly #ready = new Set<Lane>();
  readonly #laneOf = new Map<number, Lane>();

  get hasNext(): boolean {
    return this.#ready.size > 0;
  }

  /** Lanes that exist: owners with a handshake that waits or is under way. */
  get owners(): number {
    return this.#lanes.size;
  }

  /** A slot waits. False when it waits because its owner has as many as it may. A lane keeps the bound it began with. */
  add(slot: number, owner: string, maxUnderWay: number): boolean {
    let lane = this.#lanes.get(owner);
    if (lane === undefined) {
      lane = { owner, maxUnderWay, underWay: 0, waiting: new Set() };
      this.#lanes.set(owner, lane);
    }
    lane.waiting.add(slot);
    this.#laneOf.set(slot, lane);
    this.#sort(lane);
    return lane.underWay + lane.waiting.size <= lane.maxUnderWay;
  }

  /** Takes the next, which is under way from now on. */
  next(): SecuringStart | undefined {
    for (const lane of this.#ready) {
      for (const slot of lane.waiting) {
        lane.waiting.delete(slot);
        this.#laneOf.delete(slot);
        lane.underWay++;
        // To the end of the lanes.
        this.#ready.delete(lane);
        this.#sort(lane);
        return { slot, owner: lane.owner };
      }
    }
    return undefined;
  }

  /** The slot does not wait any more, if it did. */
  remove(slot: number): void {
    const lane = this.#laneOf.get(slot);
    if (lane === undefined) return;
    this.#laneOf.delete(slot);
    lane.waiting.delete(slot);
    this.#sort(lane);
  }

  /** One that was under way has ended, well or not. */
  ended(owner: string): void {
    const lane = this.#lanes.get(owner);
    if (lane === undefined) return;
    lane.underWay--;
    this.#sort(lane);
  }

  #sort(lane: Lane): void {
    if (lane.waiting.size > 0 && lane.underWay < lane.maxUnderWay) this.#ready.add(lane);
    else this.#ready.delete(lane);
    if (lane.waiting.size === 0 && lane.underWay === 0) this.#lanes.delete(lane.owner);
  }
}
