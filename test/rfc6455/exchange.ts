import { setImmediate as turn } from 'node:timers/promises';
import type { FarmProcess, RawClient } from '@roost/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectRaw, startSharedFarm, SWITCHING, upgradeRequest } from '../harness/system.ts';

/**
 * What a client sends, and every byte that the server answers, both in hexadecimal with spaces where they help. The
 * server echoes messages. Unless it `ends`, the connection must be alive afterwards.
 */
export interface Exchange {
  readonly title: string;
  readonly sends: string;
  readonly answers: string;
  /** The server ends the TCP connection behind its answers. */
  readonly ends?: boolean;
}

/** Close frames by which the server fails a connection (RFC 6455 §7.1.7): a code and no reason. */
export const PROTOCOL_ERROR = '88 02 03ea';
export const INVALID_PAYLOAD = '88 02 03ef';
export const MESSAGE_TOO_BIG = '88 02 03f1';

/** A ping that no exchange uses, and its pong. */
const PROBE = '89 85 00000000 70726f6265';
const PROBE_ANSWER = '8a 05 70726f6265';

/** How the same bytes reach the server. Each takes other ways through it. */
const DELIVERIES: readonly (readonly [string, (client: RawClient, bytes: Buffer) => Promise<void>])[] = [
  [
    'in one piece',
    async (client, bytes) => {
      await upgrade(client);
      client.write(bytes);
    },
  ],
  [
    'byte by byte',
    async (client, bytes) => {
      await upgrade(client);
      for (const byte of bytes) {
        client.write(Buffer.from([byte]));
        await turn();
      }
    },
  ],
  [
    'right behind the request head',
    async (client, bytes) => {
      client.write(Buffer.concat([Buffer.from(upgradeRequest('/echo')), bytes]));
      expect(await client.readHead()).toContain(SWITCHING);
    },
  ],
];

/** A farm for all tests of the file, whose messages may have 16 MiB. */
export function sharedFarm(): () => FarmProcess {
  let farm: FarmProcess | undefined;
  beforeAll(async () => {
    farm = await startSharedFarm(['--max-message-bytes', String(16 * 1024 * 1024)]);
  });
  afterAll(() => farm?.stop());
  return () => {
    if (farm === undefined) throw new Error('The farm is started before the first test.');
    return farm;
  };
}

/** One test for each exchange, which holds however the bytes arrive. */
export function conforms(farm: () => FarmProcess, exchanges: readonly Exchange[]): void {
  it.each(exchanges.map((exchange) => [exchange.title, exchange] as const))('%s', async (_, exchange) => {
    for (const [how, deliver] of DELIVERIES) {
      const client = await connectRaw(farm().port);
      const sends = Buffer.from(digits(exchange.sends), 'hex');
      await deliver(client, exchange.ends === true ? sends : Buffer.concat([sends, hex(PROBE)]));
      const answers = digits(exchange.answers) + (exchange.ends === true ? '' : digits(PROBE_ANSWER));
      const received = await client.read(answers.length / 2);
      expect(received.toString('hex'), how).toBe(answers);
      if (exchange.ends === true) await client.closed;
      expect(client.unread.toString('hex'), how).toBe('');
      await client.close();
    }
  });
}

/** Makes the opening handshake. */
export async function upgrade(client: RawClient): Promise<void> {
  client.writeText(upgradeRequest('/echo'));
  expect(await client.readHead()).toContain(SWITCHING);
}

export function hex(text: string): Buffer {
  return Buffer.from(digits(text), 'hex');
}

function digits(text: string): string {
  return text.replaceAll(/\s+/g, '');
}
