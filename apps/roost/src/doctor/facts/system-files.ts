import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The files in which Linux tells of itself: /proc and /sys, or a folder that stands for them. */
export class SystemFiles {
  readonly #root: string;

  /** `root`: `/`, except in specs. */
  constructor(root = '/') {
    this.#root = root;
  }

  /** Undefined where there is no such file, or we may not read it. */
  text(path: string): string | undefined {
    try {
      return readFileSync(join(this.#root, path), 'latin1');
    } catch {
      return undefined;
    }
  }

  bytes(path: string): Buffer | undefined {
    try {
      return readFileSync(join(this.#root, path));
    } catch {
      return undefined;
    }
  }

  /** The numbers of a file that holds nothing else, such as one of /proc/sys. Of limits beyond 2^53 about as much. */
  numbers(path: string): readonly number[] | undefined {
    const text = this.text(path)?.trim();
    if (text === undefined || text === '') return undefined;
    const numbers = text.split(/\s+/).map(Number);
    return numbers.some(Number.isNaN) ? undefined : numbers;
  }
}
