import { made } from './elements.ts';
import type { Values } from './history.ts';
import { bytes, count, duration } from './units.ts';

const TILES: readonly (readonly [title: string, textOf: (values: Values) => string])[] = [
  ['connections', (values) => count(values['connections'])],
  ['opened per second', (values) => count(values['opened'])],
  ['messages in per second', (values) => count(values['messagesReceived'])],
  ['deliveries per second', (values) => count(values['deliveries'])],
  ['fan-out p99', (values) => duration(values['broadcast p99'])],
  ['event loop p99', (values) => duration(values['loopDelay p99'])],
  ['round trip p50', (values) => duration(values['rtt p50'])],
  ['in queues', (values) => bytes(values['queueBytes'])],
];

/** The figures of this moment, large. */
export class Tiles {
  readonly #texts: HTMLElement[];

  constructor(place: HTMLElement) {
    this.#texts = TILES.map(([title]) => {
      const tile = made('div', '', 'tile');
      const text = made('strong', '–');
      tile.append(text, made('span', title));
      place.append(tile);
      return text;
    });
  }

  show(values: Values): void {
    for (const [index, [, textOf]] of TILES.entries()) {
      const place = this.#texts[index];
      if (place !== undefined) place.textContent = textOf(values);
    }
  }
}
