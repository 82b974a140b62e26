import { TcpSample } from '@roost/poller';
import { Histogram } from '../../api/histograms.ts';
import type { GaugeName } from '../../api/measures.ts';
import { RowFlag, type ConnectionTable } from '../rows/connection-table.ts';

/** Connections that are asked about at a time: 0.3 ms, and enough for a median. */
const SAMPLE_SIZE = 256;

/** Asks the kernel how TCP is doing, for some of the connections. Those over TLS are left out: Node has their descriptors. */
export class TcpSampling {
  readonly rtt = new Histogram('tcp_rtt_seconds');
  readonly #table: ConnectionTable;
  readonly #sample = new TcpSample(SAMPLE_SIZE);
  /** The slot at which the next sample begins, so that all have their turn. */
  #start = 0;

  constructor(table: ConnectionTable) {
    this.#table = table;
  }

  /** Takes a sample of about `openCount` connections, spread over all of them, and records their round-trip times. */
  take(openCount: number): Partial<Record<GaugeName, number>> {
    const sample = this.#sample;
    sample.take(this.#choose(Math.max(1, Math.floor(openCount / SAMPLE_SIZE))));
    let silent = 0;
    let sent = 0;
    let retransmitted = 0;
    for (let index = 0; index < sample.count; index++) {
      const rtt = sample.rttMicros(index);
      if (rtt > 0) this.rtt.record(rtt / 1e6);
      if (sample.unansweredTimeouts(index) > 0) silent++;
      sent += sample.sentSegments(index);
      retransmitted += sample.retransmittedSegments(index);
    }
    return {
      tcp_sample_connections: sample.count,
      tcp_sample_silent_connections: silent,
      tcp_sample_retransmitted_ratio: sent === 0 ? 0 : Math.min(1, retransmitted / sent),
    };
  }

  /** Every `step`th open connection from where the last sample ended; answers how many. */
  #choose(step: number): number {
    const { highWater, fds, flags } = this.#table;
    const { fds: chosen } = this.#sample;
    let count = 0;
    let passed = 0;
    let slot = this.#start < highWater ? this.#start : 0;
    for (let looked = 0; looked < highWater && count < SAMPLE_SIZE; looked++) {
      const fd = fds[slot] ?? -1;
      if (fd >= 0 && ((flags[slot] ?? 0) & RowFlag.open) !== 0 && passed++ % step === 0) chosen[count++] = fd;
      slot = slot + 1 < highWater ? slot + 1 : 0;
    }
    this.#start = slot;
    return count;
  }
}
