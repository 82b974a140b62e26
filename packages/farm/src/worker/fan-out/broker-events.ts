import type { BrokerGap, BrokerHandlers, BrokerState, Publication } from '@roost/broker';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { Broadcaster } from './broadcaster.ts';
import type { Resyncs } from './resyncs.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface BrokerEventsHandlers {
  readonly broadcaster: Pick<Broadcaster, 'publish'>;
  readonly subscriptions: Pick<Subscriptions, 'markGaps' | 'markGapOf'>;
  readonly resyncs: Pick<Resyncs, 'missed'>;
  /** Of rows that are between two workers. */
  readonly moves: {
    publication(publication: Publication): void;
    control(message: Buffer): void;
    mark(address: string, id: number, epoch: number): void;
    /** Publications may have been missed. */
    missed(): void;
  };
  /** A message of the control channel. */
  readonly onControl: (message: Buffer) => void;
  /** The state of the broker has changed. */
  readonly onState: () => void;
}

/** What the broker reports to a worker. */
export class BrokerEvents implements BrokerHandlers {
  readonly #counters: Counters;
  readonly #log: Log;
  #handlers!: BrokerEventsHandlers;
  #isAway = false;

  constructor(counters: Counters, log: Log) {
    this.#counters = counters;
    this.#log = log;
  }

  /** Given once, before the broker is started. */
  connect(handlers: BrokerEventsHandlers): void {
    this.#handlers = handlers;
  }

  brokerOnPublication(publication: Publication): void {
    this.#handlers.moves.publication(publication);
    this.#handlers.broadcaster.publish(publication);
  }

  brokerOnControl(message: Buffer): void {
    this.#handlers.moves.control(message);
    this.#handlers.onControl(message);
  }

  brokerOnMark(address: string, id: number, epoch: number): void {
    this.#handlers.moves.mark(address, id, epoch);
  }

  brokerOnState(state: BrokerState, reason: string): void {
    if (state === 'away') this.#log.warn({ state, reason }, 'broker state');
    else this.#log.info({ state, reason }, 'broker state');
    if (state === 'away') this.#handlers.moves.missed();
    if (state === 'ready' && this.#isAway) this.#counters.add('broker_reconnects');
    this.#isAway = state === 'away' || (this.#isAway && state !== 'ready');
    this.#handlers.onState();
  }

  brokerOnGap(gap: BrokerGap): void {
    const { subscriptions, resyncs } = this.#handlers;
    this.#counters.add('broker_gaps');
    this.#counters.add('publications_missed', gap.droppedCount ?? 0);
    const { channels, ...facts } = gap;
    // One is enough for the log: there may be 128.
    const [first] = channels ?? [];
    const fields = first === undefined ? facts : { channel: first, ...facts };
    this.#log.warn(fields, 'publications may have been missed');
    if (channels === undefined) subscriptions.markGaps();
    else for (const channel of channels) subscriptions.markGapOf(channel);
    resyncs.missed(channels);
    this.#handlers.moves.missed();
  }

  brokerOnWarning(reason: string): void {
    this.#counters.add('broker_warnings');
    this.#log.warn({ reason }, 'broker warning');
  }
}
