import { createConnection, type Socket } from 'node:net';
import { once } from 'node:events';
import { within } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
  clientFrame,
  type HarnessOptions,
  poll,
  textFrame,
  upgradeHead,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

/** Far more than kernel buffers take. */
const OWED_BYTES = 8 * 1024 * 1024;
const CLOSE_1000 = clientFrame(0x88, Buffer.from([0x03, 0xe8]));

const closes: unknown[] = [];
let connection: Connection | undefined;

const APP: App = {
  upgrade: () => accept(),
  open: (newcomer) => void (connection = newcomer),
  message(from, data) {
    if (String(data) === 'pour') from.send(Buffer.alloc(OWED_BYTES));
    else from.send(data, false);
  },
  close: (_connection, code) => void closes.push(code),
};

let harness: WorkerHarness;
let client: Socket | undefined;
afterEach(async () => {
  client?.destroy();
  await harness.stop();
  closes.length = 0;
});

/** A client that sends `frames`, and FIN when the first of what it is owed waits in the queue, and only then reads. */
async function endEarly(frames: Buffer, options: HarnessOptions = {}): Promise<Socket> {
  harness = await WorkerHarness.start(APP, { maxOutboundBytes: 2 * OWED_BYTES, ...options });
  const socket = createConnection({ port: harness.port, host: '127.0.0.1', allowHalfOpen: true });
  client = socket;
  await once(socket, 'connect');
  socket.pause();
  socket.write(Buffer.concat([Buffer.from(upgradeHead()), textFrame('pour')]));
  await poll(() => connection?.bufferedBytes ?? 0).toBeGreaterThan(0);
  socket.end(frames);
  return socket;
}

/** Everything that comes until the server's FIN. */
async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.resume();
  await within(once(socket, 'end'), { what: 'the server sends FIN' });
  const all = Buffer.concat(chunks);
  return all.subarray(all.indexOf('\r\n\r\n') + 4);
}

describe('a client that has sent FIN is still sent what it is owed', () => {
  it.each([
    ['between messages', Buffer.alloc(0), '', 1006],
    ['behind a message, which is answered', textFrame('last'), '81046c617374', 1006],
    ['within a frame', textFrame('cut').subarray(0, 8), '', 1006],
    ['within a header', Buffer.from([0x81]), '', 1006],
    ['within a fragmented message', clientFrame(0x01, 'cut'), '', 1006],
    [
      'within a fragment',
      Buffer.concat([clientFrame(0x01, 'c'), clientFrame(0x80, 'ut').subarray(0, 7)]),
      '',
      1006,
    ],
    ['behind its close frame', CLOSE_1000, '880203e8', 1000],
    ['behind its close frame and more', Buffer.concat([CLOSE_1000, textFrame('not read')]), '880203e8', 1000],
    [
      'behind its close frame within a message',
      Buffer.concat([clientFrame(0x01, 'a'), CLOSE_1000, clientFrame(0x80, 'b')]),
      '880203e8',
      1000,
    ],
    ['behind what is no frame', Buffer.from('8380000000008180', 'hex'), '880203ea', 1006],
  ])('%s', async (_when, frames, answer, code) => {
    const socket = await endEarly(frames);
    await harness.report();
    expect(closes).toEqual([]);
    const bytes = await readAll(socket);
    const poured = 10 + OWED_BYTES;
    expect(bytes.subarray(0, 2).toString('hex')).toBe('827f');
    expect(bytes.subarray(poured).toString('hex')).toBe(answer);
    await poll(() => closes).toEqual([code]);
    expect(await harness.count('close_timeouts')).toBe(0);
    expect((await harness.report()).connections).toBe(0);
  });

  it('within closeTimeoutMs: who does not read is ended', async () => {
    const socket = await endEarly(Buffer.alloc(0), { closeTimeoutMs: 200 });
    await poll(() => closes).toEqual([1006]);
    expect(await harness.count('close_timeouts')).toBe(1);
    socket.destroy();
  });

  it('but gets nothing new: it is no subscriber, and what the app sends is refused', async () => {
    const socket = await endEarly(Buffer.alloc(0));
    await poll(() => connection?.isOpen).toBe(false);
    expect(connection?.send('late')).toBe(false);
    await readAll(socket);
  });

  it('and nothing when its connection is reset', async () => {
    const socket = await endEarly(Buffer.alloc(0));
    await poll(() => connection?.isOpen).toBe(false);
    socket.resetAndDestroy();
    await poll(() => closes).toEqual([1006]);
    expect(await harness.count('close_timeouts')).toBe(0);
  });
});
