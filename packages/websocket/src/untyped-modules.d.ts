// A script, not a module: `declare module` must declare here, not augment.

declare module 'bufferutil' {
  const bufferutil: {
    /** XORs `bytes` in place with the four bytes of `mask`, beginning at `mask[0]`. */
    unmask(bytes: Uint8Array, mask: Uint8Array): void;
  };
  export = bufferutil;
}

interface Buffer {
  /** Since Node 0.x, documented nowhere, missing in the types: `toString('latin1', …)` without the look-up. */
  latin1Slice(start: number, end: number): string;
}
