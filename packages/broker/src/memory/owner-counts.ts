interface Share<Owner> {
  readonly owner: Owner;
  count: number;
  next: Share<Owner> | undefined;
}

/**
 * How many each of a few owners has; whom it does not know has none. A list: a Map takes 350 bytes however little is in it, and there is
 * one for every channel.
 */
export class OwnerCounts<Owner> {
  #first: Share<Owner> | undefined;

  get isEmpty(): boolean {
    return this.#first === undefined;
  }

  get total(): number {
    let total = 0;
    for (let share = this.#first; share !== undefined; share = share.next) total += share.count;
    return total;
  }

  get(owner: Owner): number {
    return this.#find(owner)?.count ?? 0;
  }

  set(owner: Owner, count: number): void {
    if (count === 0) {
      this.#remove(owner);
      return;
    }
    const share = this.#find(owner);
    if (share === undefined) this.#first = { owner, count, next: this.#first };
    else share.count = count;
  }

  #find(owner: Owner): Share<Owner> | undefined {
    let share = this.#first;
    while (share !== undefined && share.owner !== owner) share = share.next;
    return share;
  }

  #remove(owner: Owner): void {
    let previous: Share<Owner> | undefined;
    for (let share = this.#first; share !== undefined; previous = share, share = share.next) {
      if (share.owner !== owner) continue;
      if (previous === undefined) this.#first = share.next;
      else previous.next = share.next;
      return;
    }
  }
}
