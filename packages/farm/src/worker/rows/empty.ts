/** No bytes. */
export const EMPTY = Buffer.alloc(0);
