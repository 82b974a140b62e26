import type { RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import {
  type HarnessOptions,
  poll,
  serverText,
  textFrame,
  upgradeHead,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';

const V1 = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n');
/** With the TLVs that a cloud's load balancer adds: PP2_TYPE_NOOP (04) of five bytes. */
const V2 = Buffer.from(
  '0d0a0d0a000d0a515549540a 21 21 002c 20010db8000000000000000000000001 00000000000000000000000000000001 dc04 01bb 04 0005 0000000000'.replaceAll(
    ' ',
    '',
  ),
  'hex',
);
const LOCAL = Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex');
const CLIENT = '192.0.2.1';

/** Says to whom it speaks: the address at the upgrade, and that of the connection with each message. */
const APP: App = {
  upgrade: ({ remoteAddress }) => accept({ attachment: remoteAddress }),
  open: (connection) => void connection.send(String(connection.attachment)),
  message: (connection) => void connection.send(connection.remoteAddress),
  http: (incoming, response) => void response.end(incoming.socket.remoteAddress),
};

let harness: WorkerHarness;
afterEach(() => harness.stop());

async function start(options: HarnessOptions = {}): Promise<void> {
  harness = await WorkerHarness.start(APP, {
    trustedProxies: ['127.0.0.1'],
    proxyProtocol: 'required',
    ...options,
  });
}

/** Sends the pieces, each read by the worker on its own. */
async function writePieces(client: RawClient, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) {
    client.write(piece);
    // Asking takes the worker at least one turn of its loop.
    await harness.report();
  }
}

async function expectGreeting(client: RawClient, address: string): Promise<void> {
  expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
  const greeting = serverText(address);
  expect((await client.read(greeting.length / 2)).toString('hex')).toBe(greeting);
}

async function expectEnded(
  client: RawClient,
  counter: 'refused_proxy_header' | 'refused_not_proxied',
): Promise<void> {
  await client.closed;
  expect(client.received).toHaveLength(0);
  await harness.counts(counter, 1);
  await poll(() => harness.released).toBe(1);
}

describe('the PROXY protocol', () => {
  it.each([
    ['version 1', V1, CLIENT],
    ['version 2', V2, '2001:db8::1'],
  ])('tells who the client is, to hooks and on the connection, by %s', async (_, header, address) => {
    await start();
    const client = await harness.connect();
    client.write(Buffer.concat([header, Buffer.from(upgradeHead()), textFrame('?')]));
    await expectGreeting(client, address);
    expect((await client.read(address.length + 2)).toString('latin1', 2)).toBe(address);
    await client.close();
  });

  it.each([
    ['LOCAL', LOCAL],
    ['UNKNOWN', Buffer.from('PROXY UNKNOWN\r\n')],
  ])('leaves a connection of the proxy itself its address: %s', async (_, header) => {
    await start();
    const client = await harness.connect();
    client.write(Buffer.concat([header, Buffer.from(upgradeHead())]));
    await expectGreeting(client, '127.0.0.1');
    await client.close();
  });

  it.each([
    ['version 1', V1, CLIENT],
    ['version 2', V2, '2001:db8::1'],
  ])('is understood wherever its bytes are split: %s', async (_, header, address) => {
    await start({ capacity: 128 });
    const whole = Buffer.concat([header, Buffer.from(upgradeHead())]);
    const clients = await Promise.all(Array.from({ length: header.length }, () => harness.connect()));
    for (const [index, client] of clients.entries()) client.write(whole.subarray(0, index + 1));
    await harness.report();
    for (const [index, client] of clients.entries()) client.write(whole.subarray(index + 1));
    for (const client of clients) await expectGreeting(client, address);
    await Promise.all(clients.map((client) => client.close()));
  });

  it.each([
    ['version 1', V1, CLIENT],
    ['version 2', V2, '2001:db8::1'],
  ])('is understood byte by byte: %s', async (_, header, address) => {
    await start();
    const client = await harness.connect();
    await writePieces(
      client,
      Array.from(header, (byte) => Uint8Array.of(byte)),
    );
    client.writeText(upgradeHead());
    await expectGreeting(client, address);
    await client.close();
  });

  it('is read once: a second header is the client’s nonsense', async () => {
    await start();
    const client = await harness.connect();
    client.write(Buffer.concat([V1, Buffer.from('PROXY TCP4 203.0.113.9 198.51.100.7 1 2\r\n')]));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 501 /);
    expect(await harness.count('refused_bad_request')).toBe(1);
    client.end();
    await client.closed;
  });

  it('holds for HTTP, and for an upgrade that follows on the same connection', async () => {
    await start();
    const client = await harness.connect();
    client.write(Buffer.concat([V1, Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')]));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    expect((await client.read(CLIENT.length)).toString()).toBe(CLIENT);
    client.writeText(upgradeHead());
    await expectGreeting(client, CLIENT);
    await client.close();
  });

  it('reads no header in front of such an upgrade', async () => {
    await start();
    const client = await harness.connect();
    client.write(Buffer.concat([LOCAL, Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')]));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    await client.read('127.0.0.1'.length);
    client.write(Buffer.concat([V1, Buffer.from(upgradeHead())]));
    // It is Node's parser that answers here.
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 400 /);
    await client.closed;
    expect(await harness.count('upgrades')).toBe(0);
  });
});

describe('proxyProtocol required', () => {
  it.each([
    ['a request without a header', Buffer.from(upgradeHead())],
    ['a malformed header of version 1', Buffer.from('PROXY TCP4 192.0.2.256 198.51.100.7 1 2\r\n')],
    ['a malformed header of version 2', Buffer.from('0d0a0d0a000d0a515549540a3111000c', 'hex')],
    ['a line of version 1 without an end', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(93)}`)],
    [
      'a header of version 2 beyond maxRequestHeadBytes',
      Buffer.from('0d0a0d0a000d0a515549540a21111ff1', 'hex'),
    ],
  ])('ends without an answer %s', async (_, bytes) => {
    await start();
    const client = await harness.connect();
    client.write(bytes);
    await expectEnded(client, 'refused_proxy_header');
  });

  it('ends a malformed header with the byte that makes it so', async () => {
    await start();
    const client = await harness.connect();
    await writePieces(
      client,
      Array.from(Buffer.from('0d0a0d0a000d0a515549540a3111000c', 'hex'), (byte) => Uint8Array.of(byte)),
    );
    await expectEnded(client, 'refused_proxy_header');
  });

  it('ends at once who is no trusted proxy, whatever he would say', async () => {
    await start({ trustedProxies: ['192.0.2.0/24', '::1'] });
    await expectEnded(await harness.connect(), 'refused_not_proxied');
    expect(harness.logs.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('takes a header of maxRequestHeadBytes', async () => {
    await start({ maxRequestHeadBytes: 512 });
    const header = Buffer.alloc(512);
    Buffer.from('0d0a0d0a000d0a515549540a211101f0c0000201', 'hex').copy(header);
    const client = await harness.connect();
    client.write(Buffer.concat([header, Buffer.from(upgradeHead())]));
    await expectGreeting(client, CLIENT);
    await client.close();
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half of it', V1.subarray(0, 20)],
  ])('gives %s handshakeTimeoutMs', async (_, bytes) => {
    await start({ handshakeTimeoutMs: 100 });
    const client = await harness.connect();
    client.write(bytes);
    expect(await client.closed).toEqual({ errorCode: undefined });
    expect(client.received).toHaveLength(0);
    expect(await harness.count('refused_handshake_timeout')).toBe(1);
  });

  it('gives header and request head one handshakeTimeoutMs together', async () => {
    await start({ handshakeTimeoutMs: 200 });
    const client = await harness.connect();
    client.write(Buffer.concat([V1, Buffer.from('GET / HTTP/1.1\r\n')]));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 408 /);
    await client.closed;
  });

  it('ends a connection for whose header there is no memory', async () => {
    await start({ beyondLimits: { maxInboundBytesPerWorker: 256 } });
    const first = await harness.connect();
    await writePieces(first, [V1.subarray(0, 20)]);
    const second = await harness.connect();
    second.write(V1.subarray(0, 20));
    await second.closed;
    await harness.counts('refused_inbound_bytes', 1);
    await writePieces(first, [V1.subarray(20), Buffer.from(upgradeHead())]);
    await expectGreeting(first, CLIENT);
    await first.close();
  });

  it('drains without waiting for who has said nothing', async () => {
    await start({ stopTimeoutMs: 600_000, handshakeTimeoutMs: 600_000 });
    const client = await harness.connect();
    await harness.report();
    harness.send({ type: 'drain', drainMs: 0, workers: 1 });
    await client.closed;
    await poll(() => harness.exits).toEqual([0]);
  });
});

describe('proxyProtocol optional', () => {
  it('reads a header where there is one, and serves the others as the peer', async () => {
    await start({ proxyProtocol: 'optional' });
    const proxied = await harness.connect();
    proxied.write(Buffer.concat([V2, Buffer.from(upgradeHead())]));
    await expectGreeting(proxied, '2001:db8::1');
    const direct = await harness.connect();
    direct.writeText(upgradeHead());
    await expectGreeting(direct, '127.0.0.1');
    await Promise.all([proxied.close(), direct.close()]);
  });

  it('does not take a request that begins like a header for one, however slowly it comes', async () => {
    await start({ proxyProtocol: 'optional' });
    const client = await harness.connect();
    await writePieces(
      client,
      Array.from('PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n', (letter) => Buffer.from(letter)),
    );
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    await client.close();
  });

  it.each([
    ['version 1', V1, 501],
    ['version 2', V2, 400],
  ])('reads no header of an untrusted peer: %s', async (_, header, status) => {
    await start({ proxyProtocol: 'optional', trustedProxies: ['192.0.2.0/24'] });
    const client = await harness.connect();
    client.write(Buffer.concat([header, Buffer.from(upgradeHead())]));
    expect(await client.readHead()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    client.end();
    await client.closed;
    expect(await harness.count('refused_bad_request')).toBe(1);
  });

  it('ends a trusted proxy whose header is malformed', async () => {
    await start({ proxyProtocol: 'optional' });
    const client = await harness.connect();
    client.writeText('PROXY TCP4 nonsense\r\n');
    await expectEnded(client, 'refused_proxy_header');
  });
});

describe('proxyProtocol off', () => {
  it('reads no header, even of a trusted proxy', async () => {
    await start({ proxyProtocol: 'off' });
    const client = await harness.connect();
    client.write(Buffer.concat([V1, Buffer.from(upgradeHead())]));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 501 /);
    client.end();
    await client.closed;
  });
});
