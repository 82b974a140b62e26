import { eventually, type FarmProcess, type TestClient } from '@roost/testing';
import { connectMany } from './system.ts';

/** Numbers that were published and not heard yet. */
const WINDOW = 20;

export interface TrafficOptions {
  /** Clients that send numbers and get them back. Default 40. */
  readonly echoes?: number;
  /** Clients that hear numbers which somebody else publishes. Default 40. */
  readonly listeners?: number;
  /** Clients that publish numbers to a channel that they all hear. Default 8. */
  readonly publishers?: number;
  /** Publishes one of the numbers. It resolves when that has happened. */
  readonly publish: (channel: string, text: string) => Promise<unknown>;
}

/** One client, and what it should get next from whom. */
interface Party {
  readonly client: TestClient;
  readonly next: Map<string, number>;
}

/**
 * Clients of a farm that are never silent: their messages are numbered, and each checks that it gets every one that it should, once
 * and in order. Nothing is timed: whoever has its answer sends the next.
 */
export class Traffic {
  readonly #publish: TrafficOptions['publish'];
  readonly #echoes: Party[] = [];
  readonly #listeners: Party[] = [];
  readonly #publishers: Party[] = [];
  readonly #faults: string[] = [];
  #published = 0;
  #isStopping = false;
  #publication: Promise<void> = Promise.resolve();

  private constructor(publish: TrafficOptions['publish']) {
    this.#publish = publish;
  }

  static async start(
    farm: FarmProcess,
    { echoes = 40, listeners = 40, publishers = 8, publish }: TrafficOptions,
  ): Promise<Traffic> {
    const traffic = new Traffic(publish);
    const parties = async (path: string, count: number): Promise<Party[]> =>
      (await connectMany(farm, path, count)).map((client) => ({ client, next: new Map() }));
    traffic.#echoes.push(...(await parties('/echo', echoes)));
    traffic.#listeners.push(...(await parties('/news?channel=numbers', listeners)));
    traffic.#publishers.push(...(await parties('/news?channel=own', publishers)));
    traffic.#begin();
    return traffic;
  }

  /** All clients. */
  get clients(): TestClient[] {
    return [...this.#echoes, ...this.#listeners, ...this.#publishers].map(({ client }) => client);
  }

  /** How many numbers every client has got at least, of those that live. */
  get rounds(): number {
    const counts = [...this.#echoes, ...this.#listeners, ...this.#publishers].flatMap(({ client, next }) =>
      client.isClosed ? [] : [Math.max(0, ...next.values())],
    );
    return Math.min(...counts);
  }

  /** Resolves when every client that lives has got some more. */
  async goesOn(rounds = 5): Promise<void> {
    const wanted = this.rounds + rounds;
    await eventually(() => this.rounds >= wanted, { what: 'all clients get their messages' });
  }

  /** Ends the traffic, waits for what is under way, and answers what went wrong; nothing is an empty list. */
  async end(): Promise<readonly string[]> {
    this.#isStopping = true;
    await this.#publication;
    const living = this.#listeners.filter(({ client }) => !client.isClosed);
    await eventually(() => living.every(({ next }) => (next.get('') ?? 0) >= this.#published), {
      what: 'every listener has the last number',
    }).catch((error: unknown) => this.#faults.push(String(error)));
    return this.#faults;
  }

  #begin(): void {
    for (const [index, party] of this.#echoes.entries()) {
      this.#hears(party, `echo ${index}`, () => this.#answered(party, ''));
      party.client.send(':1');
    }
    for (const [index, party] of this.#listeners.entries()) this.#hears(party, `listener ${index}`);
    for (const [index, party] of this.#publishers.entries()) {
      const own = String(index);
      this.#hears(party, `publisher ${index}`, (from) => {
        if (from === own) this.#answered(party, own);
      });
      party.client.send(`own ${own}:1`);
    }
    this.#publication = this.#publishAll();
  }

  /** Messages are `who:number`; the first number of each is 1. */
  #hears({ client, next }: Party, name: string, onNumber: (from: string) => void = () => undefined): void {
    client.socket.on('message', (data: Buffer) => {
      const [from = '', written] = data.toString().split(':');
      const number = Number(written);
      const wanted = (next.get(from) ?? 0) + 1;
      if (number !== wanted) this.#faults.push(`${name}: ${number} from "${from}" instead of ${wanted}`);
      next.set(from, number);
      onNumber(from);
    });
  }

  /** It has what it sent, and sends the next. */
  #answered({ client, next }: Party, own: string): void {
    if (this.#isStopping || client.isClosed) return;
    const number = (next.get(own) ?? 0) + 1;
    client.send(own === '' ? `:${number}` : `own ${own}:${number}`);
  }

  async #publishAll(): Promise<void> {
    while (!this.#isStopping) {
      this.#published++;
      await this.#publish('numbers', `:${this.#published}`);
      // No faster than they are heard, or it would be a flood.
      await eventually(() => this.#isStopping || this.#heard() > this.#published - WINDOW, {
        what: 'a number that was published is heard',
      });
    }
  }

  /** The number that somebody who lives has got. */
  #heard(): number {
    const living = this.#listeners.find(({ client }) => !client.isClosed);
    return living?.next.get('') ?? this.#published;
  }
}
