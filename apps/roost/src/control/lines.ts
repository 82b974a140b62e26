/** Calls `onLine` for each line of a stream of text, without its end. `onTooLong` when a line exceeds `maxCharacters`. */
export class Lines {
  readonly #maxCharacters: number;
  readonly #onLine: (line: string) => void;
  readonly #onTooLong: () => void;
  #rest = '';

  constructor(maxCharacters: number, onLine: (line: string) => void, onTooLong: () => void) {
    this.#maxCharacters = maxCharacters;
    this.#onLine = onLine;
    this.#onTooLong = onTooLong;
  }

  readonly write = (text: string): void => {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
    if (this.#rest.length > this.#maxCharacters) this.#onTooLong();
  };
}
