import { patient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  serverText,
  textFrame,
  upgradeHead,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

const ECHO: App = {
  upgrade: () => accept(),
  message: (connection, data, isBinary) => {
    connection.send(data, isBinary);
  },
};

let harness: WorkerHarness;
afterEach(() => harness.stop());

async function start(options: HarnessOptions = {}, app: App = ECHO): Promise<void> {
  harness = await WorkerHarness.start(app, options);
}

describe('a simple frame', () => {
  it('is echoed as the kind that it was, without waking the connection', async () => {
    await start();
    const client = await harness.open();
    client.write('81 85 37fa213d 7f9f4d5158');
    expect((await client.read(7)).toString('hex')).toBe('810548656c6c6f');
    client.write('82 85 37fa213d 7f9f4d5158');
    expect((await client.read(7)).toString('hex')).toBe('820548656c6c6f');
    client.write('81 80 00000000');
    expect((await client.read(2)).toString('hex')).toBe('8100');
    expect(await harness.count('messages_received')).toBe(3);
    expect(await harness.count('messages_sent')).toBe(3);
    expect(await harness.count('wakes')).toBe(0);
    await client.close();
  });

  it.each([125, 126, 65_535, 65_536])('may carry %i bytes', async (length) => {
    await start();
    const client = await harness.client();
    const text = 'ä'.repeat(length / 2) + 'x'.repeat(length % 2);
    client.send(text);
    const message = await client.nextMessage();
    expect(message.text).toBe(text);
    expect(message.isBinary).toBe(false);
    await client.close();
  });

  it('may be split at every byte', async () => {
    await start();
    const client = await harness.open();
    const frame = textFrame('where?');
    for (let cut = 1; cut < frame.length; cut++) {
      client.write(frame.subarray(0, cut));
      await harness.report();
      client.write(frame.subarray(cut));
      expect((await client.read(8)).toString('hex')).toBe(serverText('where?'));
    }
    expect(await harness.count('wakes')).toBe(0);
    await client.close();
  });

  it('may be split at every byte behind a whole one', async () => {
    await start();
    const client = await harness.open();
    const frame = clientFrame(0x82, Buffer.alloc(130, 7));
    for (let cut = 1; cut < frame.length; cut++) {
      client.write(Buffer.concat([textFrame('a'), frame.subarray(0, cut)]));
      expect((await client.read(3)).toString('hex')).toBe(serverText('a'));
      client.write(Buffer.concat([frame.subarray(cut), textFrame('b')]));
      const answer = await client.read(137);
      expect(answer.toString('hex')).toBe(`827e0082${'07'.repeat(130)}${serverText('b')}`);
    }
    await client.close();
  });

  it('that is a ping is answered with its payload, and a pong is noted, in their order', async () => {
    await start();
    const client = await harness.open();
    client.write(
      Buffer.concat([
        clientFrame(0x89, 'one'),
        textFrame('two'),
        clientFrame(0x8a, 'unasked'),
        clientFrame(0x89, 'x'.repeat(125)),
      ]),
    );
    expect(String(await client.read(5 + 5 + 127))).toBe(
      `\x8a\x03one\x81\x03two\x8a\x7d${'x'.repeat(125)}`.replace(/[\x80-\xff]/g, (byte) =>
        String(Buffer.from([byte.charCodeAt(0)])),
      ),
    );
    expect(await harness.count('wakes')).toBe(0);
    await client.close();
  });

  it('gives the app data that it may keep, although the slab is overwritten', async () => {
    const kept: Buffer[] = [];
    await start({}, { ...ECHO, message: (_connection, data) => void kept.push(data) });
    const client = await harness.open();
    for (const text of ['first', 'second', 'third']) {
      client.write(textFrame(text));
      await harness.report();
    }
    await poll(() => kept.map(String)).toEqual(['first', 'second', 'third']);
    await client.close();
  });

  it('is lent with borrowMessages: valid within the hook, overwritten after it', async () => {
    const seen: string[] = [];
    const kept: Buffer[] = [];
    const message: App['message'] = (_connection, data) => {
      seen.push(String(data));
      kept.push(data);
    };
    await start({ borrowMessages: true }, { ...ECHO, message });
    const client = await harness.open();
    client.write(textFrame('mine'));
    await poll(() => seen).toEqual(['mine']);
    await poll(() => kept[0]?.toString('hex')).toBe('dbdbdbdb');
    await client.close();
  });
});

describe('a frame that does not arrive', () => {
  it('within messageTimeoutMs of its first byte closes with 4001, however it dribbles', async () => {
    await start({ messageTimeoutMs: 150 });
    const client = await harness.open();
    client.write(textFrame('x'.repeat(100)).subarray(0, 3));
    const dribble = setInterval(() => client.write('00'), 30);
    const close = await client.read(4);
    clearInterval(dribble);
    expect(close.toString('hex').slice(0, 2)).toBe('88');
    expect(close.readUInt16BE(2)).toBe(4001);
    expect(await harness.count('closed_message_timeout')).toBe(1);
    await client.close();
  });

  it('is not the next one: a frame that completes gives the one behind it a time of its own', async () => {
    await start({ messageTimeoutMs: patient(600) });
    const [client, later] = [await harness.open(), await harness.open()];
    const frame = textFrame('half');
    client.write(frame.subarray(0, 4));
    await harness.report();
    later.write(frame.subarray(0, 4));
    // When the frame that came later is timed out, the time of the first one is over, too.
    while (later.unread.length < 4) {
      client.write(Buffer.concat([frame.subarray(4), frame.subarray(0, 4)]));
      expect((await client.read(6)).toString('hex')).toBe(serverText('half'));
    }
    expect((await later.read(4)).readUInt16BE(2)).toBe(4001);
    client.write(frame.subarray(4));
    expect((await client.read(6)).toString('hex')).toBe(serverText('half'));
    expect(await harness.count('closed_message_timeout')).toBe(1);
    await Promise.all([client.close(), later.close()]);
  });

  it('is forgotten with its connection', async () => {
    await start({ beyondLimits: { maxInboundBytesPerWorker: 512 } });
    for (let round = 0; round < 5; round++) {
      const client = await harness.open();
      client.write(textFrame('x'.repeat(400)).subarray(0, 300));
      await harness.report();
      await client.close();
      await poll(() => harness.released).toBe(round + 1);
    }
    expect(await harness.count('refused_inbound_bytes')).toBe(0);
  });

  it("and for which there is no memory closes its connection with 1013, and finds the client's close frame", async () => {
    const closes: number[] = [];
    await start(
      { beyondLimits: { maxInboundBytesPerWorker: 512 } },
      { ...ECHO, close: (_connection, code) => void closes.push(code) },
    );
    const neighbour = await harness.open();
    neighbour.write(textFrame('x'.repeat(200)).subarray(0, 100));
    const client = await harness.open();
    const frame = clientFrame(0x82, Buffer.alloc(1000));
    client.write(frame.subarray(0, 100));
    await harness.report();
    client.write(frame.subarray(100, 500));
    const close = await client.read(4);
    expect(close.readUInt16BE(2)).toBe(1013);
    expect(await harness.count('refused_inbound_bytes')).toBe(1);
    client.write(Buffer.concat([frame.subarray(500), Buffer.from('88820000000003f5', 'hex')]));
    await client.closed;
    await poll(() => closes).toEqual([1013]);
    neighbour.write(textFrame('x'.repeat(200)).subarray(100));
    expect((await neighbour.read(204)).subarray(4).toString()).toBe('x'.repeat(200));
    await neighbour.close();
  });
});

describe('fairness', () => {
  it('lets a client behind many frames of another be heard soon', async () => {
    await start();
    const busy = await harness.open();
    const quiet = await harness.open();
    const frames = Buffer.concat(Array.from({ length: 20_000 }, () => textFrame('')));
    busy.write(frames);
    quiet.write(textFrame('me'));
    expect((await quiet.read(4)).toString('hex')).toBe(serverText('me'));
    await busy.read(40_000);
    await Promise.all([busy.close(), quiet.close()]);
  });
});

describe('a client that sends a head and frames at once', () => {
  it('has them all answered in order', async () => {
    await start();
    const client = await harness.connect();
    const texts = Array.from({ length: 1000 }, (_, index) => `message ${index}`);
    client.write(Buffer.concat([Buffer.from(upgradeHead()), ...texts.map(textFrame)]));
    await client.readHead();
    const expected = texts.map(serverText).join('');
    expect((await client.read(expected.length / 2)).toString('hex')).toBe(expected);
    await client.close();
  });
});
