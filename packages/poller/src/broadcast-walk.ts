/** Elements of {@link BroadcastWalk.results}: two counts, then a pair for each exception. As in native/broadcast.cc. */
const EXCEPTIONS = 0;
const WHOLE = 1;
const FIRST_PAIR = 2;
const PAIR_ELEMENTS = 2;

/** The number of a row's form has at most four bits. */
const MAX_FORMS = 16;

const NO_MEMBERS = new Int32Array(0);
const NO_BYTES = Buffer.alloc(0);

export interface BroadcastWalkOptions {
  /**
   * The bits of a row's flags that hold the number of its form: at most four, neighbours. Default 0: all take the first.
   */
  readonly formMask?: number;
  /** Exceptions that a walk can report before it stops; at least 1. Default 1,024. */
  readonly maxExceptions?: number;
}

/**
 * One message on its way to many rows, some of them at a time: the rows, their forms, and the outcomes. `broadcast` of a
 * {@link Poller}, or its substitute, walks through `members[from … to)`, in this order:
 *
 * - Negative members are holes and are passed over, and so are the row `exceptSlot` and rows whose form is empty.
 * - A row that must not be sent to directly, by its flags, is an exception: BROADCAST_SKIPPED.
 * - Any other is sent its form at once, as a whole. Taken whole it is counted; everything else is an exception: how many
 *   bytes were taken (0: there was no room), or -errno (-EBADF: no descriptor, or no such slot).
 *
 * It stops when `budgetMicros` have passed, which is checked every few sends, or before a row for whose exception
 * there might be no room, and answers the index at which to go on: `to` when it is done. The next walk overwrites the
 * results.
 *
 * The object is made once and is the caller's to fill for every walk, so that a walk allocates nothing.
 */
export class BroadcastWalk {
  /** Slots. */
  members: Int32Array = NO_MEMBERS;
  from = 0;
  /** At most the length of `members`. */
  to = 0;
  /** The one row that is sent nothing; −1 for none. */
  exceptSlot = -1;
  /** The message in each of its forms, by number; an empty one is not sent. There is one for every number that `formMask` has room for. */
  readonly forms: Buffer[];
  readonly formMask: number;
  /** For what walks; the caller has the accessors below. */
  readonly results: Int32Array;
  readonly #formShift: number;

  constructor({ formMask = 0, maxExceptions = 1024 }: BroadcastWalkOptions = {}) {
    const shift = formMask === 0 ? 0 : 31 - Math.clz32(formMask & -formMask);
    const highest = formMask >>> shift;
    if (highest >= MAX_FORMS || (highest & (highest + 1)) !== 0) {
      throw new TypeError(`formMask must be at most four neighbouring bits, got 0x${formMask.toString(16)}`);
    }
    this.formMask = formMask;
    this.#formShift = shift;
    this.forms = Array.from({ length: highest + 1 }, () => NO_BYTES);
    this.results = new Int32Array(FIRST_PAIR + PAIR_ELEMENTS * maxExceptions);
  }

  /** What a row with these flags is sent. */
  formFor(flags: number): Buffer {
    return this.forms[(flags & this.formMask) >>> this.#formShift] ?? NO_BYTES;
  }

  /** Keeps neither the members nor the bytes of the message alive any longer. */
  release(): void {
    this.members = NO_MEMBERS;
    this.from = 0;
    this.to = 0;
    this.exceptSlot = -1;
    for (let form = 0; form < this.forms.length; form++) this.forms[form] = NO_BYTES;
  }

  /** How many rows took all of their form. */
  get wholeCount(): number {
    return this.results[WHOLE] ?? 0;
  }

  get exceptionCount(): number {
    return this.results[EXCEPTIONS] ?? 0;
  }

  /** Whose the exception is, from 0 on. */
  slotOf(exception: number): number {
    return this.results[FIRST_PAIR + PAIR_ELEMENTS * exception] ?? -1;
  }

  /** Bytes taken, -errno or BROADCAST_SKIPPED. */
  outcomeOf(exception: number): number {
    return this.results[FIRST_PAIR + PAIR_ELEMENTS * exception + 1] ?? 0;
  }

  /** For walks in JavaScript: what this member is sent; undefined when it is passed over. */
  formOf(slot: number, flags: number): Buffer | undefined {
    if (slot < 0 || slot === this.exceptSlot) return undefined;
    const form = this.formFor(flags);
    return form.length === 0 ? undefined : form;
  }

  /** For walks in JavaScript: nothing has been sent yet. */
  begin(): void {
    this.results[EXCEPTIONS] = 0;
    this.results[WHOLE] = 0;
  }

  /** For walks in JavaScript: whether one more row may be tried. */
  get hasRoom(): boolean {
    return FIRST_PAIR + PAIR_ELEMENTS * (this.exceptionCount + 1) <= this.results.length;
  }

  /** For walks in JavaScript: the outcome for a row whose form has this many bytes. */
  record(slot: number, outcome: number, formBytes: number): void {
    if (outcome === formBytes) {
      this.results[WHOLE] = this.wholeCount + 1;
      return;
    }
    const at = FIRST_PAIR + PAIR_ELEMENTS * this.exceptionCount;
    this.results[at] = slot;
    this.results[at + 1] = outcome;
    this.results[EXCEPTIONS] = this.exceptionCount + 1;
  }
}
