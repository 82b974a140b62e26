// A script, not a module: it adds to the global type.

interface Buffer {
  /** Since Node 0.x, documented nowhere, missing in the types: `toString('latin1', …)` without the look-up. */
  latin1Slice(start: number, end: number): string;
}
