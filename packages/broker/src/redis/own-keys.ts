import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import { answerOf, isDenied, isReplyError } from './failure.ts';
import type { Shortcoming } from './connection/handshake.ts';

const EMPTY = Buffer.alloc(0);

export interface OwnKeysOptions {
  readonly prefix: string;
  /** For messages. */
  readonly shownUrl: string;
  /** One of the keys is refused. May be called again for the same. */
  readonly onShortcoming: (shortcoming: Shortcoming) => void;
}

/**
 * The keys that a broker subscribes for itself, before any channel: control messages, and its probe, a name that only it
 * knows. A broker can do without one of them. Without its probe it is not shown that publications arrive; that the connection
 * lives still is, since each answer to a PING, an error too, is a sign of life.
 */
export class OwnKeys {
  readonly control: Buffer;
  readonly probe: Buffer;
  readonly #options: OwnKeysOptions;
  #isProbeRefused = false;

  constructor(options: OwnKeysOptions) {
    this.#options = options;
    this.control = Buffer.from(`${options.prefix}control`);
    this.probe = Buffer.from(`${options.prefix}probe:${randomUUID()}`);
  }

  /**
   * Rejects when the connection is gone, and with the answer of Redis when it refuses both: such a user has another prefix,
   * most likely, and no channel either.
   */
  async subscribe(subscriber: Redis): Promise<void> {
    const { shownUrl, onShortcoming } = this.#options;
    const refusals: Error[] = [];
    const refusalOf = (error: unknown): Error => {
      if (!isDenied(error)) throw error;
      refusals.push(error);
      return error;
    };
    // Both in one go; each has its own answer.
    const [control, probe] = await Promise.all([
      subscriber.subscribe(this.control).then(() => undefined, refusalOf),
      subscriber.subscribe(this.probe).then(() => undefined, refusalOf),
    ]);
    if (control !== undefined && probe !== undefined) throw control;
    if (control !== undefined) {
      const reason = `No control message can come: Redis at ${shownUrl} refuses the subscription (${answerOf(control)}).`;
      onShortcoming({ kind: 'control', reason });
    }
    this.#isProbeRefused = probe !== undefined;
    if (probe !== undefined) this.#warnOfProbe(probe);
  }

  /** Makes the subscriber connection speak. `onAnswer` is called for what would not come through the subscription. */
  async sendProbe(publisher: Redis, subscriber: Redis | undefined, onAnswer: () => void): Promise<void> {
    try {
      await publisher.publish(this.probe, EMPTY);
      // The question is whether it returns, unless it cannot.
      if (!this.#isProbeRefused) return;
    } catch (error) {
      if (!isReplyError(error)) return;
      this.#warnOfProbe(error);
    }
    try {
      await subscriber?.ping();
      onAnswer();
    } catch (error) {
      if (isReplyError(error)) onAnswer();
    }
  }

  #warnOfProbe(error: Error): void {
    const { shownUrl, prefix, onShortcoming } = this.#options;
    const reason = `Redis at ${shownUrl} refuses the probe (${answerOf(error)}), so PING has to do, which does not show that publications arrive: give the user +publish and &${prefix}*.`;
    onShortcoming({ kind: 'probe', reason });
  }
}
