/** No bytes. One Buffer for all, since nothing can be written to it. */
export const EMPTY: Buffer = Buffer.alloc(0);
