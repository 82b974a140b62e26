import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  serverText,
  textFrame,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

const closes: unknown[] = [];
const ECHO: App = {
  upgrade: () => accept(),
  message: (connection, data, isBinary) => {
    connection.send(data, isBinary);
  },
  close: (_connection, code, reason) => void closes.push([code, reason]),
};

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  closes.length = 0;
});

async function start(options: HarnessOptions = {}, app: App = ECHO): Promise<void> {
  harness = await WorkerHarness.start(app, options);
}

/** A masked close frame. */
function closeFrame(code: number, reason = ''): Buffer {
  return clientFrame(0x88, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)]));
}

describe('what is not a simple frame wakes the connection, and ws decides:', () => {
  const LARGE = { maxMessageBytes: 1000 };
  it.each([
    ['a reserved bit', '91 80 00000000', 1002],
    ['RSV1, that is compression nobody agreed on', 'c1 80 00000000', 1002],
    ['a reserved opcode', '83 80 00000000', 1002],
    ['a reserved control opcode', '8b 80 00000000', 1002],
    ['a frame without a mask', '81 01 61', 1002],
    ['a continuation of nothing', '80 80 00000000', 1002],
    ['a ping in fragments', '09 80 00000000', 1002],
    ['a ping with more than 125 bytes', `89 fe 007e 00000000 ${'00'.repeat(126)}`, 1002],
    ['text that is not UTF-8', '81 82 00000000 c328', 1007],
    ['text that is cut within a character', '81 81 00000000 c3', 1007],
    ['a message of more than maxMessageBytes', '82 fe 03e9 00000000', 1009],
    ['a message of 2^63 bytes', '82 ff 8000000000000000 00000000', 1009],
    ['a close frame with one byte', '88 81 00000000 03', 1002],
    ['a close code that may not be sent', '88 82 00000000 03ed', 1002],
    ['a close code that nobody has defined', '88 82 00000000 07d0', 1002],
    ['a close reason that is not UTF-8', '88 83 00000000 03e8 ff', 1007],
  ])('%s (%s) closes with %i', async (_what, bytes, code) => {
    await start(LARGE);
    const client = await harness.open();
    client.write(textFrame('before'));
    client.write(bytes);
    expect((await client.read(8)).toString('hex')).toBe(serverText('before'));
    expect((await client.read(4)).toString('hex')).toBe(`8802${code.toString(16).padStart(4, '0')}`);
    client.end();
    await client.closed;
    await poll(() => closes).toHaveLength(1);
    expect(await harness.count('wakes')).toBe(1);
  });

  it.each([
    ['a code', closeFrame(1000), '880203e8', [1000, '']],
    ['a code and a reason', closeFrame(4321, 'tschüss'), '880a10e174736368c3bc7373', [4321, 'tschüss']],
    ['nothing', clientFrame(0x88, ''), '8800', [1005, '']],
  ])(
    'a close frame with %s is echoed, FIN follows, and the hook is told',
    async (_what, frame, answer, told) => {
      await start();
      const client = await harness.open();
      client.write(frame);
      expect((await client.read(answer.length / 2)).toString('hex')).toBe(answer);
      // FIN comes without ours.
      expect(await client.closed).toEqual({ errorCode: undefined });
      await poll(() => closes).toEqual([told]);
      expect(await harness.count('closed_abnormally')).toBe(0);
      expect(await harness.count('closed')).toBe(1);
    },
  );

  it('a message in fragments, with a ping between them, arrives as one', async () => {
    await start();
    const client = await harness.open();
    client.write('01 82 00000000 c3a4  89 81 00000000 70  00 81 00000000 c3  80 81 00000000 b6');
    expect((await client.read(3)).toString('hex')).toBe('8a0170');
    expect((await client.read(6)).toString('hex')).toBe(serverText('äö'));
    await client.close();
  });

  it('a message in fragments may be split at every byte', async () => {
    await start();
    const client = await harness.open();
    const bytes = Buffer.concat([clientFrame(0x01, 'ab'), clientFrame(0x80, 'cd'), textFrame('e')]);
    for (let cut = 1; cut < bytes.length; cut++) {
      client.write(bytes.subarray(0, cut));
      await harness.report();
      client.write(bytes.subarray(cut));
      expect((await client.read(9)).toString('hex')).toBe(serverText('abcd') + serverText('e'));
    }
    await client.close();
  });

  it('fragments that add up to more than maxMessageBytes close with 1009', async () => {
    await start(LARGE);
    const client = await harness.open();
    client.write(clientFrame(0x02, Buffer.alloc(600)));
    client.write(clientFrame(0x80, Buffer.alloc(600)));
    expect((await client.read(4)).toString('hex')).toBe('880203f1');
    await client.close();
  });
});

describe('an awake connection', () => {
  it('is served like any other: messages, publications, attachment', async () => {
    await start(
      { quietMs: 60_000 },
      { ...ECHO, upgrade: () => accept({ channels: ['news'], attachment: { seen: 0 } }) },
    );
    const client = await harness.open();
    client.write(clientFrame(0x01, 'awa'));
    client.write(clientFrame(0x80, 'ke'));
    expect((await client.read(7)).toString('hex')).toBe(serverText('awake'));
    harness.publish('news', 'for all');
    expect((await client.read(9)).toString('hex')).toBe(serverText('for all'));
    client.write(textFrame('simple'));
    expect((await client.read(8)).toString('hex')).toBe(serverText('simple'));
    expect(await harness.count('hibernations')).toBe(0);
    await client.close();
  });

  it('hibernates when it has been quiet for quietMs, and wakes again', async () => {
    await start({ quietMs: 50 });
    const client = await harness.open();
    for (let round = 1; round <= 3; round++) {
      client.write(clientFrame(0x01, 'frag'));
      client.write(clientFrame(0x80, 'ment'));
      expect((await client.read(10)).toString('hex')).toBe(serverText('fragment'));
      await harness.counts('hibernations', round);
      client.write(textFrame('asleep'));
      expect((await client.read(8)).toString('hex')).toBe(serverText('asleep'));
      expect(await harness.count('wakes')).toBe(round);
    }
    await client.close();
  });

  it('does not hibernate within a message, which has messageTimeoutMs to arrive', async () => {
    await start({ quietMs: 20, messageTimeoutMs: 200 });
    const client = await harness.open();
    client.write(clientFrame(0x01, 'never'));
    const close = await client.read(4);
    expect(close.readUInt16BE(2)).toBe(4001);
    expect(await harness.count('hibernations')).toBe(0);
    expect(await harness.count('closed_message_timeout')).toBe(1);
    await client.close();
  });

  it('beyond maxAwakeConnections is closed with 1013, and its close frame is found behind a message', async () => {
    await start({ maxAwakeConnections: 1 });
    const awake = await harness.open();
    awake.write(clientFrame(0x01, 'awake'));
    await harness.counts('wakes', 1);
    const client = await harness.open();
    const fragment = clientFrame(0x01, 'too many');
    client.write(Buffer.concat([fragment, fragment.subarray(0, 10)]));
    const close = await client.read(4);
    expect(close.readUInt16BE(2)).toBe(1013);
    expect(await harness.count('wakes_refused')).toBe(1);
    client.write(Buffer.concat([fragment.subarray(10), clientFrame(0x80, '.'), closeFrame(1013)]));
    await client.closed;
    await poll(() => closes).toEqual([[1013, '']]);
    awake.write(clientFrame(0x80, '!'));
    expect((await awake.read(8)).toString('hex')).toBe(serverText('awake!'));
    await awake.close();
  });

  it('beyond maxAwakeConnections may close: nobody waits for a close frame that has come', async () => {
    await start({ maxAwakeConnections: 1 });
    const awake = await harness.open();
    awake.write(clientFrame(0x01, 'awake'));
    await harness.counts('wakes', 1);
    const client = await harness.client();
    const { code } = await client.close(1000);
    expect([1000, 1013]).toContain(code);
    await poll(() => closes).toEqual([[1000, '']]);
    await awake.close();
  });

  it('that is quiet goes to sleep early when maxAwakeConnections are awake and another one wakes', async () => {
    await start({ maxAwakeConnections: 2, quietMs: 60_000 });
    const whole = Buffer.concat([clientFrame(0x01, 'awa'), clientFrame(0x80, 'ke')]);
    const clients = await Promise.all([1, 2, 3, 4].map(() => harness.open()));
    for (const client of clients) {
      client.write(whole);
      expect((await client.read(7)).toString('hex')).toBe(serverText('awake'));
    }
    expect(await harness.count('wakes')).toBe(4);
    expect(await harness.count('hibernations')).toBe(2);
    expect(await harness.count('wakes_refused')).toBe(0);
    // All are served on, whether they sleep or not.
    for (const client of clients) {
      client.write(textFrame('on'));
      expect((await client.read(4)).toString('hex')).toBe(serverText('on'));
    }
    // Those within a message keep their places.
    const [first, second, third] = clients;
    first?.write(clientFrame(0x01, 'a'));
    await harness.counts('hibernations', 3);
    second?.write(clientFrame(0x01, 'b'));
    await harness.counts('hibernations', 4);
    third?.write(clientFrame(0x01, 'c'));
    expect((await third?.read(4))?.readUInt16BE(2)).toBe(1013);
    first?.write(clientFrame(0x80, 'a'));
    second?.write(clientFrame(0x80, 'b'));
    expect((await first?.read(4))?.toString('hex')).toBe(serverText('aa'));
    expect((await second?.read(4))?.toString('hex')).toBe(serverText('bb'));
    await Promise.all(clients.map((client) => client.close()));
  });

  it('is closed by the server at once, as if it slept', async () => {
    await start(
      { quietMs: 60_000 },
      { ...ECHO, message: (connection, data) => void connection.close(4001, String(data)) },
    );
    const client = await harness.open();
    client.write(Buffer.concat([clientFrame(0x01, 'by'), clientFrame(0x80, 'e'), textFrame('not read')]));
    expect((await client.read(7)).toString('hex')).toBe('88050fa1627965');
    client.write(closeFrame(4001));
    await client.closed;
    await poll(() => closes).toEqual([[4001, '']]);
    expect(await harness.count('messages_received')).toBe(1);
  });

  it('that is closed by the server finds the answer behind the rest of a message, wherever the stream is cut', async () => {
    let connection: Connection | undefined;
    await start({}, { ...ECHO, open: (newcomer) => void (connection = newcomer) });
    const rest = Buffer.concat([
      clientFrame(0x00, 'more'),
      clientFrame(0x89, 'ping'),
      clientFrame(0x80, Buffer.alloc(200)),
      closeFrame(4001),
    ]);
    for (let cut = 1; cut < rest.length; cut += 9) {
      const client = await harness.open();
      const wakes = await harness.count('wakes');
      client.write(Buffer.concat([clientFrame(0x01, 'open'), rest.subarray(0, cut)]));
      await harness.counts('wakes', wakes + 1);
      const answered = cut >= clientFrame(0x00, 'more').length + clientFrame(0x89, 'ping').length ? 6 : 0;
      await client.read(answered);
      // The whole message may be there already, which is echoed.
      if (cut >= rest.length - closeFrame(4001).length) await client.read(212);
      expect(connection?.close(4001, 'bye')).toBe(true);
      expect((await client.read(7)).toString('hex')).toBe('88050fa1627965');
      const { length } = closes;
      client.write(rest.subarray(cut));
      await client.closed;
      await poll(() => closes.slice(length)).toEqual([[4001, '']]);
      expect(client.unread).toHaveLength(0);
    }
    expect(await harness.count('wakes')).toBeGreaterThan(10);
  });

  it('gets publications and what the app sends, awake, while it falls asleep, and asleep', async () => {
    let connection: Connection | undefined;
    await start(
      { quietMs: 20 },
      {
        ...ECHO,
        upgrade: () => accept({ channels: ['news'] }),
        open: (newcomer) => void (connection = newcomer),
      },
    );
    const client = await harness.open();
    let expected = '';
    let wakes = 0;
    for (let number = 0; ; number++) {
      const hibernations = await harness.count('hibernations');
      if (hibernations === 3) break;
      // Woken again only when it sleeps, or it would never be quiet.
      if (hibernations === wakes) {
        wakes++;
        client.write(Buffer.concat([clientFrame(0x01, 'frag'), clientFrame(0x80, 'ment')]));
        await client.read((unread) => (unread.includes('fragment') ? unread.indexOf('fragment') + 8 : false));
      }
      harness.publish('news', `p${number};`);
      connection?.send(`s${number};`);
      expected = `p${number};`;
    }
    const seen = await client.read((unread) =>
      unread.includes(expected) ? unread.indexOf(expected) + expected.length : false,
    );
    expect(seen.includes(expected)).toBe(true);
    await harness.report();
    const numbers = (kind: string): number[] =>
      [...client.received.toString('latin1').matchAll(new RegExp(`${kind}(\\d+);`, 'g'))].map((match) =>
        Number(match[1]),
      );
    const last = Number(/\d+/.exec(expected)?.[0]);
    const all = Array.from({ length: last + 1 }, (_, index) => index);
    await poll(() => numbers('s')).toEqual(all);
    expect(numbers('p')).toEqual(all);
    await client.close();
  });

  it('is drained like any other, within a message or not', async () => {
    await start({ quietMs: 60_000 });
    const [inMessage, quiet] = [await harness.open(), await harness.open()];
    inMessage.write(Buffer.concat([clientFrame(0x01, 'in'), clientFrame(0x00, 'message').subarray(0, 5)]));
    quiet.write(Buffer.concat([clientFrame(0x01, 'qui'), clientFrame(0x80, 'et')]));
    await quiet.read(7);
    await harness.counts('wakes', 2);
    harness.send({ type: 'drain', drainMs: 0, workers: 1 });
    for (const client of [inMessage, quiet]) {
      expect((await client.read(4)).readUInt16BE(2)).toBe(1001);
    }
    inMessage.write(Buffer.concat([clientFrame(0x00, 'message').subarray(5), closeFrame(1001)]));
    quiet.write(closeFrame(1001));
    await Promise.all([inMessage.closed, quiet.closed]);
    await poll(() => closes).toEqual([
      [1001, ''],
      [1001, ''],
    ]);
    await poll(() => harness.exits).toEqual([0]);
  });

  it('leaves nothing to the next owner of its row, however it ended', async () => {
    await start(
      { capacity: 1, reservedConnections: 1 },
      {
        ...ECHO,
        message(connection, data) {
          if (String(data) === 'close') connection.close(4001);
          else connection.send(data, false);
        },
      },
    );
    for (let round = 1; round <= 3; round++) {
      const client = await harness.open();
      client.write(Buffer.concat([clientFrame(0x01, 'awa'), clientFrame(0x80, 'ke')]));
      expect((await client.read(7)).toString('hex')).toBe(serverText('awake'));
      client.write(textFrame('close'));
      expect((await client.read(4)).toString('hex')).toBe('88020fa1');
      client.write(closeFrame(4001));
      await client.closed;
      await poll(() => harness.released).toBe(round);
    }
  });

  it('that is closed by the server and does not answer ends after closeTimeoutMs', async () => {
    await start({ closeTimeoutMs: 100 }, { ...ECHO, message: (connection) => void connection.close(4001) });
    const client = await harness.open();
    client.write(Buffer.concat([clientFrame(0x01, 'by'), clientFrame(0x80, 'e')]));
    expect((await client.read(4)).toString('hex')).toBe('88020fa1');
    await client.closed;
    await poll(() => closes).toEqual([[1006, '']]);
  });

  it.each([
    ['FIN', (client: { end(): void }) => client.end()],
    ['RST', (client: { reset(): void }) => client.reset()],
  ])('ends with 1006 on %s within a message', async (_how, end) => {
    await start();
    const client = await harness.open();
    client.write(clientFrame(0x01, 'never'));
    await harness.counts('wakes', 1);
    end(client);
    await poll(() => closes).toEqual([[1006, '']]);
    await client.closed;
    await poll(() => harness.released).toBe(1);
    expect((await harness.report()).connections).toBe(0);
  });
});
