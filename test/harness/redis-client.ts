import { RawClient } from '@roost/testing';
import { endAfterTest } from './system.ts';

/**
 * Any program that can speak to Redis: one connection, commands as bytes (RESP2), replies one after another. It stands
 * for redis-cli and for clients in other languages, so it shares nothing with the broker of the farm.
 */
export class PlainRedisClient {
  readonly #connection: RawClient;

  private constructor(connection: RawClient) {
    this.#connection = connection;
  }

  static async connect(port: number): Promise<PlainRedisClient> {
    const connection = await RawClient.connect(port);
    endAfterTest(() => connection.close());
    return new PlainRedisClient(connection);
  }

  /** Publishes, and returns how many subscribers Redis counted. */
  async publish(key: string, payload: string | Uint8Array): Promise<number> {
    const [count = 0] = await this.publishAll(key, [payload]);
    return count;
  }

  /** Publishes in one go, in this order. */
  async publishAll(key: string, payloads: readonly (string | Uint8Array)[]): Promise<number[]> {
    this.#connection.write(Buffer.concat(payloads.map((payload) => command('PUBLISH', key, payload))));
    const counts: number[] = [];
    for (let index = 0; index < payloads.length; index++) counts.push(await this.#readInteger());
    return counts;
  }

  /** `:2\r\n` is 2. */
  async #readInteger(): Promise<number> {
    const line = await this.#connection.read((unread) => {
      const end = unread.indexOf('\r\n');
      return end === -1 ? false : end + 2;
    });
    const reply = /^:(\d+)\r\n$/.exec(line.toString());
    if (reply === null) throw new Error(`Redis answered PUBLISH with ${line.toString()}`);
    return Number(reply[1]);
  }
}

/** `PUBLISH a b` is `*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$1\r\nb\r\n`. */
function command(...words: (string | Uint8Array)[]): Buffer {
  const parts = words.flatMap((word) => {
    const bytes = typeof word === 'string' ? Buffer.from(word) : Buffer.from(word);
    return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
  });
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts]);
}
