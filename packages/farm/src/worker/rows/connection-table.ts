import { ADDRESS_BYTES, formatAddress } from '../../addresses/address.ts';

/**
 * States of a row.
 *
 *     free ─► handshake ─► upgrading ─► open ⇄ awake ─► closing ─► free
 *       │       ▲ │            │          └───────────────┘
 *       ├► securing ├──────────┴─► refusing ─► free
 *       └► preface └─► http ─► free, or handshake again (an upgrade on a kept-alive connection)
 *
 * preface: a trusted proxy may say, or must, for whom it speaks. securing: the port speaks TLS, and its handshake is not
 * complete; it comes after the preface. handshake: its request head has not fully arrived. upgrading: paused, an
 * asynchronous hook or the broker decides.
 * open: hibernated, its messages are read without any object. awake: ws reads it. closing: our close frame is sent, the
 * client's is awaited, data is discarded. refusing: an HTTP error and FIN are sent, the client's FIN is awaited.
 * http: Node's http.Server owns the socket. leaving: it is on its way to another worker (open ⇄ leaving ─► free), which may have
 * it already.
 */
export const RowState = {
  free: 0,
  handshake: 1,
  upgrading: 2,
  open: 3,
  awake: 4,
  closing: 5,
  refusing: 6,
  http: 7,
  preface: 8,
  securing: 9,
  leaving: 10,
} as const;

/** Bits of a row's flags. */
export const RowFlag = {
  /** A broadcast may send to it natively: open, and nothing queued. */
  sendable: 1,
  /** It has an outbound queue. */
  queued: 2,
  /** A heartbeat ping is unanswered. */
  pinged: 4,
  /** Publications may have been missed. */
  gap: 8,
  /** The open hook has been called: a close hook is owed. */
  opened: 16,
  /** One of `reservedConnections`: upgrades are refused. */
  reserved: 32,
  /** Messages may be sent to it: it is open or awake, and no close has begun. */
  open: 64,
  /** FIN follows when the outbound queue is empty. */
  finishing: 128,
  /** It is about to move to another worker, and not watched: nothing is read. */
  frozen: 256,
  /** Its address was given by a trusted proxy. */
  proxied: 512,
  /** It counts against a limit of its address, until it ends. */
  counted: 1024,
  /** Its address has passed a limit: whatever it asks for, it gets 429. */
  limited: 2048,
  /** Compression was agreed on: its messages may be compressed, each for itself. */
  deflate: 4096,
  /** Three bits: the number of its lane, see Lanes. With `deflate` before them they are the number of its form. */
  lane: 57_344,
} as const;

/** How far up the lane's number stands. */
const LANE_SHIFT = 13;
/** Where the number of a row's form begins, of which a lane has two. */
export const FORM_SHIFT = 12;
/** The most lanes. */
export const MAX_LANES = 8;

/** What reads and writes the socket. */
export const Transport = {
  /** The poller, through the row's descriptor. */
  native: 0,
  /** A Node stream, which owns the descriptor: HTTP, and TLS from its first byte on. */
  stream: 1,
} as const;

const LAYOUT_VERSION = 2;
const HEADER_BYTES = 64;
/** Bytes a row of each column, in the order in which the constructor lays them out. */
const COLUMN_BYTES = [8, 4, 4, 4, 4, 4, 4, 4, 4, ADDRESS_BYTES, 2, 1, 1, 1];

/**
 * Every connection of a worker: one row a slot, struct of arrays over one versioned ArrayBuffer, so that a sleeping
 * connection is not a JavaScript object. All-zero memory is an empty table: rows that were never used cost no pages.
 *
 * A freed slot is given out again only after {@link settle}, which the worker calls at the start of each batch of events:
 * an event of the same batch can therefore never reach the slot's next owner. The generation changes with every
 * release, so that whoever remembers (slot, generation) finds out.
 */
export class ConnectionTable {
  readonly capacity: number;
  readonly fds: Int32Array;
  readonly generations: Int32Array;
  readonly flags: Uint16Array;
  readonly states: Uint8Array;
  readonly transports: Uint8Array;
  /** Index of the app that accepted the connection. */
  readonly apps: Uint8Array;
  /** When the client was last heard, in ticks of the worker's clock. */
  readonly lastSeen: Uint32Array;
  /** First subscription node + 1; 0 for none. */
  readonly firstSubscriptions: Int32Array;
  /** As {@link firstSubscriptions}, in the hub of users. */
  readonly firstUsers: Int32Array;
  /** A record of the arena, the connection's session; 0 for none. */
  readonly sessions: Int32Array;
  /** When the connection is closed whatever it does, in ticks of the worker's clock; 0 for never. */
  readonly expirations: Uint32Array;
  /** The number that the master gave; unique within the farm. */
  readonly numbers: Float64Array;
  /** {@link ADDRESS_BYTES} a row: the client's, as far as it is known. The TCP peer's, or what a trusted proxy said. */
  readonly addresses: Uint8Array;
  /** Slots free for use, a stack. */
  readonly #free: Int32Array;
  #freeCount = 0;
  /** Slots released since the last settle: the top part of the same stack. */
  #releasedCount = 0;
  #highWater = 0;
  #used = 0;

  /** Bytes of memory that a table of so many rows takes. */
  static bytesFor(capacity: number): number {
    return COLUMN_BYTES.reduce((sum, bytes) => sum + align(bytes * capacity), HEADER_BYTES);
  }

  /** `memory`: zeros, of {@link bytesFor} bytes. Given, so that it can be a mapping that outlives the process. */
  constructor(capacity: number, memory: ArrayBuffer = new ArrayBuffer(ConnectionTable.bytesFor(capacity))) {
    this.capacity = capacity;
    new Int32Array(memory, 0, 2).set([LAYOUT_VERSION, capacity]);
    let offset = HEADER_BYTES;
    let column = 0;
    const next = (): number => {
      const at = offset;
      offset += align((COLUMN_BYTES[column++] ?? 0) * capacity);
      return at;
    };
    this.numbers = new Float64Array(memory, next(), capacity);
    this.fds = new Int32Array(memory, next(), capacity);
    this.generations = new Int32Array(memory, next(), capacity);
    this.lastSeen = new Uint32Array(memory, next(), capacity);
    this.firstSubscriptions = new Int32Array(memory, next(), capacity);
    this.firstUsers = new Int32Array(memory, next(), capacity);
    this.sessions = new Int32Array(memory, next(), capacity);
    this.expirations = new Uint32Array(memory, next(), capacity);
    this.#free = new Int32Array(memory, next(), capacity);
    this.addresses = new Uint8Array(memory, next(), capacity * ADDRESS_BYTES);
    this.flags = new Uint16Array(memory, next(), capacity);
    this.states = new Uint8Array(memory, next(), capacity);
    this.transports = new Uint8Array(memory, next(), capacity);
    this.apps = new Uint8Array(memory, next(), capacity);
  }

  /** Rows in use. */
  get used(): number {
    return this.#used;
  }

  /** All rows in use stand below this slot. */
  get highWater(): number {
    return this.#highWater;
  }

  /** Gives out a slot in state handshake, or -1 when the table is full. */
  allocate(fd: number, number: number, address: Uint8Array, addressOffset: number): number {
    let slot: number;
    if (this.#freeCount > 0) {
      slot = this.#popFree();
    } else if (this.#highWater < this.capacity) {
      slot = this.#highWater++;
    } else {
      return -1;
    }
    this.#used++;
    this.fds[slot] = fd;
    this.numbers[slot] = number;
    this.states[slot] = RowState.handshake;
    this.addresses.set(address.subarray(addressOffset, addressOffset + ADDRESS_BYTES), slot * ADDRESS_BYTES);
    return slot;
  }

  /** Takes the row back. Its columns must have been given back by their owners before. */
  release(slot: number): void {
    this.generations[slot] = ((this.generations[slot] ?? 0) + 1) | 0;
    this.states[slot] = RowState.free;
    this.flags[slot] = 0;
    this.transports[slot] = Transport.native;
    this.apps[slot] = 0;
    this.firstSubscriptions[slot] = 0;
    this.firstUsers[slot] = 0;
    this.expirations[slot] = 0;
    this.fds[slot] = -1;
    this.#free[this.#freeCount + this.#releasedCount] = slot;
    this.#releasedCount++;
    this.#used--;
  }

  /** Makes the slots released so far available again. */
  settle(): void {
    this.#freeCount += this.#releasedCount;
    this.#releasedCount = 0;
  }

  isCurrent(slot: number, generation: number): boolean {
    return this.generations[slot] === generation && this.states[slot] !== RowState.free;
  }

  state(slot: number): number {
    return this.states[slot] ?? RowState.free;
  }

  /** Whether messages may be sent to it. */
  isOpen(slot: number): boolean {
    return ((this.flags[slot] ?? 0) & RowFlag.open) !== 0;
  }

  generation(slot: number): number {
    return this.generations[slot] ?? 0;
  }

  hasFlag(slot: number, flag: number): boolean {
    return ((this.flags[slot] ?? 0) & flag) !== 0;
  }

  setFlag(slot: number, flag: number): void {
    this.flags[slot] = (this.flags[slot] ?? 0) | flag;
  }

  /** Its client has shown that it lives: what was asked is answered. */
  heard(slot: number, now: number): void {
    this.lastSeen[slot] = now;
    this.flags[slot] = (this.flags[slot] ?? 0) & ~RowFlag.pinged;
  }

  clearFlag(slot: number, flag: number): void {
    this.flags[slot] = (this.flags[slot] ?? 0) & ~flag;
  }

  lane(slot: number): number {
    return (this.flags[slot] ?? 0) >>> LANE_SHIFT;
  }

  /** Given once, when the row becomes a connection. */
  setLane(slot: number, lane: number): void {
    this.setFlag(slot, lane << LANE_SHIFT);
  }

  /** The client's address in its usual form; IPv4 without the mapping prefix. */
  address(slot: number): string {
    return formatAddress(this.addresses.subarray(slot * ADDRESS_BYTES, (slot + 1) * ADDRESS_BYTES));
  }

  /** Where the row's address begins in {@link addresses}. */
  addressOffset(slot: number): number {
    return slot * ADDRESS_BYTES;
  }

  /** Replaces the address by these 16 bytes. */
  setAddress(slot: number, address: Uint8Array): void {
    this.addresses.set(address, slot * ADDRESS_BYTES);
  }

  /** A copy of the 16 bytes, for {@link formatAddress}. */
  addressBytes(slot: number): Uint8Array {
    return this.addresses.slice(slot * ADDRESS_BYTES, (slot + 1) * ADDRESS_BYTES);
  }

  #popFree(): number {
    const slot = this.#free[--this.#freeCount] ?? 0;
    // The released ones stand above the free ones: the last of them moves into the gap.
    if (this.#releasedCount > 0) {
      this.#free[this.#freeCount] = this.#free[this.#freeCount + this.#releasedCount] ?? 0;
    }
    return slot;
  }
}

function align(bytes: number): number {
  return (bytes + 7) & ~7;
}
