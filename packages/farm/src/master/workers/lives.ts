import type { WorkerLife } from './worker-life.ts';

interface Place {
  readonly lives: readonly WorkerLife[];
}

/**
 * The lives of all places, in the order of the places, and their ids: small numbers, each used again when its life is over
 * and another has taken its place.
 */
export class Lives {
  readonly #places: Place[] = [];
  readonly #all: WorkerLife[] = [];
  readonly #byId: (WorkerLife | undefined)[] = [];

  /** Always the same array, which changes. */
  get all(): readonly WorkerLife[] {
    return this.#all;
  }

  /** How many places there are. */
  get placeCount(): number {
    return this.#places.length;
  }

  byId(id: number): WorkerLife | undefined {
    return this.#byId[id];
  }

  /** The smallest id that none has. */
  nextId(): number {
    const free = this.#byId.indexOf(undefined);
    return free === -1 ? this.#byId.length : free;
  }

  /** Its lives count from now on; and each change of them, which {@link changed} reports. */
  add(place: Place): void {
    this.#places.push(place);
    this.changed();
  }

  remove(place: Place): void {
    this.#places.splice(this.#places.indexOf(place), 1);
    this.changed();
  }

  /** The lives of a place are others now. */
  changed(): void {
    this.#all.length = 0;
    this.#byId.fill(undefined);
    for (const life of this.#places.flatMap(({ lives }) => lives)) {
      this.#all.push(life);
      while (this.#byId.length < life.id) this.#byId.push(undefined);
      this.#byId[life.id] = life;
    }
  }
}
