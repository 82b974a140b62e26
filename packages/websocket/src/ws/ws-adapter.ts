// The leading underscores are ws's.
/* oxlint-disable no-underscore-dangle */
import type { EventEmitter } from 'node:events';

import { subprotocol, WebSocket, WebSocketServer } from 'ws';

import { EMPTY } from '../empty.ts';

// Everything that Roost knows about the inside of ws, which is pinned to one version for this reason. The test next to
// this file lists what is relied on; read it, and the diff of ws, before another version is used.

declare module 'ws' {
  /** Exported since 8.20, missing in the types. */
  // oxlint-disable-next-line no-shadow
  export const subprotocol: {
    /** The offered subprotocols in their order. Throws a SyntaxError when it is not a list of distinct tokens. */
    parse(header: string): Set<string>;
  };
  /** Exported since 8.20, missing in the types. */
  // oxlint-disable-next-line no-shadow
  export const extension: {
    /** The offers by extension, each with the values of its parameters. Throws a SyntaxError. */
    parse(header: string): Record<string, Record<string, (string | true)[]>[] | undefined>;
  };
  /** Exported since 8.20, missing in the types. */
  // oxlint-disable-next-line no-shadow
  export class PerMessageDeflate implements ReceiverInflate {
    constructor(options: {
      readonly isServer: boolean;
      readonly maxPayload?: number;
      readonly serverMaxWindowBits?: number;
      readonly clientNoContextTakeover?: boolean;
      readonly clientMaxWindowBits?: number | false;
    });
    /**
     * Takes the first offer that the options allow. Throws when they allow none, and for parameters that RFC 7692 §7.1
     * does not know. The offers are changed.
     */
    accept(offers: unknown[]): void;
    decompress(payload: Buffer, isLast: boolean, callback: InflateCallback): void;
    cleanup(): void;
  }
}

/** The name of the extension in headers, and among the extensions of a WebSocket. */
export const PERMESSAGE_DEFLATE = 'permessage-deflate';

/** Whether ws takes this value of Sec-WebSocket-Protocol. */
export function isProtocolList(value: string): boolean {
  try {
    subprotocol.parse(value);
    return true;
  } catch {
    return false;
  }
}

/** What ws uses of the socket of a handshake (lib/websocket-server.js). */
export interface HandshakeSocket {
  readonly readable: boolean;
  readonly writable: boolean;
  on(): this;
  once(): this;
  removeListener(): this;
  write(text: string): boolean;
  end(text: string): this;
  destroy(): this;
}

/** What ws uses of the connection that it builds after a handshake. */
export interface HandshakeOutcome {
  _protocol: string;
  /** Set when an extension was agreed on. */
  _extensions?: object;
  setSocket(): void;
}

/** Of permessage-deflate (RFC 7692 §7.1): what ws takes as `perMessageDeflate`. */
export interface DeflateOptions {
  /** In every answer, asked for or not. */
  readonly clientNoContextTakeover: true;
  /** Never in the answer: the client may use what it likes. */
  readonly clientMaxWindowBits: false;
}

export interface HandshakeOptions {
  readonly noServer: true;
  readonly clientTracking: false;
  readonly autoPong: false;
  readonly perMessageDeflate: DeflateOptions | false;
  readonly maxPayload: number;
  readonly handleProtocols: (offered: ReadonlySet<string>) => string | false;
  readonly WebSocket: new () => HandshakeOutcome;
}

/** What ws reads of a request. */
export interface HandshakeRequest {
  readonly method: string;
  readonly headers: {
    readonly upgrade: string;
    readonly 'sec-websocket-key': string | undefined;
    readonly 'sec-websocket-version': string | undefined;
    readonly 'sec-websocket-protocol': string | undefined;
    readonly 'sec-websocket-extensions': string | undefined;
  };
}

/** A WebSocketServer of which only handshakes are wanted. */
export interface HandshakeServer {
  on(event: 'headers', listener: (lines: string[]) => void): this;
  handleUpgrade(
    request: HandshakeRequest,
    socket: HandshakeSocket,
    head: Buffer,
    onAccepted: (outcome: HandshakeOutcome) => void,
  ): void;
}

export function createHandshakeServer(options: HandshakeOptions): HandshakeServer {
  // The types ask for whole sockets, requests and WebSockets, of which ws uses what is listed above.
  // oxlint-disable-next-line no-unsafe-type-assertion
  const Constructor = WebSocketServer as unknown as new (options: HandshakeOptions) => HandshakeServer;
  return new Constructor(options);
}

/** What a WebSocket of the server role takes. None of these has a default when ws's server class is not used. */
export interface ServerSideOptions {
  readonly allowSynchronousEvents: boolean;
  readonly autoPong: boolean;
  readonly closeTimeout: number;
  readonly maxBufferedChunks: number;
  readonly maxFragments: number;
  readonly maxPayload: number;
  readonly maxPendingAutoPongs: number;
  readonly skipUTF8Validation: boolean;
}

/** The members of ws's Receiver, a stream.Writable, that are read here (lib/receiver.js). */
interface Receiver extends EventEmitter {
  readonly _state: number;
  readonly _bufferedBytes: number;
  readonly _buffers: readonly Buffer[];
  readonly _fragmented: number;
  readonly _compressed: boolean;
  readonly _fragments: readonly Buffer[];
  readonly _messageLength: number;
  readonly _totalPayloadLength: number;
  readonly _errored: boolean;
  readonly writableEnded: boolean;
  readonly writableLength: number;
  readonly _writableState: { readonly errorEmitted: boolean };
  /** An error that closes with this code, once it is given to the callback that was waited for. */
  createError(
    kind: new (message: string) => Error,
    message: string,
    prefix: boolean,
    statusCode: number,
    errorCode: string,
  ): Error;
}

/** What a receiver asks of permessage-deflate: ws's own class has it, and `DeferredInflate`. */
export interface ReceiverInflate {
  /** The payload of one frame of a compressed message. The receiver reads nothing more before it is called back. */
  decompress(payload: Buffer, isLast: boolean, callback: InflateCallback): void;
  /** The WebSocket has closed. */
  cleanup(): void;
}

/** Never to be called within `decompress`: the receiver would end its write twice. */
export type InflateCallback = (error: Error | null, payload?: Buffer) => void;

/** The members of ws's Sender that are read here (lib/sender.js). */
interface Sender {
  readonly _state: number;
  readonly _queue: readonly unknown[];
  readonly _firstFragment: boolean;
}

/** Receives the events of a WebSocket. One object serves all of them, and gets the owner of each. */
export interface ServerSideListeners<Owner> {
  onMessage(owner: Owner, data: Buffer, isBinary: boolean): void;
  onPing(owner: Owner): void;
  onPong(owner: Owner): void;
  /** The client broke the protocol, and ws has written its close frame. */
  onError(owner: Owner): void;
  onClose(owner: Owner, code: number, reason: Buffer): void;
}

const kOwner = Symbol('owner');
const kListeners = Symbol('listeners');

/** A WebSocket of ws in the server role, with the private members that are used here (lib/websocket.js). */
export interface ServerSideWebSocket<Owner = unknown> {
  [kOwner]: Owner;
  [kListeners]: ServerSideListeners<Owner>;
  readonly readyState: number;
  _extensions: { readonly [PERMESSAGE_DEFLATE]?: ReceiverInflate };
  readonly _receiver: Receiver;
  readonly _sender: Sender;
  readonly _closeFrameSent: boolean;
  readonly _closeFrameReceived: boolean;
  readonly _pendingAutoPongs: number;
  _closeTimer: NodeJS.Timeout | null;
  setSocket(socket: WebSocketSocket, head: Buffer, options: ServerSideOptions): void;
  close(code: number, reason: Buffer): void;
  removeAllListeners(): void;
  /** `data` is a Buffer as long as the binary type is left alone. */
  on(event: 'message', listener: (this: this, data: Buffer, isBinary: boolean) => void): void;
  on(event: 'ping' | 'pong' | 'error', listener: (this: this) => void): void;
  on(event: 'close', listener: (this: this, code: number, reason: Buffer) => void): void;
}

/**
 * What ws uses of the socket that `setSocket` is given. It listens to `data`, `end`, `close` and `error`, and asks the
 * private stream states only when the socket closes.
 */
export interface WebSocketSocket extends EventEmitter {
  readonly destroyed: boolean;
  readonly _readableState: { readonly endEmitted: boolean; readonly length: number };
  readonly _writableState: { readonly length: number };
  cork(): void;
  uncork(): void;
  write(bytes: Buffer, acknowledge?: () => void): boolean;
  end(): void;
  destroy(): void;
  pause(): void;
  resume(): void;
}

/** The state of ws's receiver between two frames (GET_INFO in lib/receiver.js). */
const RECEIVER_AT_FRAME = 0;

/** The state of ws's sender when it neither compresses nor reads a blob (DEFAULT in lib/sender.js). */
const SENDER_IDLE = 0;

/** Bytes that a chunk costs besides its own, measured: two Buffer objects, its memory's bookkeeping, its place in an array. */
export const CHUNK_OVERHEAD_BYTES = 400;

/**
 * A WebSocket of ws in the server role, open, over a socket whose handshake is already done. `inflate`: permessage-deflate
 * was agreed on.
 */
export function createServerSide<Owner>(
  socket: WebSocketSocket,
  options: ServerSideOptions & { readonly inflate?: ReceiverInflate | undefined },
  listeners: ServerSideListeners<Owner>,
  owner: Owner,
): ServerSideWebSocket<Owner> {
  // The types know only `new WebSocket(null)`, which throws: the third argument is needed.
  // oxlint-disable-next-line no-unsafe-type-assertion
  const Constructor = WebSocket as unknown as new (
    address: null,
    protocols: undefined,
    options: ServerSideOptions,
  ) => ServerSideWebSocket<Owner>;
  const webSocket = new Constructor(null, undefined, options);
  webSocket[kOwner] = owner;
  webSocket[kListeners] = listeners;
  webSocket.on('message', onMessage);
  webSocket.on('ping', onPing);
  webSocket.on('pong', onPong);
  webSocket.on('error', onError);
  webSocket.on('close', onClose);
  if (options.inflate !== undefined) webSocket._extensions = { [PERMESSAGE_DEFLATE]: options.inflate };
  webSocket.setSocket(socket, EMPTY, options);
  return webSocket;
}

// Shared by all WebSockets, which call them with themselves as `this`.

function onMessage(this: ServerSideWebSocket, data: Buffer, isBinary: boolean): void {
  this[kListeners].onMessage(this[kOwner], data, isBinary);
}

function onPing(this: ServerSideWebSocket): void {
  this[kListeners].onPing(this[kOwner]);
}

function onPong(this: ServerSideWebSocket): void {
  this[kListeners].onPong(this[kOwner]);
}

function onError(this: ServerSideWebSocket): void {
  this[kListeners].onError(this[kOwner]);
}

function onClose(this: ServerSideWebSocket, code: number, reason: Buffer): void {
  this[kListeners].onClose(this[kOwner], code, reason);
}

/** Whether no close has begun from either side, and nothing has failed. */
export function isOpen(webSocket: ServerSideWebSocket): boolean {
  return webSocket.readyState === WebSocket.OPEN;
}

/**
 * Whether forgetting the WebSocket now would lose nothing: it is between two messages, holds no bytes, owes no
 * answer, no close has begun and nothing has failed. Only true for the instant; false inside a message event.
 */
export function isAtMessageBoundary(webSocket: ServerSideWebSocket): boolean {
  const { _receiver: receiver } = webSocket;
  return isBetweenFrames(webSocket) && receiver._fragmented === 0 && receiver._fragments.length === 0;
}

/** As {@link isAtMessageBoundary}, but that a message may be open. */
export function isBetweenFrames(webSocket: ServerSideWebSocket): boolean {
  const { _receiver: receiver, _sender: sender } = webSocket;
  return (
    isOpen(webSocket) &&
    !webSocket._closeFrameSent &&
    !webSocket._closeFrameReceived &&
    webSocket._pendingAutoPongs === 0 &&
    receiver._state === RECEIVER_AT_FRAME &&
    receiver._bufferedBytes === 0 &&
    !receiver._errored &&
    !receiver.writableEnded &&
    receiver.writableLength === 0 &&
    sender._state === SENDER_IDLE &&
    sender._queue.length === 0 &&
    sender._firstFragment
  );
}

/** Whether a fragmented message is open. Only certain while the receiver is between two frames. */
export function isInMessage(webSocket: ServerSideWebSocket): boolean {
  return webSocket._receiver._fragmented !== 0;
}

/** The open message: its opcode, whether it says that it is compressed, and, if not, its fragments, unmasked. As {@link isInMessage}. */
export function openMessageOf({
  _receiver: receiver,
}: ServerSideWebSocket): [number, boolean, readonly Buffer[]] {
  return [receiver._fragmented, receiver._compressed, receiver._fragments];
}

/** Bytes of payload of the fragments that have come of the open message. As {@link isInMessage}. */
export function openMessageBytes(webSocket: ServerSideWebSocket): number {
  return webSocket._receiver._totalPayloadLength;
}

/** Whether the receiver has refused the client's bytes, but its error event, with the close frame, is yet to come. */
export function hasPendingError(webSocket: ServerSideWebSocket): boolean {
  return webSocket._receiver._errored && !webSocket._receiver._writableState.errorEmitted;
}

/** Bytes of memory that wait in the receiver for the rest of a message: payload, and what its chunks cost besides it. */
export function heldBytes(webSocket: ServerSideWebSocket): number {
  const receiver = webSocket._receiver;
  const chunks = receiver._buffers.length + receiver._fragments.length;
  return (
    receiver._bufferedBytes +
    receiver._messageLength +
    receiver.writableLength +
    chunks * CHUNK_OVERHEAD_BYTES
  );
}

/** Cuts a WebSocket off from its socket and from us without an event. It may be in the middle of a call to us. */
export function detach(webSocket: ServerSideWebSocket): void {
  clearCloseTimer(webSocket);
  webSocket.removeAllListeners();
  webSocket._receiver.removeAllListeners();
  // Errors that were already on their way, in a later tick or further up this stack, must find a listener.
  webSocket.on('error', detachedOnError);
  webSocket._receiver.on('error', ignore);
}

/** The error of ws for a payload that cannot be inflated; calling back with it closes 1007 or 1009. */
export function inflateError(webSocket: ServerSideWebSocket, isTooLarge: boolean): Error {
  const receiver = webSocket._receiver;
  return isTooLarge
    ? receiver.createError(
        RangeError,
        'Max payload size exceeded',
        false,
        1009,
        'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH',
      )
    : receiver.createError(Error, 'invalid compressed data', false, 1007, 'WS_ERR_INVALID_DEFLATE');
}

/** Stops the timer that ends a closing handshake; ws starts it after its close frame was written. */
export function clearCloseTimer(webSocket: ServerSideWebSocket): void {
  if (webSocket._closeTimer === null) return;
  clearTimeout(webSocket._closeTimer);
  webSocket._closeTimer = null;
}

function detachedOnError(this: ServerSideWebSocket): void {
  clearCloseTimer(this);
}

function ignore(): void {
  // No listener is left.
}
