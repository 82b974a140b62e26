/** How long the client waits before it sends a piece: some turns of the event loop, or so many milliseconds. */
export interface Pause {
  readonly turns: number;
  readonly ms: number;
}

/** What the application does before it has heard anything. */
export interface Manners {
  /** Turns of the event loop that the upgrade hook takes; 0 answers at once. */
  readonly upgradeTurns: number;
  readonly atOpen: 'nothing' | 'greet' | 'close' | 'terminate';
}

/** One client's bytes, and how they are sent. */
export interface Stream {
  readonly seed: number;
  readonly index: number;
  /** Index into {@link PROFILES}. */
  readonly profile: number;
  /** What stands behind the request head: frames, halves of frames, and what only looks like frames. */
  readonly units: readonly Buffer[];
  /** Offsets into head and units where a new piece begins, ascending, each with the pause before it. */
  readonly cuts: readonly { readonly at: number; readonly pause: Pause }[];
  /** Whether the units are sent without waiting for the 101. */
  readonly isPipelined: boolean;
  /** Whether a plain request comes first on the same connection. */
  readonly isKeptAlive: boolean;
  /** Whether the client waits for the server to end the connection, where it must, before it ends it itself. */
  readonly isPatient: boolean;
  /** Whether the client reads nothing behind the 101 until it has sent everything. */
  readonly isLateReader: boolean;
  readonly manners: Manners;
  /** The client's Sec-WebSocket-Extensions; empty for none. */
  readonly offer: string;
  /** Before the client's FIN. */
  readonly lastPause: Pause;
}

/** What client and server saw of one run. */
export interface Transcript {
  readonly messages: { readonly isBinary: boolean; readonly data: Buffer }[];
  /** Bytes that the client received, the 101 included. */
  received: Buffer;
  /** How the client saw the TCP connection end: FIN, RST, or not before the deadline. */
  end: 'fin' | 'reset' | 'none';
  /** What the close hook was told; undefined when it was not called before the deadline. */
  close: { readonly code: number; readonly reason: string } | undefined;
}

/** Limits that both servers run with. */
export interface Profile {
  readonly maxMessageBytes: number;
  readonly borrowMessages: boolean;
  /** Whether both agree on permessage-deflate with clients that offer it. */
  readonly compression: boolean;
}

export const PROFILES: readonly Profile[] = [
  { maxMessageBytes: 65_536, borrowMessages: false, compression: false },
  { maxMessageBytes: 125, borrowMessages: false, compression: false },
  // Below what a control frame may carry.
  { maxMessageBytes: 20, borrowMessages: false, compression: false },
  { maxMessageBytes: 4096, borrowMessages: true, compression: false },
  { maxMessageBytes: 4096, borrowMessages: false, compression: true },
  { maxMessageBytes: 300, borrowMessages: true, compression: true },
];

export const MAX_FRAGMENTS = 4096;

/** Size from which both compress what they send. */
export const MIN_COMPRESS_BYTES = 64;

/** Of ws, to agree on what the worker agrees on: see packages/websocket/src/head/upgrader.ts. */
export const COMPRESSION = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 12,
  // The types know numbers only; false declines what the client offers to do.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  clientMaxWindowBits: false as unknown as number,
  threshold: MIN_COMPRESS_BYTES,
  zlibDeflateOptions: { level: 1 },
};

/** For the timeouts of both servers: none may end what has only been slow. */
export const LONG_MS = 600_000;

export function headOf(stream: Stream): Buffer {
  return Buffer.from(
    `GET /${stream.index} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
      (stream.offer === '' ? '\r\n' : `Sec-WebSocket-Extensions: ${stream.offer}\r\n\r\n`),
  );
}

/** A piece is one send(2) after its pause. */
export interface Piece {
  readonly pause: Pause;
  readonly bytes: Buffer;
  /** Whether the 101 must have come. */
  readonly isAfterHead: boolean;
}

export const NO_PAUSE: Pause = { turns: 0, ms: 0 };

export function piecesOf(stream: Stream): Piece[] {
  const head = headOf(stream);
  const bytes = Buffer.concat([head, ...stream.units]);
  const pieces: Piece[] = [];
  let from = 0;
  let pause = NO_PAUSE;
  const add = (to: number): void => {
    if (to <= from) return;
    const isAfterHead = !stream.isPipelined && from >= head.length;
    pieces.push({ pause, bytes: bytes.subarray(from, to), isAfterHead });
    from = to;
    pause = NO_PAUSE;
  };
  for (const cut of stream.cuts) {
    if (!stream.isPipelined && from < head.length && cut.at > head.length) add(head.length);
    add(Math.min(cut.at, bytes.length));
    pause = cut.pause;
  }
  if (!stream.isPipelined && from < head.length) add(head.length);
  add(bytes.length);
  return pieces;
}

/** The same stream without one of its units; cuts behind it move with the bytes that they stood before. */
export function withoutUnit(stream: Stream, index: number): Stream {
  const head = headOf(stream).length;
  const start = stream.units.slice(0, index).reduce((sum, unit) => sum + unit.length, head);
  const length = stream.units[index]?.length ?? 0;
  const cuts = stream.cuts
    .filter(({ at }) => at <= start || at >= start + length)
    .map(({ at, pause }) => ({ at: at <= start ? at : at - length, pause }));
  return { ...stream, units: stream.units.filter((_unit, at) => at !== index), cuts };
}

/** The same stream without one of its cuts. */
export function withoutCut(stream: Stream, index: number): Stream {
  return { ...stream, cuts: stream.cuts.filter((_cut, at) => at !== index) };
}
