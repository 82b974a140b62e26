import { constants } from 'node:os';
import type { SecureContext } from 'node:tls';
import { BROADCAST_SKIPPED, Interest, terminateDescriptor, type BroadcastWalk } from '@roost/poller';
import { addressKeyHigh, addressKeyLow } from '../../../addresses/address-table.ts';
import type { TlsCredentials } from '../../../link/tls-credentials.ts';
import { RowFlag, RowState, Transport } from '../../rows/connection-table.ts';
import type { Core } from '../../core.ts';
import { duplicateOf } from '../duplicate-of.ts';
import { received } from '../../states/by-state.ts';
import type { Sockets } from '../sockets.ts';
import { secureContext } from './tls-context.ts';
import { TlsSocket, type TlsSocketHandlers } from './tls-socket.ts';
import { TlsTurns, type TlsTurn } from '../../states/securing-queue.ts';

/** A TLS record of a handshake, which a ClientHello begins (RFC 8446 §5.1). */
const HANDSHAKE_RECORD = 0x16;
/** Each costs a private-key operation, up to a millisecond: the loop turns in between. */
const STARTS_PER_TURN = 8;
/** Encrypting and sending costs a hundred times what reading the clock does. */
const WRITES_PER_CLOCK_READ = 8;
const POISON = 0xdb;
/** What is read in a turn of the loop, all streams together, as in a wake-up of the poller. */
const BYTES_PER_TURN = 64 * 1024;
/** What an event costs beside its bytes, in bytes. */
const EVENT_BYTES = 64;
/** Those that send no more than this at a time have a turn's bytes to themselves. */
const SHORT_BYTES = 1024;
/** Streams that go on reading in one turn. */
const RESUMES_PER_TURN = 32;

/**
 * The rows of a worker whose port speaks TLS. A row begins in state securing, native: its first bytes come from the
 * poller, so that sockets which say nothing cost nothing more than elsewhere. A ClientHello waits for its turn, paused:
 * at most `maxTlsHandshakes` are under way, at most `maxTlsHandshakesPerAddress` of them for one address, and addresses
 * take turns. Then a Node stream gets the descriptor, and the row goes on in state handshake as if the decrypted bytes had
 * come from the poller.
 *
 * To those who send, a stream is what the kernel is to them elsewhere: it takes so many bytes (its high-water mark), says
 * that it is full, and says when it has room again; what waits beyond is the row's outbound queue, with its bounds and its
 * policy. A connection over TLS has objects of Node and OpenSSL as long as it lives: it never hibernates.
 */
export class TlsConnections implements Sockets, TlsSocketHandlers {
  readonly #core: Core;
  readonly #poison: boolean;
  readonly #bySlot = new Map<number, TlsSocket>();
  /** Rows whose ClientHello has come, and owners of the handshakes under way. */
  readonly #turns = new TlsTurns();
  /** Streams that have more than was left of a turn, in the order in which they go on. */
  readonly #readers = new Set<TlsSocket>();
  #bytesLeft = BYTES_PER_TURN;
  #shortBytesLeft = BYTES_PER_TURN;
  #context: SecureContext;
  #handshakes = 0;
  #isStartScheduled = false;
  #isTurnScheduled = false;

  /** `poison` overwrites received bytes once they are handled, so that tests see who keeps views of them. */
  constructor(core: Core, credentials: TlsCredentials, poison: boolean) {
    this.#core = core;
    this.#poison = poison;
    this.#context = secureContext(credentials);
  }

  /** New connections are served with these. */
  use(credentials: TlsCredentials): void {
    this.#context = secureContext(credentials);
  }

  /** The first bytes of a row in state securing. */
  receive(slot: number, bytes: Buffer, start: number, end: number): void {
    const { inboundBuffer, lifecycle, sockets } = this.#core;
    if (inboundBuffer.length(slot) === 0 && bytes[start] !== HANDSHAKE_RECORD) {
      // Native as the row still is, it can be told in plain text.
      lifecycle.refuse(slot, 400, 'this port speaks TLS: use wss:// or https://', 'refused_not_tls');
      return;
    }
    if (!inboundBuffer.append(slot, bytes, start, end)) {
      this.#core.counters.add('refused_inbound_bytes');
      lifecycle.ended(slot);
      return;
    }
    sockets.setInterest(slot, Interest.paused);
    if (!this.#turns.add(slot, this.#ownerOf(slot), this.#maxUnderWayOf(slot))) {
      this.#core.counters.add('tls_handshakes_held_back');
    }
    this.#schedule();
  }

  /** The row's stream, for the HTTP server to read and write. */
  lend(slot: number): TlsSocket | undefined {
    const socket = this.#bySlot.get(slot);
    socket?.unlisten();
    return socket;
  }

  /** The HTTP server is done with it: what comes now is the row's again. */
  takeBack(slot: number): void {
    const socket = this.#bySlot.get(slot);
    socket?.listen();
    socket?.resume();
  }

  // Sockets

  send(slot: number, bytes: Uint8Array, offset: number, length: number): number {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return this.#core.poller.send(slot, bytes, offset, length);
    // The stream may keep what it is given, and the caller may not.
    const taken = Math.min(length, roomOf(socket));
    if (taken > 0) socket.write(Buffer.from(bytes.subarray(offset, offset + taken)));
    return taken;
  }

  /** As the poller does; the one frame is shared by all streams. */
  broadcast(walk: BroadcastWalk, budgetMicros: number): number {
    const { flags } = this.#core.table;
    const endsAt = performance.now() + budgetMicros / 1000;
    const { members, to } = walk;
    let writes = 0;
    let index = walk.from;
    walk.begin();
    while (index < to && walk.hasRoom) {
      const slot = members[index++] ?? -1;
      if (slot < 0) continue;
      const bits = flags[slot] ?? 0;
      const form = walk.formFor(bits);
      const isSendable = (bits & RowFlag.sendable) !== 0;
      walk.record(slot, isSendable ? this.#writeFrame(slot, form) : BROADCAST_SKIPPED, form.length);
      if (isSendable && ++writes % WRITES_PER_CLOCK_READ === 0 && performance.now() >= endsAt) break;
    }
    return index;
  }

  setInterest(slot: number, interest: number): number {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return this.#core.poller.setInterest(slot, interest);
    const wasPaused = socket.isRowPaused;
    socket.isRowPaused = (interest & Interest.readable) === 0;
    socket.hasQueue = (interest & Interest.writable) !== 0;
    if (socket.isRowPaused || !wasPaused) return 0;
    socket.resume();
    if (socket.hasEnded) setImmediate(() => this.#ended(socket));
    return 0;
  }

  /** close_notify and FIN, behind what the stream still holds. */
  shutdownWrite(slot: number): number {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return this.#core.poller.shutdownWrite(slot);
    socket.end();
    return 0;
  }

  close(slot: number): void {
    this.#turns.remove(slot);
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) {
      this.#core.poller.close(slot);
      return;
    }
    this.#bySlot.delete(slot);
    this.#readers.delete(socket);
    // Who holds a copy of the descriptor does not keep the client from its FIN.
    const copy = duplicateOf(socket);
    if (copy >= 0) terminateDescriptor(copy);
    socket.destroy();
  }

  // TlsSocketHandlers

  tlsOnSecure(socket: TlsSocket): void {
    const { table, counters } = this.#core;
    this.#handshakeEnded(socket);
    counters.add('tls_handshakes');
    if (socket.isSessionReused()) counters.add('tls_resumptions');
    if (this.#isCurrent(socket)) table.states[socket.slot] = RowState.handshake;
  }

  tlsOnData(socket: TlsSocket, bytes: Buffer): void {
    if (!this.#isCurrent(socket)) return;
    // What came before the pause was heard is kept with the row; what comes now waits in the stream.
    if (socket.isRowPaused) socket.pause();
    else if (this.#mustWait(socket, bytes)) return;
    this.#core.clock.refresh();
    received(this.#core, socket.slot, bytes, 0, bytes.length);
    if (this.#poison) bytes.fill(POISON);
  }

  tlsOnEnd(socket: TlsSocket): void {
    socket.hasEnded = true;
    if (!this.#isCurrent(socket)) return;
    if (!socket.isSecure) this.#countFailure(socket);
    // An upgrade that is being decided is told; what the client has sent before is read if it is let in.
    if (socket.isRowPaused) this.#core.handshakes.peerEnded(socket.slot);
    else this.#ended(socket);
  }

  tlsOnDrain(socket: TlsSocket): void {
    if (socket.hasQueue && this.#isCurrent(socket)) this.#core.outbound.flush(socket.slot);
  }

  tlsOnFinish(socket: TlsSocket): void {
    if (this.#isCurrent(socket)) this.#core.lifecycle.flushed(socket.slot);
  }

  tlsOnClose(socket: TlsSocket): void {
    if (!socket.isSecure) {
      this.#handshakeEnded(socket);
      if (this.#isCurrent(socket)) this.#countFailure(socket);
    }
    this.#ended(socket);
  }

  #countFailure(socket: TlsSocket): void {
    const { counters, log, table } = this.#core;
    const failure = socket.failure === '' ? 'the client went away' : socket.failure;
    counters.add('tls_handshakes_failed');
    log.debug({ client: table.address(socket.slot), failure }, 'TLS handshake failed');
  }

  #ended(socket: TlsSocket): void {
    if (this.#isCurrent(socket)) this.#core.lifecycle.ended(socket.slot);
  }

  #isCurrent({ slot, generation }: TlsSocket): boolean {
    return this.#core.table.isCurrent(slot, generation);
  }

  /** One write of a frame that nobody changes. */
  #writeFrame(slot: number, frame: Uint8Array): number {
    const socket = this.#bySlot.get(slot);
    if (socket === undefined) return -constants.errno.EBADF;
    const taken = Math.min(frame.length, roomOf(socket));
    if (taken === frame.length) socket.write(frame);
    else if (taken > 0) socket.write(frame.subarray(0, taken));
    return taken;
  }

  /** Whether the bytes are to wait, in front of the stream, because others have used up the turn. */
  #mustWait(socket: TlsSocket, bytes: Buffer): boolean {
    const cost = bytes.length + EVENT_BYTES;
    if (!this.#isTurnScheduled) {
      this.#isTurnScheduled = true;
      setImmediate(this.#turn);
    }
    if (this.#bytesLeft > 0) {
      this.#bytesLeft -= cost;
      return false;
    }
    if (bytes.length <= SHORT_BYTES && this.#shortBytesLeft > 0) {
      this.#shortBytesLeft -= cost;
      return false;
    }
    socket.pause();
    socket.unshift(bytes);
    this.#readers.add(socket);
    return true;
  }

  readonly #turn = (): void => {
    this.#isTurnScheduled = this.#readers.size > 0;
    this.#bytesLeft = BYTES_PER_TURN;
    this.#shortBytesLeft = BYTES_PER_TURN;
    let resumes = 0;
    for (const socket of this.#readers) {
      if (resumes++ === RESUMES_PER_TURN) break;
      this.#readers.delete(socket);
      if (!socket.isRowPaused) socket.resume();
    }
    if (this.#isTurnScheduled) setImmediate(this.#turn);
  };

  #schedule(): void {
    if (this.#isStartScheduled || !this.#turns.hasNext) return;
    if (this.#handshakes >= this.#core.config.maxTlsHandshakes) return;
    this.#isStartScheduled = true;
    setImmediate(() => {
      this.#isStartScheduled = false;
      let room = Math.min(STARTS_PER_TURN, this.#core.config.maxTlsHandshakes - this.#handshakes);
      while (room-- > 0) {
        const turn = this.#turns.next();
        if (turn === undefined) break;
        this.#start(turn);
      }
      this.#schedule();
    });
  }

  #start({ slot, owner }: TlsTurn): void {
    const { table, poller, inboundBuffer } = this.#core;
    const hello = inboundBuffer.take(slot, EMPTY, 0, 0);
    const fd = table.fds[slot] ?? -1;
    poller.unwatch(slot);
    table.fds[slot] = -1;
    table.transports[slot] = Transport.stream;
    this.#handshakes++;
    const row = { slot, generation: table.generation(slot), owner };
    this.#bySlot.set(slot, new TlsSocket(fd, hello, row, this.#context, this));
  }

  /** To whom the handshake of a row counts: IPv6 addresses by their /64, as everywhere. */
  #ownerOf(slot: number): string {
    const { table } = this.#core;
    const offset = table.addressOffset(slot);
    return `${addressKeyHigh(table.addresses, offset)}:${addressKeyLow(table.addresses, offset)}`;
  }

  /** Trusted proxies come for many clients, whom only the request will name. */
  #maxUnderWayOf(slot: number): number {
    const { table, config, trustedProxies } = this.#core;
    const isProxy = trustedProxies.isTrusted(table.addresses, table.addressOffset(slot));
    const { maxTlsHandshakesPerAddress: max } = config;
    return max === 0 || isProxy ? Number.POSITIVE_INFINITY : max;
  }

  #handshakeEnded({ owner }: TlsSocket): void {
    this.#handshakes--;
    this.#turns.ended(owner);
    this.#schedule();
  }
}

const EMPTY = Buffer.alloc(0);

/** Bytes that a stream takes now. It says 'drain' after it has taken the last of them. */
function roomOf(socket: TlsSocket): number {
  if (!socket.writable) return -constants.errno.EPIPE;
  return Math.max(0, socket.writableHighWaterMark - socket.writableLength);
}
