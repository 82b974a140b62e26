import { Fifo } from '../fifo.ts';

/** How much waits in a link to a worker, and how much may. */
export interface LinkLevel {
  /** Memory of the messages that the other side has not taken, in bytes. */
  readonly bufferedBytes: number;
  readonly maxBufferedBytes: number;
}

/** What a publication in a link takes besides its payload: envelope, objects, place in the queue (measured: 567). */
const MESSAGE_BYTES = 640;

/**
 * Shares the room in the link to one worker among channels. What stands in a link cannot be taken out of it again, so room
 * must be left before it is needed: a channel may have as much in it as is free, that is half of it when it floods alone, a
 * third of it when two do. (Dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6, 1998.) One that
 * was refused is let in again when it has half of that, so that it loses a stretch and not every other publication.
 *
 * It follows the link's backlog by its length: what stands in it are the last that were sent. While there is none it holds
 * nothing.
 */
export class LinkShares {
  readonly #level: LinkLevel;
  /** Channels and costs of what may still be in the link, oldest first. Two lines, so that a publication costs no object. */
  readonly #channels = new Fifo<string>();
  readonly #costs = new Fifo<number>();
  #bytes = 0;
  readonly #byChannel = new Map<string, number>();
  readonly #refused = new Set<string>();

  constructor(level: LinkLevel) {
    this.#level = level;
  }

  /** Whether a publication of the channel may be sent. */
  admits(channel: string, payloadBytes: number): boolean {
    const { bufferedBytes, maxBufferedBytes } = this.#level;
    if (bufferedBytes === 0) {
      if (this.#costs.length > 0 || this.#refused.size > 0) this.#clear();
      return true;
    }
    this.#follow(bufferedBytes);
    const own = this.#byChannel.get(channel);
    // It has nothing in the link, so the link decides whether it fits.
    if (own === undefined) {
      this.#refused.delete(channel);
      return true;
    }
    const free = maxBufferedBytes - bufferedBytes;
    const isAdmitted = own + payloadBytes + MESSAGE_BYTES <= (this.#refused.has(channel) ? free / 2 : free);
    if (isAdmitted) this.#refused.delete(channel);
    else this.#refused.add(channel);
    return isAdmitted;
  }

  /** A publication was sent. */
  sent(channel: string, payloadBytes: number): void {
    if (this.#level.bufferedBytes === 0) return;
    const cost = payloadBytes + MESSAGE_BYTES;
    this.#channels.push(channel);
    this.#costs.push(cost);
    this.#bytes += cost;
    this.#byChannel.set(channel, (this.#byChannel.get(channel) ?? 0) + cost);
  }

  /** Forgets what the worker must have taken, since no more than so much is left. */
  #follow(bufferedBytes: number): void {
    for (;;) {
      const cost = this.#costs.first;
      const channel = this.#channels.first;
      if (cost === undefined || channel === undefined || this.#bytes - cost < bufferedBytes) return;
      this.#costs.shift();
      this.#channels.shift();
      this.#bytes -= cost;
      const left = (this.#byChannel.get(channel) ?? 0) - cost;
      if (left > 0) this.#byChannel.set(channel, left);
      else this.#byChannel.delete(channel);
    }
  }

  #clear(): void {
    this.#channels.clear();
    this.#costs.clear();
    this.#bytes = 0;
    this.#byChannel.clear();
    this.#refused.clear();
  }
}
