import { randomBytes } from 'node:crypto';

/** From which a farm's connection ids are made; see ConnectionIds. Made by the master, the same in all workers. */
export interface ConnectionIdSecret {
  /** The first part of every id of this farm: 32 random bits. */
  readonly tag: number;
  /** Two times 32 random bits, which never leave the farm. */
  readonly key: readonly [number, number];
}

export function newConnectionIdSecret(): ConnectionIdSecret {
  const bytes = randomBytes(12);
  return { tag: bytes.readUInt32LE(0), key: [bytes.readUInt32LE(4), bytes.readUInt32LE(8)] };
}
