import { splitPair } from '../../channel-store/pair.ts';
import { listOf } from './lease.ts';
import type { ScriptRunner } from './script-runner.ts';
import { CLAIM, REAP } from './scripts/leases.ts';
import type { StoreKeys } from './keys.ts';
import type { StoreSteps } from './store-steps.ts';

/** Entries that are removed together; then whatever else waits has its turn. */
const BATCH = 128;

export interface ReaperOptions {
  readonly runner: ScriptRunner;
  readonly keys: StoreKeys;
  readonly steps: StoreSteps;
  readonly leaseMs: number;
  readonly onReaped: () => void;
  /** What could not be removed is for whoever finds the lease expired. */
  readonly onError: () => void;
}

/**
 * Removes the entries of owners that are dead, one owner after the other, each entry by the step that the owner itself would
 * have taken. Each is removed once, whoever else does the same at the same time; and a reaper that dies leaves a
 * lease behind that others find expired.
 */
export class Reaper {
  readonly #options: ReaperOptions;
  readonly #owners: { readonly owner: string; readonly isClaimed: boolean }[] = [];
  #isAllowed = false;
  #running: Promise<void> | undefined;

  constructor(options: ReaperOptions) {
    this.#options = options;
  }

  /** An owner is dead. `isClaimed`: it is ours to remove already. */
  reap(owner: string, isClaimed: boolean): void {
    if (this.#owners.some((other) => other.owner === owner)) return;
    this.#owners.push({ owner, isClaimed });
    this.#run();
  }

  /** Whether it may go on: not before everybody is there again. */
  allow(isAllowed: boolean): void {
    this.#isAllowed = isAllowed;
    this.#run();
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  #run(): void {
    this.#running ??= this.#runAll();
  }

  async #runAll(): Promise<void> {
    // Not inside of the call: it is to be known as running first.
    await Promise.resolve();
    for (;;) {
      const [first] = this.#owners;
      if (first === undefined || !this.#isAllowed) {
        // Here, and not once this has resolved: an owner that comes in between would wait for the next one.
        this.#running = undefined;
        return;
      }
      try {
        if (first.isClaimed || (await this.#claim(first.owner))) await this.#remove(first.owner);
      } catch {
        this.#options.onError();
      }
      this.#owners.shift();
    }
  }

  async #claim(owner: string): Promise<boolean> {
    const { runner, keys, leaseMs } = this.#options;
    const answer = await runner.run({
      script: CLAIM,
      keys: [keys.leases],
      args: [owner, leaseMs],
      doing: 'Claiming a lease in Redis',
    });
    return answer === 1;
  }

  async #remove(owner: string): Promise<void> {
    const { runner, keys, leaseMs, steps, onReaped } = this.#options;
    for (;;) {
      const entries = listOf(
        await runner.run({
          script: REAP,
          keys: [keys.leases, keys.owner(owner)],
          args: [owner, leaseMs, BATCH],
          doing: 'Looking for what a dead worker has left in Redis',
        }),
      );
      if (entries.length === 0) break;
      await Promise.all(
        entries.map((entry) => {
          const text = String(entry);
          const rest = text.slice(1);
          if (text.startsWith('m')) return steps.leave(owner, rest, splitPair(rest));
          return steps.count(owner, {
            channel: rest,
            count: 0,
            tellsCount: text.startsWith('t'),
            isDead: true,
          });
        }),
      );
    }
    onReaped();
  }
}
