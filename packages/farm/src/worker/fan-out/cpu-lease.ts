import type { Counters } from '../../api/counters.ts';
import type { Link } from '../../link/link.ts';
import type { MasterMessage, WorkerMessage } from '../../link/messages.ts';

/**
 * This worker's lease of the CPU that it shares with other workers: with it, it may broadcast to large channels. The master
 * grants it, see CpuLeases.
 *
 *     idle ─► asked ─► held ─► idle
 *               ▲        │
 *               └────────┘ after `broadcastTurnMs`, with more to send
 *
 * A worker that has its CPU for itself asks nobody and is never made to wait.
 */
export class CpuLease {
  readonly #link: Link<MasterMessage, WorkerMessage>;
  readonly #counters: Counters;
  /** 0: the CPU is not shared. */
  #leaseMs: number;
  #state: 'idle' | 'asked' | 'held' = 'idle';
  /** 0 until something is sent: a lease never ends before it was of use. */
  #endsAt = 0;
  #onGranted: () => void = () => undefined;

  constructor(link: Link<MasterMessage, WorkerMessage>, counters: Counters, leaseMs: number) {
    this.#link = link;
    this.#counters = counters;
    this.#leaseMs = leaseMs;
  }

  /** Given once: called when the lease that {@link take} asked for is there. */
  connect(onGranted: () => void): void {
    this.#onGranted = onGranted;
  }

  /** From now on the CPU is shared, or, with 0, not any more. What was asked for is granted all the same. */
  share(leaseMs: number): void {
    this.#leaseMs = leaseMs;
  }

  /** Whether this worker may send now. If not, the lease has been asked for. */
  take(): boolean {
    if (this.#leaseMs === 0) return true;
    if (this.#state === 'asked') return false;
    if (this.#state === 'held') {
      const now = performance.now();
      if (this.#endsAt === 0) this.#endsAt = now + this.#leaseMs;
      if (now < this.#endsAt) return true;
    }
    // When the master cannot be asked it is better to send than to wait for ever.
    if (this.#link.sendUrgent({ type: 'lease', isWanted: true }) !== 'sent') return true;
    this.#state = 'asked';
    this.#counters.add('broadcast_turns');
    return false;
  }

  /** The master has granted the lease. */
  granted(): void {
    this.#state = 'held';
    this.#endsAt = 0;
    this.#onGranted();
  }

  /** Nothing is left to send. */
  giveBack(): void {
    if (this.#state !== 'held') return;
    this.#state = 'idle';
    this.#link.sendUrgent({ type: 'lease', isWanted: false });
  }
}
