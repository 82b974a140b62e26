import type { BrokerGap, BrokerHandlers, BrokerState, Publication } from '@roost/broker';
import { ControlMessages } from '../upkeep/control-messages.ts';
import type { Core } from '../core.ts';

/** What the broker tells a worker. */
export class BrokerEvents implements BrokerHandlers {
  readonly #core: () => Core;
  readonly #onState: () => void;
  #control: ControlMessages | undefined;

  /** `onState` is called when the broker's state has changed. */
  constructor(core: () => Core, onState: () => void) {
    this.#core = core;
    this.#onState = onState;
  }

  brokerOnPublication(publication: Publication): void {
    this.#core().broadcaster.publish(publication.channel, publication.payload);
  }

  brokerOnControl(message: Buffer): void {
    this.#control ??= new ControlMessages(this.#core());
    this.#control.receive(message);
  }

  brokerOnState(state: BrokerState, reason: string): void {
    const { log } = this.#core();
    if (state === 'away') log.warn({ state, reason }, 'broker state');
    else log.info({ state, reason }, 'broker state');
    this.#onState();
  }

  brokerOnGap(gap: BrokerGap): void {
    const { counters, log, subscriptions } = this.#core();
    counters.add('broker_gaps');
    counters.add('publications_missed', gap.droppedCount ?? 0);
    const { channels, ...facts } = gap;
    // One is enough for the log: there may be 128.
    const [first] = channels ?? [];
    log.warn(first === undefined ? facts : { channel: first, ...facts }, 'publications may have been missed');
    if (channels === undefined) subscriptions.markGaps();
    else for (const channel of channels) subscriptions.markGapOf(channel);
  }

  brokerOnWarning(reason: string): void {
    const { counters, log } = this.#core();
    counters.add('broker_warnings');
    log.warn({ reason }, 'broker warning');
  }
}
