import { native } from './native.ts';

/** Fields of one connection, as in native/tcp-info.cc. */
const FIELDS = 6;
const RTT = 0;
const UNANSWERED_TIMEOUTS = 1;
const RETRANSMITTED = 2;
const SENT = 3;
const ACKNOWLEDGED_BYTES = 4;
const RECEIVED_BYTES = 5;

/**
 * What the kernel knows of some TCP connections (TCP_INFO, tcp(7)). It costs about a microsecond each, so a few hundred can be
 * looked at now and then. Made once, and used for every sample.
 */
export class TcpSample {
  /** The descriptors to be asked about next, for the caller to fill. */
  readonly fds: Int32Array;
  readonly #fields: Float64Array;
  #count = 0;

  /** For at most so many connections. */
  constructor(capacity: number) {
    this.fds = new Int32Array(capacity);
    this.#fields = new Float64Array(capacity * FIELDS);
  }

  /** Asks about the first `count` of {@link fds}. Those that are no TCP sockets, or not open, are left out. */
  take(count: number): void {
    this.#count = native().tcpInfo(this.fds, count, this.#fields);
  }

  /** Connections of the sample. */
  get count(): number {
    return this.#count;
  }

  /** The smoothed round-trip time of one of them, in µs; 0 before the first was measured. */
  rttMicros(index: number): number {
    return this.#field(index, RTT);
  }

  /** Retransmission timeouts since its last acknowledgement: above 0 its peer is silent. */
  unansweredTimeouts(index: number): number {
    return this.#field(index, UNANSWERED_TIMEOUTS);
  }

  /** Segments that it has sent again, since it began; modulo 2^32. */
  retransmittedSegments(index: number): number {
    return this.#field(index, RETRANSMITTED);
  }

  /** Segments that it has sent, since it began; modulo 2^32. */
  sentSegments(index: number): number {
    return this.#field(index, SENT);
  }

  /** Bytes that it has sent and its peer has acknowledged. */
  acknowledgedBytes(index: number): number {
    return this.#field(index, ACKNOWLEDGED_BYTES);
  }

  /** Bytes that have arrived, read or not. */
  receivedBytes(index: number): number {
    return this.#field(index, RECEIVED_BYTES);
  }

  #field(index: number, field: number): number {
    return this.#fields[index * FIELDS + field] ?? 0;
  }
}
