import { deserialize, serialize } from 'node:v8';

/** What the target of a batch must be ready for before the source stops reading. */
export interface Plan {
  readonly rows: number;
  readonly channels: readonly string[];
  /** Channels, and users as channels, in which connections are counted; whether subscribers are told how many they are. */
  readonly counted: readonly (readonly [channel: string, tellsCount: boolean])[];
  /** By which name the store knows what the source has told of these counts. */
  readonly owner: string | undefined;
  /** One for each connection that is a member. */
  readonly members: readonly (readonly [channel: string, user: string, info: string])[];
}

/**
 * How many connections the target has taken over from the source in each channel that counts, in the order of the plan; null where
 * that is not known.
 */
export type Taken = readonly (number | null)[];

/** What a target says of itself, first. */
export interface Hello {
  /** Formats of records that it reads. */
  readonly formats: readonly [oldest: number, newest: number];
  readonly markAddress: string;
}

/** Who orders publications for the target, and how many rows it has room for. */
export interface Held {
  readonly server: string | undefined;
  readonly room: number;
}

/** Marks of different moves differ. */
const MARKS_PER_MOVE = 2 ** 21;

/** The id of the mark that cuts a batch out of what is published: the source sends it, and both sides wait for it. */
export function markOf(move: number, batch: number): number {
  return move * MARKS_PER_MOVE + batch;
}

/** Messages whose writer and reader are of one protocol, and small. The record of a batch is written by hand. */
export function pack(message: Plan | Hello | Held | readonly unknown[]): Buffer {
  return serialize(message);
}

/** What the other side of the pair, a worker of the same farm, has packed. Undefined when it cannot be read. */
// oxlint-disable-next-line typescript/no-explicit-any -- the type of the message says what it is
export function unpack(payload: Buffer | undefined): any {
  if (payload === undefined) return undefined;
  try {
    return deserialize(payload);
  } catch {
    return undefined;
  }
}
