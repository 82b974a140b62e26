import type { BrokerGap, BrokerHandlers, BrokerState, Publication } from '@roost/broker';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { Broadcaster } from './broadcaster.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface BrokerEventsHandlers {
  readonly broadcaster: Pick<Broadcaster, 'publish'>;
  readonly subscriptions: Pick<Subscriptions, 'markGaps' | 'markGapOf'>;
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

  constructor(counters: Counters, log: Log) {
    this.#counters = counters;
    this.#log = log;
  }

  /** Given once, before the broker is started. */
  connect(handlers: BrokerEventsHandlers): void {
    this.#handlers = handlers;
  }

  brokerOnPublication(publication: Publication): void {
    this.#handlers.broadcaster.publish(publication.channel, publication.payload);
  }

  brokerOnControl(message: Buffer): void {
    this.#handlers.onControl(message);
  }

  brokerOnState(state: BrokerState, reason: string): void {
    if (state === 'away') this.#log.warn({ state, reason }, 'broker state');
    else this.#log.info({ state, reason }, 'broker state');
    this.#handlers.onState();
  }

  brokerOnGap(gap: BrokerGap): void {
    const { subscriptions } = this.#handlers;
    this.#counters.add('broker_gaps');
    this.#counters.add('publications_missed', gap.droppedCount ?? 0);
    const { channels, ...facts } = gap;
    // One is enough for the log: there may be 128.
    const [first] = channels ?? [];
    const fields = first === undefined ? facts : { channel: first, ...facts };
    this.#log.warn(fields, 'publications may have been missed');
    if (channels === undefined) subscriptions.markGaps();
    else for (const channel of channels) subscriptions.markGapOf(channel);
  }

  brokerOnWarning(reason: string): void {
    this.#counters.add('broker_warnings');
    this.#log.warn({ reason }, 'broker warning');
  }
}
