import { createServer } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { listenLocally } from './free-port.ts';
import { TestClient, UpgradeRefusedError } from './test-client.ts';

const http = createServer();
const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'two' });
let url: string;

beforeAll(async () => {
  http.on('upgrade', (request, socket, head) => {
    if (request.url === '/refused') {
      socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nconnection: close\r\n\r\nfull');
      return;
    }
    sockets.handleUpgrade(request, socket, head, (connection) => {
      connection.send('hello');
      connection.on('message', (data, isBinary) => {
        if (Buffer.isBuffer(data) && data.equals(Buffer.from('bye'))) connection.close(4001, 'as you like');
        else connection.send(data, { binary: isBinary });
      });
    });
  });
  url = `ws://127.0.0.1:${await listenLocally(http)}`;
});

afterAll(() => {
  http.close();
});

describe('TestClient', () => {
  it('keeps messages in order from the first one on, and tells text from binary', async () => {
    const client = await TestClient.connect(url, { protocols: ['one', 'two'] });
    expect(client.protocol).toBe('two');
    expect(await client.nextMessage()).toMatchObject({ text: 'hello', isBinary: false });
    client.send(Buffer.from('00ff', 'hex'));
    expect(await client.nextMessage()).toMatchObject({ data: Buffer.from('00ff', 'hex'), isBinary: true });
    await client.close();
  });

  it('tells code and reason of a close, and rejects a wait for a message then', async () => {
    const client = await TestClient.connect(url);
    await client.nextMessage();
    client.send('bye');
    expect(await client.closed).toEqual({ code: 4001, reason: 'as you like' });
    await expect(client.nextMessage()).rejects.toThrow('closed with 4001 "as you like"');
  });

  it('takes nothing after a wait has failed at its deadline', async () => {
    const client = await TestClient.connect(url, { deadlineMs: 50 });
    await client.nextMessage();
    await expect(client.nextMessage()).rejects.toMatchObject({ code: 'TESTING_DEADLINE' });
    client.send('late');
    expect((await client.nextMessage()).text).toBe('late');
    await client.close();
  });

  it('rejects with status and body when the upgrade is refused', async () => {
    const refused = await TestClient.connect(`${url}/refused`).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(UpgradeRefusedError);
    expect(refused).toMatchObject({ status: 503, body: 'full' });
  });
});
