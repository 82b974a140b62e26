import {
  closeDescriptor,
  descriptorPair,
  EVENT_FIELDS,
  Interest,
  Poller,
  PollFlag,
  receiveDescriptors,
  sendDescriptors,
  type ReceivedRecord,
} from '@roost/poller';
import { ADDRESS_BYTES } from '../../addresses/address.ts';
import { EMPTY } from '../rows/empty.ts';
import { ACKNOWLEDGEMENT_BYTES, HandOffRecord, MAX_BATCH } from '../../link/hand-off-record.ts';

/** What a browser sends, more or less; the parser looks at every one of its bytes. */
function upgradeRequest(path: string): Buffer {
  const lines = [
    `GET ${path} HTTP/1.1`,
    'Host: 127.0.0.1:8080',
    'Connection: Upgrade',
    'Pragma: no-cache',
    'Cache-Control: no-cache',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36',
    'Upgrade: websocket',
    'Origin: http://127.0.0.1:8080',
    'Sec-WebSocket-Version: 13',
    'Accept-Encoding: gzip, deflate, br',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
}

/** `{"type": "warm-up"}` as a text frame; its mask is zero, so that its payload can be read here. */
const MESSAGE = Buffer.concat([Buffer.from('819300000000', 'hex'), Buffer.from('{"type": "warm-up"}')]);
/** A close frame with 1000. */
const CLOSE = Buffer.from('88820000000003e8', 'hex');

/** Of so many clients one sends its request only when the worker has its socket. */
const LATE = 5;

const NO_DESCRIPTORS = new Int32Array(0);
const NO_SLOTS = new Int32Array(0);
const GONE = PollFlag.error | PollFlag.hangup | PollFlag.end;

export interface WarmUpClientsOptions {
  /** At a time. */
  readonly clients: number;
  /** Of their requests, by turns. */
  readonly paths: readonly string[];
  readonly messagesPerClient: number;
  /** The master's end of the worker's descriptor socket pair. */
  readonly descriptors: number;
  /** A handshake is complete; false: no further one is begun. */
  readonly onHandshake: () => boolean;
  /** The last client is gone. */
  readonly onDone: () => void;
}

/**
 * Clients of a worker that warms up, over socket pairs: all connect together, as after a deploy; each sends its messages one
 * after the other and closes, and when the last has gone, the next ones come.
 */
export class WarmUpClients {
  readonly #options: WarmUpClientsOptions;
  readonly #requests: readonly Buffer[];
  readonly #fds: Int32Array;
  readonly #generations: Int32Array;
  /** Messages that each has to send, -1 before its 101. */
  readonly #left: Int32Array;
  readonly #poller: Poller;
  readonly #record = new HandOffRecord();
  readonly #address = new Uint8Array(ADDRESS_BYTES);
  readonly #handed: number[] = [];
  readonly #scratch = Buffer.alloc(ACKNOWLEDGEMENT_BYTES);
  readonly #received: ReceivedRecord = { bytes: 0, count: 0, truncated: false };
  #asked = 0;
  readonly #late: number[] = [];
  #lastNumber = 0;
  #batch = 0;
  #open = 0;
  #isEnding = false;

  constructor(options: WarmUpClientsOptions) {
    const { clients } = options;
    this.#options = options;
    this.#requests = options.paths.map(upgradeRequest);
    this.#fds = new Int32Array(clients).fill(-1);
    this.#generations = new Int32Array(clients);
    this.#left = new Int32Array(clients);
    this.#poller = new Poller({
      columns: { fds: this.#fds, generations: this.#generations, flags: new Uint16Array(clients) },
      onEvents: (count) => this.#handle(count),
    });
    this.#poller.watchDescriptor(options.descriptors, 0, Interest.readable);
  }

  start(): void {
    const { clients } = this.#options;
    // Each poller has native functions of its own: V8 must not take those of the worker's for the only ones.
    this.#poller.receiveNew(NO_SLOTS, 0);
    this.#poller.watchNew(NO_SLOTS, 0);
    for (let client = 0; client < clients; client++) this.#connect(client);
    this.#handOff();
    for (let client = 0; client < clients; client += LATE) this.#late.push(client);
  }

  stop(): void {
    this.#isEnding = true;
    this.#poller.destroy();
    for (const fd of this.#fds) if (fd >= 0) closeDescriptor(fd);
    for (const fd of this.#handed) closeDescriptor(fd);
  }

  /** The worker's ends of new pairs are handed off together, as the master does. */
  #handOff(): void {
    while (this.#handed.length > 0) {
      const fds = Int32Array.from(this.#handed.splice(0, MAX_BATCH));
      this.#record.begin(++this.#batch);
      for (let index = 0; index < fds.length; index++) {
        this.#record.add(++this.#lastNumber, this.#address, 0, 0);
      }
      sendDescriptors(this.#options.descriptors, fds, fds.length, this.#record.bytes);
      for (const fd of fds) closeDescriptor(fd);
    }
  }

  #connect(client: number): void {
    const [ours, theirs] = descriptorPair();
    this.#fds[client] = ours;
    this.#left[client] = -1;
    this.#open++;
    this.#handed.push(theirs);
    this.#poller.watch(client, Interest.readable);
    if (client % LATE !== 0) this.#ask(client);
  }

  #ask(client: number): void {
    const request = this.#requests[++this.#asked % this.#requests.length] ?? EMPTY;
    this.#poller.send(client, request, 0, request.length);
  }

  #handle(count: number): void {
    const { events } = this.#poller;
    for (let at = 0; at < count * EVENT_FIELDS; at += EVENT_FIELDS) {
      const flags = events[at + 2] ?? 0;
      // An acknowledgement: the worker has the sockets, and nothing here waits for that.
      if ((flags & PollFlag.descriptor) !== 0) this.#readAcknowledgement();
      else this.#read(events[at] ?? 0, flags);
    }
    // The worker has the sockets of those who are late.
    for (const client of this.#late.splice(0)) this.#ask(client);
    if (this.#open > 0) return;
    if (this.#isEnding) this.#options.onDone();
    else this.start();
  }

  #readAcknowledgement(): void {
    // An empty answer, or an error, is the end of the socket pair.
    while (
      receiveDescriptors(this.#options.descriptors, NO_DESCRIPTORS, this.#scratch, this.#received).bytes > 0
    );
  }

  /** Each of the worker's answers is one record of the pair: the 101, an echo, a publication, the close frame. */
  #read(client: number, flags: number): void {
    if ((flags & PollFlag.data) !== 0) this.#next(client);
    if ((flags & GONE) === 0 || this.#fds[client] === -1) return;
    this.#poller.close(client);
    this.#generations[client] = (this.#generations[client] ?? 0) + 1;
    this.#open--;
  }

  #next(client: number): void {
    const left = this.#left[client] ?? 0;
    if (left === -1) {
      this.#isEnding ||= !this.#options.onHandshake();
      this.#left[client] = this.#options.messagesPerClient;
      this.#poller.send(client, MESSAGE, 0, MESSAGE.length);
    } else if (left > 0) {
      this.#left[client] = left - 1;
      const bytes = left === 1 ? CLOSE : MESSAGE;
      this.#poller.send(client, bytes, 0, bytes.length);
    }
  }
}
