import type { Channel } from '../channel/channel.ts';
import type { MasterMessage, WorkerMessage } from '../channel/messages.ts';
import type { Counters } from '../counters.ts';

/**
 * This worker's turn to broadcast to large channels, among those of its CPU: see CpuTurns, which gives it.
 *
 *     resting ─► waiting ─► sending ─► resting
 *                   ▲           │
 *                   └───────────┘ after `broadcastTurnMs`, with more to send
 *
 * A worker that has its CPU for itself is never made to wait, and asks nobody.
 */
export class BroadcastTurn {
  readonly #channel: Channel<MasterMessage, WorkerMessage>;
  readonly #counters: Counters;
  /** 0: no turns are taken. */
  readonly #turnMs: number;
  #state: 'resting' | 'waiting' | 'sending' = 'resting';
  /** 0 until something is sent: a turn is never over before it was of use. */
  #endsAt = 0;

  constructor(channel: Channel<MasterMessage, WorkerMessage>, counters: Counters, turnMs: number) {
    this.#channel = channel;
    this.#counters = counters;
    this.#turnMs = turnMs;
  }

  /** Whether it may send now. If not, its turn has been asked for and will come: see {@link begin}. */
  take(): boolean {
    if (this.#turnMs === 0) return true;
    if (this.#state === 'waiting') return false;
    if (this.#state === 'sending') {
      const now = performance.now();
      if (this.#endsAt === 0) this.#endsAt = now + this.#turnMs;
      if (now < this.#endsAt) return true;
    }
    // Nobody is told when the master cannot be: then it is better to send than to wait for ever.
    if (this.#channel.send({ type: 'turn', isWanted: true }, true) !== 'sent') return true;
    this.#state = 'waiting';
    this.#counters.add('broadcast_turns');
    return false;
  }

  /** The master has given it. */
  begin(): void {
    this.#state = 'sending';
    this.#endsAt = 0;
  }

  /** Nothing is left to send. */
  end(): void {
    if (this.#state !== 'sending') return;
    this.#state = 'resting';
    this.#channel.send({ type: 'turn', isWanted: false }, true);
  }
}
