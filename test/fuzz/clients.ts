import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect, EVENT_FIELDS, Interest, PollFlag, Poller, terminateDescriptor } from '@roost/poller';
import type { Pause, Piece, Transcript } from './stream.ts';

/** What one client is to do. */
export interface Errand {
  readonly port: number;
  readonly pieces: readonly Piece[];
  readonly isKeptAlive: boolean;
  /** It reads nothing behind the 101 until all pieces are sent. */
  readonly isLateReader: boolean;
  /** It waits for the server's end before it sends its own. */
  readonly isPatient: boolean;
  readonly lastPause: Pause;
  /** Whether it may send its FIN after so many bytes; asked again with every turn. */
  readonly mayEnd: (sentBytes: number) => boolean;
  readonly transcript: Transcript;
  /** The TCP connection is over. */
  readonly onDone: () => void;
}

interface Client {
  readonly errand: Errand;
  readonly slot: number;
  /** Index of the next piece. */
  piece: number;
  /** Bytes of it that the kernel has taken. */
  sent: number;
  /** And of all so far. */
  sentBytes: number;
  isPaused: boolean;
  /** Set once the pause before the next piece, or before FIN, is over. */
  isRested: boolean;
  /** Whether the answer to the plain request is still to come; its bytes are nobody's business. */
  isAsking: boolean;
  hasHead: boolean;
  isDeaf: boolean;
  isFinished: boolean;
  /** A send has failed, and taken the socket's error with it: recv will speak of a plain end. */
  isReset: boolean;
  received: Buffer[];
}

/** Each has 28,000 ports of its own: connections that ended a minute ago still occupy theirs. */
const SOURCE_ADDRESSES = 200;
const PLAIN_REQUEST = Buffer.from('GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n');
const HEAD_END = '\r\n\r\n';

/** Resolves when the event loop has turned so often. */
export async function afterTurns(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await nextTurn();
}

/** TCP clients that send their pieces as they are told, over one epoll set: a Node socket each would cost more than what is tested. */
export class Clients {
  readonly #fds: Int32Array;
  readonly #generations: Int32Array;
  readonly #clients: (Client | undefined)[];
  readonly #free: number[];
  readonly #poller: Poller;
  readonly #resting: { client: Client; turns: number }[] = [];
  #connections = 0;
  #isTurning = false;

  constructor(capacity: number) {
    this.#fds = new Int32Array(capacity).fill(-1);
    this.#generations = new Int32Array(capacity);
    this.#clients = Array.from({ length: capacity }, () => undefined);
    this.#free = Array.from({ length: capacity }, (_slot, index) => index);
    this.#poller = new Poller({
      columns: { fds: this.#fds, generations: this.#generations, flags: new Uint16Array(capacity) },
      onEvents: (count) => this.#handle(count),
    });
  }

  run(errand: Errand): void {
    const slot = this.#free.pop();
    if (slot === undefined) throw new RangeError('more clients than the capacity given');
    const source = 2 + (this.#connections++ % SOURCE_ADDRESSES);
    const fd = connect({ host: '127.0.0.1', port: errand.port, sourceAddress: `127.0.0.${source}` });
    if (fd < 0) throw new Error(`connect failed with errno ${-fd}`);
    this.#fds[slot] = fd;
    const { isKeptAlive: isAsking } = errand;
    this.#clients[slot] = {
      errand,
      slot,
      piece: isAsking ? -1 : 0,
      sent: 0,
      sentBytes: 0,
      isPaused: false,
      isRested: false,
      isAsking,
      hasHead: false,
      isDeaf: false,
      isFinished: false,
      isReset: false,
      received: [],
    };
    this.#poller.watch(slot, Interest.readable | Interest.writable);
  }

  /** Ends every connection that is left, and the clients. */
  stop(): void {
    for (const client of this.#clients) if (client !== undefined) this.#end(client, 'none');
    this.#poller.destroy();
  }

  /** Gives up on a client: the server has not ended its connection in time. */
  abandon(transcript: Transcript): void {
    const client = this.#clients.find((candidate) => candidate?.errand.transcript === transcript);
    if (client !== undefined) this.#end(client, 'none');
  }

  #handle(count: number): void {
    const { events, slab } = this.#poller;
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      const slot = events[at] ?? 0;
      const client = this.#clients[slot];
      if (client === undefined || events[at + 1] !== this.#generations[slot]) continue;
      const flags = events[at + 2] ?? 0;
      if ((flags & PollFlag.writable) !== 0) {
        this.#listen(client, false);
        this.#proceed(client);
      }
      if ((flags & PollFlag.data) !== 0) {
        const offset = events[at + 3] ?? 0;
        this.#received(client, Buffer.from(slab.subarray(offset, offset + (events[at + 4] ?? 0))));
      }
      if (this.#clients[slot] !== client) continue;
      if ((flags & PollFlag.end) !== 0) this.#end(client, 'fin');
      else if ((flags & PollFlag.error) !== 0) this.#end(client, 'reset');
      else if ((flags & PollFlag.hangup) !== 0) this.#hearAgain(client);
    }
  }

  #received(client: Client, bytes: Buffer): void {
    client.received.push(bytes);
    if (client.hasHead) return;
    if (!Buffer.concat(client.received).includes(HEAD_END)) return;
    if (client.isAsking) {
      client.isAsking = false;
      client.received = [];
    } else {
      client.hasHead = true;
      if (client.errand.isLateReader && !client.isFinished) {
        client.isDeaf = true;
        this.#listen(client, false);
      }
    }
    this.#proceed(client);
  }

  /** Does what can be done now; called again when something that it waits for has happened. */
  #proceed(client: Client): void {
    const { errand } = client;
    while (!client.isFinished) {
      if (client.piece < 0) {
        client.sentBytes += this.#poller.send(client.slot, PLAIN_REQUEST, 0, PLAIN_REQUEST.length);
        client.piece = 0;
      }
      if (client.isAsking || client.isPaused) return;
      const piece = errand.pieces[client.piece];
      if (piece?.isAfterHead === true && !client.hasHead) return;
      // ws does not answer clients that have ended while its hook decides; the worker does.
      if (piece === undefined && !client.hasHead) return;
      if (piece === undefined && errand.isPatient) {
        this.#hearAgain(client);
        return;
      }
      if (!client.isRested && client.sent === 0) {
        client.isRested = true;
        if (this.#rest(client, piece?.pause ?? errand.lastPause)) return;
      }
      if (piece === undefined) {
        if (!errand.mayEnd(client.sentBytes)) {
          this.#rest(client, { turns: 1, ms: 0 });
          return;
        }
        client.isFinished = true;
        this.#poller.shutdownWrite(client.slot);
        this.#hearAgain(client);
        return;
      }
      const rest = piece.bytes.length - client.sent;
      const sent = this.#poller.send(client.slot, piece.bytes, client.sent, rest);
      // The server has gone: what it said before is still to be read.
      if (sent < 0) {
        client.isFinished = true;
        client.isReset = true;
        this.#hearAgain(client);
        return;
      }
      client.sentBytes += sent;
      if (sent < rest) {
        client.sent += sent;
        this.#listen(client, true);
        return;
      }
      client.piece++;
      client.sent = 0;
      client.isRested = false;
    }
  }

  #listen(client: Client, wantsToSend: boolean): void {
    const readable = client.isDeaf ? Interest.paused : Interest.readable;
    this.#poller.setInterest(client.slot, readable | (wantsToSend ? Interest.writable : 0));
  }

  #hearAgain(client: Client): void {
    if (!client.isDeaf) return;
    client.isDeaf = false;
    this.#listen(client, false);
  }

  /** False when there is nothing to wait for. */
  #rest(client: Client, { turns, ms }: Pause): boolean {
    if (ms > 0) {
      client.isPaused = true;
      setTimeout(() => this.#rested(client), ms);
      return true;
    }
    if (turns === 0) return false;
    client.isPaused = true;
    this.#resting.push({ client, turns });
    if (!this.#isTurning) {
      this.#isTurning = true;
      setImmediate(() => this.#turn());
    }
    return true;
  }

  #turn(): void {
    const resting = this.#resting.splice(0);
    for (const rest of resting) {
      if (--rest.turns > 0) this.#resting.push(rest);
      else this.#rested(rest.client);
    }
    this.#isTurning = this.#resting.length > 0;
    if (this.#isTurning) setImmediate(() => this.#turn());
  }

  #rested(client: Client): void {
    client.isPaused = false;
    if (this.#clients[client.slot] === client) this.#proceed(client);
  }

  #end(client: Client, how: Transcript['end']): void {
    const { slot, errand } = client;
    errand.transcript.received = Buffer.concat(client.received);
    errand.transcript.end = client.isReset && how === 'fin' ? 'reset' : how;
    client.isFinished = true;
    this.#clients[slot] = undefined;
    this.#poller.unwatch(slot);
    terminateDescriptor(this.#fds[slot] ?? -1);
    this.#fds[slot] = -1;
    this.#generations[slot] = (this.#generations[slot] ?? 0) + 1;
    this.#free.push(slot);
    errand.onDone();
  }
}
