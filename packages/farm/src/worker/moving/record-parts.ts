/**
 * Bytes, and the same as numbers of 2, 4 and 8 bytes: little endian, as is every processor for which the addon is built. They begin
 * at a multiple of 8.
 */
export class Memory {
  readonly bytes: Buffer;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;
  readonly doubles: Float64Array;

  constructor(bytes: Buffer) {
    const { buffer, byteOffset, length } = bytes;
    this.bytes = bytes;
    this.halves = new Uint16Array(buffer, byteOffset, length >>> 1);
    this.words = new Uint32Array(buffer, byteOffset, length >>> 2);
    this.doubles = new Float64Array(buffer, byteOffset, length >>> 3);
  }
}

/** Names of which each is written once. */
export class Names {
  readonly #lengthBytes: 1 | 2;
  readonly #indexes = new Map<string, number>();

  constructor(lengthBytes: 1 | 2) {
    this.#lengthBytes = lengthBytes;
  }

  get count(): number {
    return this.#indexes.size;
  }

  clear(): void {
    this.#indexes.clear();
  }

  indexOf(name: string): number {
    const known = this.#indexes.get(name);
    if (known !== undefined) return known;
    const index = this.#indexes.size;
    this.#indexes.set(name, index);
    return index;
  }

  bytes(): Buffer {
    let total = 0;
    for (const name of this.#indexes.keys()) total += this.#lengthBytes + Buffer.byteLength(name);
    const bytes = Buffer.alloc(align(total));
    let at = 0;
    for (const name of this.#indexes.keys()) {
      const length = bytes.write(name, at + this.#lengthBytes);
      bytes[at] = length;
      if (this.#lengthBytes === 2) bytes[at + 1] = length >>> 8;
      at += this.#lengthBytes + length;
    }
    return bytes;
  }
}

/** The next multiple of 8. */
export function align(bytes: number): number {
  return (bytes + 7) & ~7;
}
