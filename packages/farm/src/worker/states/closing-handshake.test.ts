import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  textFrame,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

const closes: unknown[] = [];
const messages: string[] = [];
let connections: Connection[] = [];
/** The first message of anybody ends everybody. */
let isMassacre = false;

/** Closes with 4000 when told to, and counts what it hears. */
const APP: App = {
  upgrade: () => accept({ channels: ['all'] }),
  open: (connection) => void connections.push(connection),
  message(connection, data) {
    messages.push(String(data));
    if (isMassacre) for (const each of connections) each.terminate();
    if (String(data) === 'close') connection.close(4000, 'as you wish');
    if (String(data) === 'terminate') connection.terminate();
  },
  close: (_connection, code, reason) => void closes.push([code, reason]),
};
const CLOSE_4000 = '880d0fa0617320796f752077697368';
const ANSWER = clientFrame(0x88, Buffer.from([0x0f, 0xa0]));

let harness: WorkerHarness;
afterEach(async () => {
  await harness.stop();
  closes.length = messages.length = connections.length = 0;
});

async function start(options: HarnessOptions = {}): Promise<void> {
  connections = [];
  isMassacre = false;
  harness = await WorkerHarness.start(APP, options);
}

describe('a close that the server begins', () => {
  it('sends the frame, and is done when the client has answered', async () => {
    await start();
    const client = await harness.client();
    client.send('close');
    expect(await client.closed).toEqual({ code: 4000, reason: 'as you wish' });
    await poll(() => closes).toEqual([[4000, 'as you wish']]);
    expect(await harness.count('wakes')).toBe(0);
    expect(await harness.count('closed_abnormally')).toBe(0);
    await poll(() => harness.released).toBe(1);
  });

  it('ends with FIN although the answer comes in pieces, and tells its reason', async () => {
    await start();
    const client = await harness.open();
    client.write(textFrame('close'));
    expect((await client.read(15)).toString('hex')).toBe(CLOSE_4000);
    const answer = clientFrame(0x88, Buffer.concat([Buffer.from([0x0f, 0xa0]), Buffer.from('bye')]));
    client.write(answer.subarray(0, 8));
    // By the time another one is let in, the first piece has been read.
    await harness.open();
    client.write(answer.subarray(8));
    expect(await client.closed).toEqual({ errorCode: undefined });
    await poll(() => closes).toEqual([[4000, 'bye']]);
  });

  it('discards data that still comes, whole, in fragments, and of any size', async () => {
    await start();
    const client = await harness.open();
    client.write(textFrame('close'));
    expect((await client.read(15)).toString('hex')).toBe(CLOSE_4000);
    client.write(textFrame('too late'));
    client.write(clientFrame(0x01, 'in'));
    client.write(clientFrame(0x89, 'ping'));
    client.write(clientFrame(0x80, 'pieces'));
    client.write(clientFrame(0x82, Buffer.alloc(200_000)));
    client.write(ANSWER);
    await client.closed;
    await poll(() => closes).toEqual([[4000, '']]);
    expect(messages).toEqual(['close']);
    expect(client.unread).toHaveLength(0);
  });

  it('finds the answer wherever the stream is cut, also within a frame that had begun to arrive', async () => {
    await start();
    const rest = Buffer.concat([textFrame('whole'), clientFrame(0x82, Buffer.alloc(130)), ANSWER]);
    for (let cut = 1; cut < rest.length - 1; cut += 7) {
      const client = await harness.open();
      const { length } = closes;
      client.write(Buffer.concat([textFrame('close'), rest.subarray(0, cut)]));
      expect((await client.read(15)).toString('hex')).toBe(CLOSE_4000);
      client.write(rest.subarray(cut));
      await client.closed;
      await poll(() => closes.slice(length)).toEqual([[4000, '']]);
    }
  });

  it('may come in the middle of a frame that arrives', async () => {
    await start();
    const client = await harness.open();
    const frame = clientFrame(0x82, Buffer.alloc(1000, 0x88));
    client.write(frame.subarray(0, 500));
    await harness.report();
    expect(connections[0]?.close(4000, 'as you wish')).toBe(true);
    expect((await client.read(15)).toString('hex')).toBe(CLOSE_4000);
    client.write(Buffer.concat([frame.subarray(500), ANSWER]));
    await client.closed;
    await poll(() => closes).toEqual([[4000, '']]);
  });

  it('leaves the channels at once: publications do not reach it any more', async () => {
    await start();
    const client = await harness.open();
    client.write(textFrame('close'));
    await client.read(15);
    harness.publish('all', 'news');
    const other = await harness.client();
    harness.publish('all', 'more news');
    expect((await other.nextMessage()).text).toBe('more news');
    client.write(ANSWER);
    await client.closed;
    expect(client.unread).toHaveLength(0);
    await other.close();
  });

  it('that is not answered within closeTimeoutMs ends the connection', async () => {
    await start({ closeTimeoutMs: 100 });
    const client = await harness.open();
    client.write(textFrame('close'));
    await client.read(15);
    await client.closed;
    expect(closes).toEqual([[1006, '']]);
    expect(await harness.count('close_timeouts')).toBe(1);
    expect(await harness.count('closed_abnormally')).toBe(1);
  });

  it('ends with the FIN of a client that says nothing', async () => {
    await start();
    const client = await harness.open();
    client.write(textFrame('close'));
    await client.read(15);
    client.end();
    await client.closed;
    await poll(() => closes).toEqual([[1006, '']]);
  });

  it('ends at once when what the client says is no frame', async () => {
    await start();
    const client = await harness.open();
    client.write(textFrame('close'));
    await client.read(15);
    client.writeText('GET / HTTP/1.1\r\n');
    await client.closed;
    await poll(() => closes).toEqual([[1006, '']]);
  });

  it('happens once: a second close or a send answers false', async () => {
    await start();
    const client = await harness.client();
    await poll(() => connections.length).toBe(1);
    const [connection] = connections;
    expect(connection?.close(4000, 'first')).toBe(true);
    expect(connection?.isOpen).toBe(false);
    expect(connection?.close(4001, 'second')).toBe(false);
    expect(connection?.send('late')).toBe(false);
    expect(await connection?.subscribe('late')).toBe(false);
    expect(await client.closed).toEqual({ code: 4000, reason: 'first' });
    await poll(() => closes).toHaveLength(1);
  });
});

describe('terminate', () => {
  it('ends the TCP connection without a close frame, in the middle of a batch', async () => {
    await start();
    const client = await harness.open();
    client.write(Buffer.concat([textFrame('terminate'), textFrame('not read')]));
    await client.closed;
    expect(client.unread).toHaveLength(0);
    expect(closes).toEqual([[1006, '']]);
    expect(messages).toEqual(['terminate']);
  });

  it('of others, whose bytes stand in the same batch, keeps their messages from the app', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 10 }, () => harness.open()));
    await poll(() => connections.length).toBe(10);
    isMassacre = true;
    for (const client of clients) client.write(textFrame('me first'));
    await Promise.all(clients.map((client) => client.closed));
    expect(messages).toEqual(['me first']);
    await poll(() => closes.length).toBe(10);
  });
});

describe('the close hook', () => {
  it('is called exactly once for each open, however the connection ends', async () => {
    await start({ closeTimeoutMs: 100 });
    for (let round = 0; round < 3; round++) {
      await (await harness.client()).close(1000, 'done');
      await (await harness.client()).terminate();
      const [fin, reset, silent, terminated] = await Promise.all([1, 2, 3, 4].map(() => harness.open()));
      fin?.end();
      reset?.reset();
      silent?.write(textFrame('close'));
      terminated?.write(textFrame('terminate'));
      await Promise.all([fin, reset, silent, terminated].map((client) => client?.closed));
    }
    await poll(() => closes.length).toBe(18);
    await poll(() => harness.released).toBe(18);
    expect(connections).toHaveLength(18);
    expect(await harness.count('closed')).toBe(18);
    const report = await harness.report();
    expect(report.connections).toBe(0);
    expect(report.subscriptions).toBe(0);
    expect(closes).toHaveLength(18);
  });

  it('is called for those who are open when the worker ends', async () => {
    await start();
    const client = await harness.client();
    await harness.stop();
    expect(closes).toEqual([[1001, '']]);
    expect((await client.closed).code).toBe(1006);
  });

  it('is not called for who never was open', async () => {
    await start();
    const silent = await harness.connect();
    const refused = await harness.connect();
    refused.writeText('nonsense\r\n\r\n');
    await refused.closed;
    await silent.close();
    await poll(() => harness.released).toBe(2);
    expect(closes).toEqual([]);
    expect(await harness.count('closed')).toBe(0);
  });
});
