import { AwakeSocket, type AwakeSocketListeners } from './awake-socket.ts';
import { DeferredInflate } from './deferred-inflate.ts';
import { EMPTY } from '../empty.ts';
import { checkedLimit } from '../errors.ts';
import { encodeOpenMessage } from '../frames/open-message.ts';
import type { MessageInflater } from '../deflate/message-inflater.ts';
import {
  clearCloseTimer,
  createServerSide,
  detach,
  hasPendingError,
  heldBytes,
  inflateError,
  isAtMessageBoundary,
  isBetweenFrames,
  isInMessage,
  isOpen,
  openMessageBytes,
  openMessageOf,
  type ServerSideListeners,
  type ServerSideOptions,
  type ServerSideWebSocket,
} from './ws-adapter.ts';

/**
 * Receives the events of awake connections; one object serves all of a worker. Every call names the slot and the
 * generation that the connection was made with. Handlers may call the connection, also `destroy`. They must not throw:
 * ws is in the middle of a frame when they are called.
 */
export interface AwakeHandlers {
  /** A control frame that ws wants sent, after everything queued. The callee owns it. */
  awakeOnWrite(slot: number, generation: number, frame: Buffer): void;
  /** A whole message. `data` may be a part of the buffer that was received, which has no other user any more. */
  awakeOnMessage(slot: number, generation: number, data: Buffer, isBinary: boolean): void;
  /** A ping came; its pong has already gone to `awakeOnWrite`. */
  awakeOnPing?(slot: number, generation: number): void;
  awakeOnPong(slot: number, generation: number): void;
  /** The length of an inflated message, or an InflateFailure, after which ws closes. */
  awakeOnInflate?(slot: number, generation: number, bytes: number): void;
  /** ws will write no more: flush what is queued, then send FIN. At most once, and before `awakeOnClose`. */
  awakeOnFinish(slot: number, generation: number): void;
  /**
   * The connection is done, exactly once unless `destroy` was called: both sides have ended, or `closeTimeoutMs` is
   * over. The row's own queue may still hold bytes. `code` is what the client sent, 1005 when it sent none, 1006 when
   * there was no close frame; `reason` is at most 123 bytes of UTF-8, owned by the callee.
   */
  awakeOnClose(slot: number, generation: number, code: number, reason: Buffer): void;
}

export interface AwakeOptions {
  /** Larger messages, fragments added up, end the connection with 1009. 1 to 2^31 − 1. */
  readonly maxMessageBytes: number;
  /** How long to wait, after a close frame was sent, for the end of the connection. */
  readonly closeTimeoutMs: number;
  /** Fragments of a message; more end the connection with 1008. Default 4,096, more for messages above 256 KiB. */
  readonly maxFragments?: number;
  /** Pieces in which a frame may arrive; more end the connection with 1008. Default 4,096, more for frames above 4 MiB. */
  readonly maxBufferedChunks?: number;
  /** Inflates the messages of a connection that has agreed on compression; may be shared. Without it RSV1 is an error. */
  readonly inflater?: MessageInflater | undefined;
}

/** Fragments of 64 bytes on average are honest: those of Autobahn's smallest test. Each costs memory besides its bytes. */
const HONEST_FRAGMENT_BYTES = 64;
const MIN_MAX_FRAGMENTS = 4096;

/** A frame in pieces of 1 KiB on average is honest; one in single bytes is not, and each piece costs an object. */
const HONEST_CHUNK_BYTES = 1024;
const MIN_MAX_BUFFERED_CHUNKS = 4096;

/**
 * A connection that is awake: an instance of ws decides what its bytes mean, and answers pings, close frames and
 * protocol errors as ws always does. The opening handshake is done; data messages are sent past it, by the owner.
 *
 * Whole messages, and the frames that ws writes, are handed over within `receive`. Errors of the protocol are noticed
 * by ws a tick later; it then writes a close frame (1002, 1007, 1008 or 1009) and finishes. Between a `receive` and
 * the tick, further bytes are discarded.
 *
 * States: *open*; *closing* from the client's close frame, or ws's that answers an error, on; *finished* once ws writes
 * no more; *closed*. `destroy` leaves from any state without an event.
 *
 * Owned by the worker's row, made when a frame is not simple, and destroyed to hibernate.
 */
export class AwakeConnection {
  readonly #handlers: AwakeHandlers;
  readonly #slot: number;
  readonly #generation: number;
  readonly #socket: AwakeSocket<AwakeConnection>;
  readonly #webSocket: ServerSideWebSocket<AwakeConnection>;
  readonly #inflate: DeferredInflate | undefined;
  #isDestroyed = false;
  #isEndPending = false;

  /**
   * `bytes` are the first that ws shall see, beginning at a frame, owned by this connection from now on. Handlers are
   * called within the constructor when they hold whole messages: pass an empty buffer, and call `receive`, when the
   * handlers need the new connection. Throws WEBSOCKET_OPTION for limits that are not positive integers.
   */
  constructor(
    handlers: AwakeHandlers,
    slot: number,
    generation: number,
    options: AwakeOptions,
    bytes: Buffer,
  ) {
    this.#handlers = handlers;
    this.#slot = slot;
    this.#generation = generation;
    this.#socket = new AwakeSocket(AwakeConnection.#socketListeners, this);
    this.#inflate = this.#deferredInflate(options.inflater);
    this.#webSocket = createServerSide(
      this.#socket,
      { ...serverSideOptions(options), inflate: this.#inflate },
      AwakeConnection.#webSocketListeners,
      this,
    );
    this.receive(bytes);
  }

  /** Bytes of memory that wait for the rest of a message or frame, the cost of their chunks included. */
  get bufferedBytes(): number {
    if (this.#isDestroyed) return 0;
    return heldBytes(this.#webSocket) + (this.#inflate?.heldBytes ?? 0);
  }

  /** Whether a fragmented message is open. Only sure between two frames, and as long as {@link isOpen}. */
  get isInMessage(): boolean {
    return !this.#isDestroyed && isInMessage(this.#webSocket);
  }

  /** Bytes of payload that have come of the open message, its fragments added up. As {@link isInMessage}. */
  get messageBytes(): number {
    return this.#isDestroyed ? 0 : openMessageBytes(this.#webSocket);
  }

  /** Whether no close has begun from either side and nothing the client sent was refused. */
  get isOpen(): boolean {
    return !this.#isDestroyed && isOpen(this.#webSocket) && !hasPendingError(this.#webSocket);
  }

  /** Gives bytes to ws, which unmasks them in place: the caller must not use them afterwards. */
  receive(bytes: Buffer): void {
    if (this.#isDestroyed || bytes.length === 0) return;
    this.#socket.deliver(bytes);
    if (this.#inflate !== undefined) this.#runInflate(this.#inflate);
    this.#clearLateTimer();
  }

  /** ws waits for a payload to be inflated, and after that, perhaps, for the next: all within `receive`. */
  #runInflate(inflate: DeferredInflate): void {
    while (!this.#isDestroyed && inflate.isPending) inflate.run();
  }

  #deferredInflate(inflater: MessageInflater | undefined): DeferredInflate | undefined {
    if (inflater === undefined) return undefined;
    return new DeferredInflate(inflater, {
      onInflate: (bytes) => this.#handlers.awakeOnInflate?.(this.#slot, this.#generation, bytes),
      inflateError: (isTooLarge) => inflateError(this.#webSocket, isTooLarge),
    });
  }

  /** The client has sent FIN, or its connection is lost: `awakeOnFinish` and `awakeOnClose` follow in later ticks. */
  end(): void {
    if (this.#isDestroyed) return;
    // ws would take the end for the whole story and never send the close frame of the error.
    if (hasPendingError(this.#webSocket)) {
      this.#isEndPending = true;
      return;
    }
    this.#socket.deliverEnd();
    this.#clearLateTimer();
  }

  /**
   * Whether this connection could be destroyed now, and another reader take its next bytes, without loss: no
   * frame or message is open, no close has begun, no error is on its way. False while a handler is being called.
   */
  isAtBoundary(): boolean {
    return !this.#isDestroyed && !this.#socket.destroyed && isAtMessageBoundary(this.#webSocket);
  }

  /**
   * The fragments that have come of an open message, as one frame: a connection that begins with it stands where this one does,
   * which could be destroyed now. Empty at a message boundary; undefined when it cannot be, for the reasons of
   * {@link isAtBoundary} but an open message.
   */
  openMessage(): Buffer | undefined {
    const webSocket = this.#webSocket;
    if (this.#isDestroyed || this.#socket.destroyed || !isBetweenFrames(webSocket)) return undefined;
    if (!isInMessage(webSocket)) return EMPTY;
    const [opcode, isCompressed, plain] = openMessageOf(webSocket);
    const fragments = isCompressed ? this.#inflate?.fragments : plain;
    return fragments === undefined ? undefined : encodeOpenMessage(opcode, isCompressed, fragments);
  }

  /** Lets go of ws and its timers. No handler is called any more, nothing is sent. A second call does nothing. */
  destroy(): void {
    if (this.#isDestroyed) return;
    this.#isDestroyed = true;
    this.#socket.silence();
    detach(this.#webSocket);
  }

  /** A handler that destroys the connection while ws writes its close frame comes before ws starts its timer. */
  #clearLateTimer(): void {
    if (this.#isDestroyed) clearCloseTimer(this.#webSocket);
  }

  static readonly #socketListeners: AwakeSocketListeners<AwakeConnection> = {
    onWrite(awake, frame) {
      if (!awake.#isDestroyed) awake.#handlers.awakeOnWrite(awake.#slot, awake.#generation, frame);
    },
    onFinish(awake) {
      if (!awake.#isDestroyed) awake.#handlers.awakeOnFinish(awake.#slot, awake.#generation);
    },
  };

  static readonly #webSocketListeners: ServerSideListeners<AwakeConnection> = {
    onMessage(awake, data, isBinary) {
      if (!isOpen(awake.#webSocket)) return;
      awake.#handlers.awakeOnMessage(awake.#slot, awake.#generation, data, isBinary);
    },
    onPing(awake) {
      awake.#handlers.awakeOnPing?.(awake.#slot, awake.#generation);
    },
    onPong(awake) {
      awake.#handlers.awakeOnPong(awake.#slot, awake.#generation);
    },
    onError(awake) {
      if (!awake.#isEndPending) return;
      awake.#isEndPending = false;
      awake.#socket.deliverEnd();
    },
    onClose(awake, code, reason) {
      awake.destroy();
      awake.#handlers.awakeOnClose(awake.#slot, awake.#generation, code, reason);
    },
  };
}

function serverSideOptions(options: AwakeOptions): ServerSideOptions {
  const { maxMessageBytes, closeTimeoutMs } = options;
  const maxFragments =
    options.maxFragments ?? Math.max(MIN_MAX_FRAGMENTS, Math.ceil(maxMessageBytes / HONEST_FRAGMENT_BYTES));
  const maxBufferedChunks =
    options.maxBufferedChunks ??
    Math.max(MIN_MAX_BUFFERED_CHUNKS, Math.ceil(maxMessageBytes / HONEST_CHUNK_BYTES));
  return {
    // AwakeSocket relies on it: a receiver that defers events would buffer what follows them.
    allowSynchronousEvents: true,
    autoPong: true,
    closeTimeout: checkedLimit('closeTimeoutMs', closeTimeoutMs),
    maxBufferedChunks: checkedLimit('maxBufferedChunks', maxBufferedChunks),
    maxFragments: checkedLimit('maxFragments', maxFragments),
    maxPayload: checkedLimit('maxMessageBytes', maxMessageBytes),
    // Pongs are acknowledged at once and never pend; what waits for a slow reader is bounded by the owner's queue.
    maxPendingAutoPongs: 1,
    skipUTF8Validation: false,
  };
}
