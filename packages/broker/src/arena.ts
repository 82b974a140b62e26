/** Records begin at multiples of so many bytes. */
const UNIT_BYTES = 8;
const PAGE_BYTES = 64 * 1024;
const PAGE_UNITS = PAGE_BYTES / UNIT_BYTES;
/** Of a record, in front of its bytes: their number, or, while it is free, the next free record of its page + 1. */
const LENGTH_BYTES = 2;
const INTEGER_BYTES = 4;
/** Sizes of records grow by eighths of a power of two, so that less than an eighth of a large one is wasted. */
const STEPS_PER_DOUBLING = 8;
/** The most bytes that a record may be asked for. */
export const MAX_RECORD_BYTES = 20 * 1024;

/** 64 KiB of records of one size. */
interface Page {
  readonly bytes: Buffer;
  /** The same memory. */
  readonly integers: Int32Array;
  readonly sizeClass: SizeClass;
  /** Records in use. */
  used: number;
  /** Records that were ever in use; those behind were never touched. */
  fresh: number;
  /** First free record among those, + 1; 0 for none. */
  free: number;
}

interface SizeClass {
  readonly recordBytes: number;
  /** How many are on a page. */
  readonly perPage: number;
  /** Pages with room; new records are on the last of them. */
  readonly withRoom: number[];
}

/**
 * Bytes that are kept for long, each piece for itself: a million of them are a million integers for their owners, and some
 * hundred Buffers here. A piece has at most {@link MAX_RECORD_BYTES}, and costs its length and two bytes, rounded up to eight
 * bytes (to an eighth of its size, if that is more).
 *
 * Memory comes in pages of 64 KiB, each for records of one size, and goes back when a page has none left; one empty page of
 * each size is kept for what comes next. Nothing is ever moved.
 */
export class Arena {
  readonly #pages: (Page | undefined)[] = [];
  readonly #freePages: number[] = [];
  /** By the size of their records in units. */
  readonly #classes = new Map<number, SizeClass>();
  #pageCount = 0;

  /** Memory of all pages. */
  get bytes(): number {
    return this.#pageCount * PAGE_BYTES;
  }

  /** A record of so many bytes, whose contents are undefined. Never 0. */
  allocate(length: number): number {
    if (!Number.isInteger(length) || length < 0 || length > MAX_RECORD_BYTES) {
      throw new RangeError(`a record has 0 to ${MAX_RECORD_BYTES} bytes, got ${length}`);
    }
    const sizeClass = this.#classOf(length + LENGTH_BYTES);
    const index = sizeClass.withRoom.at(-1) ?? this.#addPage(sizeClass);
    const page = this.#page(index);
    let record = page.free - 1;
    if (record === -1) record = page.fresh++;
    else page.free = page.bytes.readUInt16LE(record * sizeClass.recordBytes);
    page.used++;
    if (page.used === sizeClass.perPage) sizeClass.withRoom.pop();
    const at = record * sizeClass.recordBytes;
    page.bytes.writeUInt16LE(length, at);
    return index * PAGE_UNITS + at / UNIT_BYTES + 1;
  }

  /** A record with a copy of these bytes. */
  add(bytes: Uint8Array): number {
    const id = this.allocate(bytes.length);
    this.get(id).set(bytes);
    return id;
  }

  /** The bytes of a record, lent: they are another's once it is freed. */
  get(id: number): Buffer {
    const { bytes } = this.#page(pageNumberOf(id));
    const at = offsetOf(id);
    const start = at + LENGTH_BYTES;
    return bytes.subarray(start, start + bytes.readUInt16LE(at));
  }

  /** The bytes of all the page of a record, lent: its own begin at {@link firstByte}. No object is made for this, as for {@link get}. */
  pageOf(id: number): Buffer {
    return this.#page(pageNumberOf(id)).bytes;
  }

  /** How many bytes a record has. */
  lengthOf(id: number): number {
    return this.#page(pageNumberOf(id)).bytes.readUInt16LE(offsetOf(id));
  }

  /**
   * For records that are integers: the integers of all its page, lent. Those of the record begin at {@link firstInteger}; it was
   * allocated with {@link bytesForIntegers}.
   */
  integers(id: number): Int32Array {
    return this.#page(pageNumberOf(id)).integers;
  }

  /** A copy of the bytes in a record in place of this one, which is free then. The same record if they fit into it. */
  replace(id: number, bytes: Uint8Array): number {
    const page = this.#page(pageNumberOf(id));
    if (this.#classOf(bytes.length + LENGTH_BYTES) !== page.sizeClass) {
      // What is copied may be a view of what is freed.
      const replacement = this.add(bytes);
      this.free(id);
      return replacement;
    }
    const at = offsetOf(id);
    page.bytes.set(bytes, at + LENGTH_BYTES);
    page.bytes.writeUInt16LE(bytes.length, at);
    return id;
  }

  free(id: number): void {
    const index = pageNumberOf(id);
    const page = this.#page(index);
    const { sizeClass } = page;
    const { recordBytes, perPage, withRoom } = sizeClass;
    const at = offsetOf(id);
    page.bytes.writeUInt16LE(page.free, at);
    page.free = at / recordBytes + 1;
    if (page.used === perPage) withRoom.push(index);
    page.used--;
    if (page.used > 0 || withRoom.length === 1) return;
    withRoom.splice(withRoom.indexOf(index), 1);
    this.#pages[index] = undefined;
    this.#freePages.push(index);
    this.#pageCount--;
  }

  #page(index: number): Page {
    const page = this.#pages[index];
    if (page === undefined) throw new Error(`There is no page ${index}: the record was freed already.`);
    return page;
  }

  #classOf(bytes: number): SizeClass {
    const units = unitsFor(bytes);
    let sizeClass = this.#classes.get(units);
    if (sizeClass === undefined) {
      const recordBytes = units * UNIT_BYTES;
      sizeClass = { recordBytes, perPage: Math.floor(PAGE_BYTES / recordBytes), withRoom: [] };
      this.#classes.set(units, sizeClass);
    }
    return sizeClass;
  }

  #addPage(sizeClass: SizeClass): number {
    const index = this.#freePages.pop() ?? this.#pages.length;
    const bytes = Buffer.allocUnsafeSlow(PAGE_BYTES);
    this.#pages[index] = {
      bytes,
      integers: new Int32Array(bytes.buffer),
      sizeClass,
      used: 0,
      fresh: 0,
      free: 0,
    };
    this.#pageCount++;
    sizeClass.withRoom.push(index);
    return index;
  }
}

/** Where the bytes of a record begin in {@link Arena.pageOf}. */
export function firstByte(id: number): number {
  return offsetOf(id) + LENGTH_BYTES;
}

/** The length of a record for so many integers. */
export function bytesForIntegers(count: number): number {
  return INTEGER_BYTES - LENGTH_BYTES + count * INTEGER_BYTES;
}

/** Where the integers of a record begin in {@link Arena.integers}. */
export function firstInteger(id: number): number {
  return offsetOf(id) / INTEGER_BYTES + 1;
}

function pageNumberOf(id: number): number {
  return Math.floor((id - 1) / PAGE_UNITS);
}

function offsetOf(id: number): number {
  return ((id - 1) % PAGE_UNITS) * UNIT_BYTES;
}

/** Up to 16 units exactly; of more the three highest bits count, and one that is not zero. */
function unitsFor(bytes: number): number {
  const units = Math.ceil(bytes / UNIT_BYTES);
  if (units <= 2 * STEPS_PER_DOUBLING) return units;
  const step = 2 ** (31 - Math.clz32(units - 1)) / STEPS_PER_DOUBLING;
  return Math.ceil(units / step) * step;
}
