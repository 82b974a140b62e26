import { addCounts } from '../../api/counters.ts';
import type { ConnectionIdSecret } from '../../link/connection-id-secret.ts';
import { Lives } from './lives.ts';
import type { SupervisionHooks } from './supervision-hooks.ts';
import type { SupervisionParts } from './supervision-parts.ts';
import type { WorkerFacts } from './worker-facts.ts';
import type { WorkerLife } from './worker-life.ts';
import { WorkerPlace } from './worker-place.ts';

/** The places of a farm, in the order of their indexes, and the lives in them. */
export class Places {
  readonly lives = new Lives();
  readonly #cpus: readonly number[];
  readonly #ids: ConnectionIdSecret;
  readonly #parts: SupervisionParts;
  readonly #hooks: SupervisionHooks<WorkerLife>;
  readonly #all: WorkerPlace[] = [];
  readonly #formerCounters: Record<string, number> = {};
  /** What the workers of each place know. */
  readonly #shares = new WeakMap<WorkerPlace, boolean>();
  /** How many there are, or will be in a moment. */
  #count = 0;

  /** `cpus`: those that workers are pinned to, in turn. */
  constructor(
    cpus: readonly number[],
    ids: ConnectionIdSecret,
    parts: SupervisionParts,
    hooks: SupervisionHooks<WorkerLife>,
  ) {
    this.#cpus = cpus;
    this.#ids = ids;
    this.#parts = parts;
    this.#hooks = hooks;
    for (let index = 0; index < parts.config.workers; index++) this.add(parts.config.workers);
  }

  /** Always the same array. */
  get all(): readonly WorkerPlace[] {
    return this.#all;
  }

  /** What those have counted that are no more. */
  get formerCounters(): Readonly<Record<string, number>> {
    return this.#formerCounters;
  }

  /** The lives that get sockets, as far as there are any. */
  get currentLives(): WorkerLife[] {
    return this.#all.flatMap(({ current }) => (current === undefined ? [] : [current]));
  }

  get areReady(): boolean {
    return this.#all.every(({ state }) => state === 'ready');
  }

  get areStopped(): boolean {
    return this.#all.every(({ state }) => state === 'stopped');
  }

  start(): void {
    for (const place of this.#all) place.start();
  }

  drain(drainMs: number): void {
    for (const place of this.#all) place.drain(drainMs);
  }

  stop(): void {
    for (const place of this.#all) place.stop();
  }

  /** To be called several times a second. The master was not running for `pauseMs` before. */
  look(now: number, pauseMs: number): void {
    for (const place of this.#all) {
      this.#parts.guard.run('the look at a worker', () => {
        place.checkLiveness(now, pauseMs);
        for (const life of place.lives) {
          life.updateLag(now);
          // What an exception has kept from being sent.
          life.flush();
        }
      });
    }
  }

  /** The last one is given up, and has no life any more. */
  removeLast(): void {
    const place = this.#all.pop();
    if (place === undefined) return;
    this.lives.remove(place);
    addCounts(this.#formerCounters, place.figures.counters);
    this.#count = this.#all.length;
    this.#tellShares();
  }

  /** One more, which must be started. `count`: how many there will be. */
  add(count: number): WorkerPlace {
    this.#count = count;
    const index = this.#all.length;
    const place = new WorkerPlace(index, () => this.#factsOf(index), this.#parts, this.#hooks, this.lives);
    this.#all.push(place);
    this.lives.add(place);
    this.#tellShares();
    return place;
  }

  /** Workers must know when others come to their CPU, or when the last of them has gone. */
  #tellShares(): void {
    for (const place of this.#all) {
      const { sharesCpu } = this.#factsOf(place.index);
      if (this.#shares.get(place) === sharesCpu) continue;
      this.#shares.set(place, sharesCpu);
      for (const life of place.lives) life.send({ type: 'shares', sharesCpu });
    }
  }

  /** As they are when a life begins: the number of places may change. */
  #factsOf(index: number): WorkerFacts {
    const cpus = this.#cpus.length;
    const cpu = this.#cpus[index % cpus] ?? null;
    return { cpu, sharesCpu: index >= cpus || index + cpus < this.#count, ids: this.#ids };
  }
}
