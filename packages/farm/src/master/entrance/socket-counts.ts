import { isLimited, type AcceptedSocket } from './hand-off.ts';

/** Sockets that one worker has, by what it was given and what it has released. Limited ones have separate places. */
export class SocketCounts {
  #handed = 0;
  #released = 0;
  #limitedHanded = 0;
  #limitedReleased = 0;

  get connections(): number {
    return this.#handed - this.#released;
  }

  get limited(): number {
    return this.#limitedHanded - this.#limitedReleased;
  }

  given(socket: AcceptedSocket): void {
    if (isLimited(socket)) this.#limitedHanded++;
    else this.#handed++;
  }

  /** It never had these. */
  takenBack(sockets: readonly AcceptedSocket[]): void {
    const limited = sockets.filter(isLimited).length;
    this.#limitedHanded -= limited;
    this.#handed -= sockets.length - limited;
  }

  /** What it has released since its start. */
  released(total: number, limited: number): void {
    this.#limitedReleased = limited;
    this.#released = total - limited;
  }

  /** It is gone, with all that it had. */
  reset(): void {
    this.#handed = this.#released = this.#limitedHanded = this.#limitedReleased = 0;
  }
}
