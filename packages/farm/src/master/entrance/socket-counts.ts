import { isLimited, type AcceptedSocket } from './hand-off.ts';

/**
 * Sockets that one worker has: what it was given, and what has moved in, less what it has released and what has moved out.
 * Limited ones have separate places.
 */
export class SocketCounts {
  #handed = 0;
  #released = 0;
  #movedIn = 0;
  #movedOut = 0;
  #limitedHanded = 0;
  #limitedReleased = 0;

  get connections(): number {
    return this.#handed + this.#movedIn - this.#movedOut - this.#released;
  }

  get limited(): number {
    return this.#limitedHanded - this.#limitedReleased;
  }

  given(socket: AcceptedSocket): void {
    if (isLimited(socket)) this.#limitedHanded++;
    else this.#handed++;
  }

  /** None of these is limited. */
  givenRun(count: number): void {
    this.#handed += count;
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

  /** What has come from other workers since its start; none of them is limited. */
  movedIn(total: number): void {
    this.#movedIn = total;
  }

  /** What has gone to other workers since its start. */
  movedOut(total: number): void {
    this.#movedOut = total;
  }

  /** It is gone, with all that it had. */
  reset(): void {
    this.#handed = this.#released = this.#movedIn = this.#movedOut = 0;
    this.#limitedHanded = this.#limitedReleased = 0;
  }
}
