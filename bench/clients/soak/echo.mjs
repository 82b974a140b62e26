import { Client } from './client.mjs';

const SERIES = 'echo';

/** Sends numbers to an app that sends them back. */
export class EchoClient extends Client {
  #sent = 0;

  /** @override */
  async open() {
    this.#sent = 0;
    this.sequences.expect(SERIES, 1);
    return super.open();
  }

  sendNext() {
    if (!this.isOpen) return;
    this.send(JSON.stringify({ series: SERIES, n: ++this.#sent }));
  }

  /** How many echoes are still to come. */
  get missing() {
    return this.#sent - (this.sequences.last(SERIES) ?? 0);
  }
}
