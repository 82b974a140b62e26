import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listenLocally } from './free-port.ts';
import { RawClient } from './raw-client.ts';

const server = createServer();
let port: number;

beforeAll(async () => {
  port = await listenLocally(server);
});

afterAll(() => {
  server.close();
});

async function pair(options = {}): Promise<[RawClient, Socket]> {
  const accepted = new Promise<Socket>((resolve) => {
    server.once('connection', resolve);
  });
  const client = await RawClient.connect(port, options);
  const socket = await accepted;
  socket.on('error', () => {});
  return [client, socket];
}

describe('RawClient', () => {
  it('sends hexadecimal digits as bytes', async () => {
    const [client, socket] = await pair();
    client.write('81 05 68656c6c6f');
    const chunk = await new Promise<Buffer>((resolve) => {
      socket.once('data', resolve);
    });
    expect(chunk.toString('hex')).toBe('810568656c6c6f');
    await client.close();
  });

  it('refuses text that is not hexadecimal', async () => {
    const [client] = await pair();
    expect(() => client.write('hello')).toThrow('takes hexadecimal digits');
    await client.close();
  });

  it('reads a head, then exactly as many bytes as asked for', async () => {
    const [client, socket] = await pair();
    socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    socket.write(Buffer.from('8102686981', 'hex'));
    expect(await client.readHead()).toBe('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    expect((await client.read(4)).toString('hex')).toBe('81026869');
    expect((await client.read(1)).toString('hex')).toBe('81');
    expect(client.received.length).toBe(41);
    await client.close();
  });

  it('takes whole frames of a server', async () => {
    const [client, socket] = await pair();
    socket.write(Buffer.from('81024869827e', 'hex'));
    const { first, payload } = await client.readFrame();
    expect([first, payload.toString()]).toEqual([0x81, 'Hi']);
    const second = client.readFrame();
    socket.write(Buffer.from(`0080${'61'.repeat(128)}89`, 'hex'));
    expect(await second).toMatchObject({ first: 0x82, payload: Buffer.alloc(128, 'a') });
    expect(client.unread.toString('hex')).toBe('89');
    await client.close();
  });

  it('gives two reads that wait at once their bytes in order', async () => {
    const [client, socket] = await pair();
    const both = Promise.all([client.read(2), client.read(2)]);
    socket.write('abcd');
    expect((await both).map(String)).toEqual(['ab', 'cd']);
    await client.close();
  });

  it('takes nothing after a read has failed at its deadline', async () => {
    const [client, socket] = await pair({ deadlineMs: 20 });
    await expect(client.read(1)).rejects.toMatchObject({ code: 'TESTING_DEADLINE' });
    socket.write('a');
    expect((await client.read(1)).toString()).toBe('a');
    await client.close();
  });

  it('rejects a read when the connection ends before, and shows what was unread', async () => {
    const [client, socket] = await pair();
    socket.end(Buffer.from('8800', 'hex'));
    await expect(client.read(4)).rejects.toThrow('ended (FIN) before 4 bytes arrive; unread: 8800');
    expect(await client.closed).toEqual({ errorCode: undefined });
  });

  it('reads what came before the end, also when it writes after that', async () => {
    const [client, socket] = await pair();
    // Unread bytes at a close are answered with a reset, so that a write after it fails.
    client.write('00');
    client.pause();
    socket.pause();
    const closed = once(socket, 'close');
    socket.write('refused', () => socket.destroy());
    await closed;
    for (let count = 0; count < 20; count++) {
      client.write('00');
      await turn();
    }
    client.resume();
    expect((await client.read(7)).toString()).toBe('refused');
    await client.closed;
  });

  it('tells a reset from a FIN', async () => {
    const [client, socket] = await pair();
    socket.resetAndDestroy();
    expect(await client.closed).toEqual({ errorCode: 'ECONNRESET' });
  });

  it('connects from the given local address', async () => {
    const [client, socket] = await pair({ localAddress: '127.0.0.3' });
    expect(socket.remoteAddress).toBe('127.0.0.3');
    await client.close();
  });

  it('rejects when nobody listens', async () => {
    await expect(RawClient.connect(1)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  });
});
