import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { connect, type TLSSocket } from 'node:tls';
import { eventually, makeCertificate, RawClient, TestClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { accept, type App } from '../../../api/app.ts';
import type { Connection } from '../../../api/connection.ts';
import { TlsKeeper } from '../../../master/tls-keeper.ts';
import {
  clientFrame,
  poll,
  serverText,
  textFrame,
  upgradeHead,
  WorkerHarness,
  type HarnessOptions,
} from '../../fixtures/worker-harness.ts';

const certificate = makeCertificate();
const TRUST = { ca: certificate.cert };

const ECHO: App = {
  upgrade: () => accept({ channels: ['news'] }),
  message: (connection, data, isBinary) => void connection.send(data, isBinary),
};

let harness: WorkerHarness;

afterEach(async () => {
  await harness.stop();
});

async function start(options: HarnessOptions = {}, app: App = ECHO): Promise<void> {
  harness = await WorkerHarness.start(app, { tls: certificate, ...options });
}

/** A TLS client before its handshake; what goes wrong is seen in its end. */
function secure(options: object = {}): TLSSocket {
  const socket = connect({ port: harness.port, host: '127.0.0.1', ...TRUST, ...options });
  socket.on('error', () => undefined);
  return socket;
}

async function closed(socket: TLSSocket): Promise<void> {
  await new Promise((resolve) => {
    socket.once('close', resolve);
  });
}

function nothing(): void {
  // What the master would log has a spec of its own.
}

function credentialsOf(tls: { cert: string; key: string }): NonNullable<TlsKeeper['credentials']> {
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };
  const { credentials } = new TlsKeeper(tls, log);
  if (credentials === null) throw new Error('there are credentials');
  return credentials;
}

async function sessionOf(): Promise<Buffer> {
  const client = secure();
  const [session]: Buffer[] = await once(client, 'session');
  client.end();
  if (session === undefined) throw new Error('there is a session');
  return session;
}

async function isResumed(session: Buffer): Promise<boolean> {
  const client = secure({ session });
  await once(client, 'secureConnect');
  client.end();
  return client.isSessionReused();
}

/** Sends until the kernel and the stream are full. */
function fill(connection: Connection | undefined): void {
  if (connection === undefined) throw new Error('the open hook was not called');
  const message = Buffer.alloc(64 * 1024);
  do connection.send(message);
  while (connection.bufferedBytes === 0);
}

/** A client that has stopped reading, and its connection. */
async function stuck(options: HarnessOptions, onWritable?: () => void): Promise<[RawClient, Connection]> {
  const opened: Connection[] = [];
  await start(options, {
    ...ECHO,
    open: (connection) => void opened.push(connection),
    ...(onWritable === undefined ? {} : { writable: onWritable }),
  });
  const client = await harness.open();
  client.pause();
  const [connection] = opened;
  if (connection === undefined) throw new Error('the open hook was not called');
  return [client, connection];
}

/** A whole request over TLS, and everything that comes back until the server ends. */
async function ask(request: string): Promise<string> {
  const client = await harness.connect();
  client.writeText(request);
  await client.closed;
  return client.received.toString();
}

/** What a client says first. */
async function clientHello(): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _encoding, done) => {
        resolve(chunk);
        done();
      },
    });
    connect({ socket: wire }).on('error', () => undefined);
  });
}

const CLIENT_HELLO = await clientHello();

describe('a connection over TLS', () => {
  it('gets back what it sends: text, bytes, 1 MiB, fragments, pongs', async () => {
    await start({ maxMessageBytes: 2 ** 20, quietMs: 50 });
    const client = await harness.client();
    client.send('text');
    expect((await client.nextMessage()).text).toBe('text');
    client.send(Buffer.of(0, 1, 2));
    expect(await client.nextMessage()).toMatchObject({ data: Buffer.of(0, 1, 2), isBinary: true });
    const large = Buffer.alloc(2 ** 20, 'roost');
    client.send(large);
    expect((await client.nextMessage()).data.equals(large)).toBe(true);
    await client.roundTrip();
    client.socket.send('frag', { fin: false });
    client.socket.send('ments', { fin: true });
    expect((await client.nextMessage()).text).toBe('fragments');
    await harness.counts('hibernations', 1);
    expect(await harness.count('tls_handshakes')).toBe(1);
    await client.close();
  });

  it('reads a frame in a hundred records, and many frames in one', async () => {
    await start();
    const client = await harness.open();
    for (const byte of textFrame('x'.repeat(94))) client.write(Buffer.of(byte));
    expect((await client.read(96)).toString('hex')).toBe(serverText('x'.repeat(94)));
    client.write(Buffer.concat(Array.from({ length: 1000 }, () => textFrame('y'))));
    expect((await client.read(3000)).toString('hex')).toBe(serverText('y').repeat(1000));
    await client.close();
  });

  it('reads frames that come in one record with the request head', async () => {
    await start();
    const client = await harness.connect();
    client.write(Buffer.concat([Buffer.from(upgradeHead()), textFrame('early')]));
    await client.readHead();
    expect((await client.read(7)).toString('hex')).toBe(serverText('early'));
    await client.close();
  });

  it('closes with close frames both ways, close_notify and FIN, whoever begins', async () => {
    const closes: unknown[] = [];
    let connection: Connection | undefined;
    await start(
      {},
      {
        ...ECHO,
        open: (opened) => {
          connection = opened;
        },
        close: (_connection, code, reason) => void closes.push([code, reason]),
      },
    );
    const first = await harness.client();
    expect(await first.close(1000, 'done')).toEqual({ code: 1000, reason: 'done' });
    const second = await harness.open();
    connection?.close(4000, 'later');
    expect((await second.read(9)).toString('hex')).toBe('88070fa06c61746572');
    second.write(clientFrame(0x88, Buffer.from('0fa0', 'hex')));
    // Without close_notify OpenSSL would report an unexpected EOF.
    expect(await second.closed).toEqual({ errorCode: undefined });
    await poll(() => closes).toEqual([
      [1000, 'done'],
      [4000, ''],
    ]);
    expect(await harness.count('closed_abnormally')).toBe(0);
  });

  it('sends a close frame behind what the client has not read yet', async () => {
    let connection: Connection | undefined;
    await start({}, { ...ECHO, open: (opened) => void (connection = opened) });
    const client = await harness.open();
    client.pause();
    fill(connection);
    client.write(clientFrame(0x88, Buffer.from('03e8', 'hex')));
    await poll(() => connection?.isOpen).toBe(false);
    client.resume();
    expect(await client.closed).toEqual({ errorCode: undefined });
    expect(client.received.subarray(-4).toString('hex')).toBe('880203e8');
    await harness.counts('closed', 1);
    expect(await harness.count('closed_abnormally')).toBe(0);
  });

  it('is told apart from one that breaks: RST and FIN within a message are 1006', async () => {
    const closes: number[] = [];
    await start({}, { ...ECHO, close: (_connection, code) => void closes.push(code) });
    const first = await harness.open();
    const second = await harness.open();
    first.write('81 85 00000000 68');
    second.write('81 85 00000000 68');
    await harness.report();
    first.reset();
    second.end();
    await poll(() => closes).toEqual([1006, 1006]);
    await second.closed;
  });

  it('ends when a record is forged, and the others go on', async () => {
    await start();
    const other = await harness.client();
    const client = await harness.open();
    client.writeBelow(Buffer.concat([Buffer.from('1703030020', 'hex'), Buffer.alloc(32)]));
    await client.closed;
    await harness.counts('closed_abnormally', 1);
    other.send('still here');
    expect((await other.nextMessage()).text).toBe('still here');
    await other.close();
  });

  it('is terminated at once when the application says so', async () => {
    await start({}, { ...ECHO, message: (connection) => void connection.terminate() });
    const client = await harness.client();
    client.send('end me');
    expect((await client.closed).code).toBe(1006);
  });

  it('is given no byte of what follows its close', async () => {
    await start();
    const client = await harness.open();
    client.write(Buffer.concat([clientFrame(0x88, Buffer.from('03e8', 'hex')), textFrame('too late')]));
    await client.closed;
    expect(client.unread.toString('hex')).toBe('880203e8');
    expect(await harness.count('messages_received')).toBe(0);
  });
});

describe('publications over TLS', () => {
  it('reach every subscriber once and in order, in slices', async () => {
    await start({ capacity: 64, beyondLimits: { broadcastSliceMs: 0.001 } });
    const clients = await Promise.all(Array.from({ length: 40 }, () => harness.open()));
    for (let number = 0; number < 50; number++) harness.publish('news', `number ${number}`);
    harness.publish('news', 'the last');
    const expected = Array.from({ length: 50 }, (_, number) => serverText(`number ${number}`)).join('');
    for (const client of clients) {
      const all = await client.read((unread) => unread.includes('the last') && unread.length);
      expect(all.toString('hex')).toBe(expected + serverText('the last'));
    }
    expect(await harness.count('deliveries')).toBe(40 * 51);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('reach a client whole that reads late, behind what it was sent before', async () => {
    await start({ maxOutboundBytes: 64 * 2 ** 20 });
    const client = await harness.open();
    client.pause();
    const payload = Buffer.alloc(50_000, 'p');
    for (let number = 0; number < 60; number++) harness.publish('news', `${number} ${payload.toString()}`);
    await harness.counts('deliveries', 60);
    client.resume();
    const lengths = Array.from({ length: 60 }, (_, number) => 4 + String(number).length + 1 + payload.length);
    for (const [number, length] of lengths.entries()) {
      const frame = await client.read(length);
      expect(frame.toString('latin1', 4, 12)).toBe(`${number} pppppppp`.slice(0, 8));
    }
    await client.close();
  });
});

describe('a client over TLS that does not read', () => {
  it('is closed when its queue passes maxOutboundBytes', async () => {
    const maxOutboundBytes = 256 * 1024;
    const [client, connection] = await stuck({ maxOutboundBytes, closeTimeoutMs: 200 });
    const message = Buffer.alloc(16 * 1024);
    let peak = 0;
    for (let sends = 0; sends < 10_000 && connection.send(message); sends++) {
      peak = Math.max(peak, connection.bufferedBytes);
      if (sends % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThanOrEqual(maxOutboundBytes);
    await harness.counts('closed_slow_consumer', 1);
    await harness.counts('close_timeouts', 1);
    await client.close();
  });

  it('misses messages under the policy drop, and gets the later ones', async () => {
    const [client, connection] = await stuck({ maxOutboundBytes: 64 * 1024, slowConsumerPolicy: 'drop' });
    const message = Buffer.alloc(16 * 1024);
    while (connection.send(message)) await new Promise((resolve) => setImmediate(resolve));
    expect(await harness.count('messages_dropped_slow_consumer')).toBe(1);
    client.resume();
    await poll(() => connection.bufferedBytes).toBe(0);
    connection.send('later');
    await client.read((unread) => unread.includes(Buffer.from(serverText('later'), 'hex')) && unread.length);
    await client.close();
  });

  it('is told to the application when it has read everything', async () => {
    let writable = 0;
    const [client, connection] = await stuck({}, () => void writable++);
    fill(connection);
    expect(writable).toBe(0);
    client.resume();
    await poll(() => writable).toBe(1);
    expect(connection.bufferedBytes).toBe(0);
    await client.close();
  });

  it('does not keep the others waiting', async () => {
    const [client, connection] = await stuck({ maxOutboundBytes: 2 ** 20 });
    fill(connection);
    const other = await harness.client();
    other.send('quick');
    expect((await other.nextMessage()).text).toBe('quick');
    await other.close();
    await client.close();
  });
});

describe('an asynchronous upgrade over TLS', () => {
  it('keeps what the client sends before its 101', async () => {
    let decide = nothing;
    await start(
      {},
      {
        ...ECHO,
        upgrade: () =>
          new Promise((resolve) => {
            decide = () => resolve(accept());
          }),
      },
    );
    const client = await harness.connect();
    client.writeText(upgradeHead());
    await eventually(async () => (await harness.count('tls_handshakes')) === 1, { what: 'TLS stands' });
    for (let number = 0; number < 9; number++) client.write(textFrame(`early ${number}`));
    await harness.report();
    decide();
    await client.readHead();
    const expected = Array.from({ length: 9 }, (_, number) => serverText(`early ${number}`)).join('');
    expect((await client.read(9 * 9)).toString('hex')).toBe(expected);
    await client.close();
  });

  it('is told when the client leaves, by FIN or RST', async () => {
    const signals: AbortSignal[] = [];
    await start({}, { ...ECHO, upgrade: ({ signal }) => new Promise(() => void signals.push(signal)) });
    const first = await harness.connect();
    const second = await harness.connect();
    first.writeText(upgradeHead());
    second.writeText(upgradeHead());
    await poll(() => signals.length).toBe(2);
    first.end();
    second.reset();
    await poll(() => signals.every(({ aborted }) => aborted)).toBe(true);
    await first.close();
  });
});

describe('a client that does not speak TLS', () => {
  it.each([
    ['HTTP', 'GET / HTTP/1.1\r\nHost: roost.test\r\n\r\n'],
    ['anything else', '\u0000\u0001\u0002'],
  ])('but %s is told in plain text that the port does', async (_what, bytes) => {
    await start();
    const client = await RawClient.connect(harness.port);
    client.writeText(bytes);
    const head = await client.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 400 /);
    client.end();
    await client.closed;
    expect(client.unread.toString()).toBe('this port speaks TLS: use wss:// or https://');
    expect(await harness.count('refused_not_tls')).toBe(1);
  });

  it.each([
    ['a ClientHello of nonsense', Buffer.from('160301000801000004deadbeef', 'hex')],
    ['a record of nonsense', Buffer.from('16ffffffffffffff', 'hex')],
  ])('and sends %s is ended and counted, and the others go on', async (_what, bytes) => {
    await start();
    const other = await harness.client();
    const client = await RawClient.connect(harness.port);
    client.write(bytes);
    await client.closed;
    await harness.counts('tls_handshakes_failed', 1);
    other.send('still here');
    expect((await other.nextMessage()).text).toBe('still here');
    await other.close();
  });

  it('in a version that we do is ended and counted', async () => {
    await start();
    const client = secure({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' });
    await closed(client);
    await harness.counts('tls_handshakes_failed', 1);
  });

  it('older than tls.minVersion is ended, and a newer one served', async () => {
    await start({ tls: { ...certificate, minVersion: 'TLSv1.3' } });
    await closed(secure({ maxVersion: 'TLSv1.2' }));
    await harness.counts('tls_handshakes_failed', 1);
    const client = await harness.client();
    await client.close();
  });
});

describe('ALPN', () => {
  it('answers http/1.1, and refuses who speaks h2 only', async () => {
    await start();
    const both = secure({ ALPNProtocols: ['h2', 'http/1.1'] });
    await once(both, 'secureConnect');
    expect(both.alpnProtocol).toBe('http/1.1');
    await harness.counts('tls_handshakes', 1);
    both.destroy();
    await closed(secure({ ALPNProtocols: ['h2'] }));
    await harness.counts('tls_handshakes_failed', 1);
  });
});

describe('handshakeTimeoutMs', () => {
  it.each([
    ['nothing', Buffer.alloc(0)],
    ['half a ClientHello', CLIENT_HELLO.subarray(0, 40)],
    ['a ClientHello and no more', CLIENT_HELLO],
  ])('ends who sends %s', async (_what, bytes) => {
    await start({ handshakeTimeoutMs: 200 });
    const client = await RawClient.connect(harness.port);
    client.write(bytes);
    await client.closed;
    expect(await harness.count('refused_handshake_timeout')).toBe(1);
    expect(await harness.count('tls_handshakes_failed')).toBe(0);
  });

  it('ends who completes TLS and sends no request, and answers half a request with 408', async () => {
    await start({ handshakeTimeoutMs: 200 });
    const silent = await harness.connect();
    await silent.closed;
    expect(silent.received).toHaveLength(0);
    expect(await ask('GET / HT')).toMatch(/^HTTP\/1\.1 408 /);
    expect(await harness.count('refused_handshake_timeout')).toBe(2);
  });
});

describe('maxTlsHandshakes', () => {
  it('lets clients wait for their turn, until one that is under way ends', async () => {
    await start({ maxTlsHandshakes: 1 });
    const slow = await RawClient.connect(harness.port);
    slow.write(CLIENT_HELLO);
    // Its handshake is under way: the server's part of it has come.
    await slow.read(5);
    const waiting = secure();
    const gone = await RawClient.connect(harness.port);
    gone.write(CLIENT_HELLO);
    const isSecure = once(waiting, 'secureConnect');
    // Who leaves while it waits costs no handshake.
    gone.end();
    await gone.closed;
    expect(await harness.count('tls_handshakes')).toBe(0);
    expect(waiting.authorized).toBe(false);
    await slow.close();
    await isSecure;
    await harness.counts('tls_handshakes', 1);
    expect(await harness.count('tls_handshakes_failed')).toBe(1);
    waiting.destroy();
  });

  it('ends with handshakeTimeoutMs who waits longer', async () => {
    await start({ maxTlsHandshakes: 1, handshakeTimeoutMs: 300 });
    const slow = await RawClient.connect(harness.port);
    slow.write(CLIENT_HELLO);
    await slow.read(5);
    const waiting = secure();
    await closed(waiting);
    await slow.closed;
    expect(await harness.count('refused_handshake_timeout')).toBeGreaterThanOrEqual(1);
    const client = await harness.client();
    await client.close();
  });

  it('does not bound connections that stand', async () => {
    await start({ maxTlsHandshakes: 2 });
    const clients = await Promise.all(Array.from({ length: 30 }, () => harness.client()));
    expect(await harness.count('tls_handshakes')).toBe(30);
    await Promise.all(clients.map((client) => client.close()));
  });
});

/** Clients of 127.0.0.2 that send half a ClientHello. */
async function flood(count: number, before: string | Uint8Array = ''): Promise<RawClient[]> {
  const clients = await Promise.all(
    Array.from({ length: count }, () => RawClient.connect(harness.port, { localAddress: '127.0.0.2' })),
  );
  for (const client of clients) {
    client.write(before);
    client.write(CLIENT_HELLO.subarray(0, CLIENT_HELLO.length / 2));
  }
  return clients;
}

async function expectOneEcho(): Promise<void> {
  const client = await harness.client();
  client.send('hello');
  expect((await client.nextMessage()).text).toBe('hello');
  await client.close();
}

async function allEnded(): Promise<void> {
  await eventually(async () => (await harness.report()).connections === 0, { what: 'all have ended' });
}

describe('maxTlsHandshakesPerAddress', () => {
  it('lets other addresses in at once, while the surplus of one waits for its own', async () => {
    await start({
      maxTlsHandshakes: 8,
      maxTlsHandshakesPerAddress: 4,
      capacity: 400,
      handshakeTimeoutMs: 600_000,
    });
    const clients = await flood(300);
    await harness.counts('tls_handshakes_held_back', 296);
    await expectOneEcho();
    expect(clients.filter(({ isClosed }) => isClosed)).toEqual([]);
    // One of its own ends: one more begins.
    await clients[0]?.close();
    await harness.counts('tls_handshakes_failed', 1);
    await expectOneEcho();
    await Promise.all(clients.map((client) => client.close()));
    await allEnded();
    await expectOneEcho();
  });

  it('ends the surplus with handshakeTimeoutMs', async () => {
    await start({ maxTlsHandshakes: 8, maxTlsHandshakesPerAddress: 4, handshakeTimeoutMs: 300 });
    const clients = await flood(20);
    await Promise.all(clients.map((client) => client.closed));
    expect(await harness.count('refused_handshake_timeout')).toBe(20);
    await expectOneEcho();
  });

  it('lets a client that goes on have as many as it likes, a few at a time', async () => {
    await start({ maxTlsHandshakesPerAddress: 2 });
    const clients = await Promise.all(Array.from({ length: 30 }, () => harness.client()));
    expect(await harness.count('tls_handshakes')).toBe(30);
    await Promise.all(clients.map((client) => client.close()));
  });

  it('does not bound trusted proxies, but the clients that they name', async () => {
    await start({
      maxTlsHandshakes: 40,
      maxTlsHandshakesPerAddress: 4,
      trustedProxies: ['127.0.0.2'],
      proxyProtocol: 'optional',
      handshakeTimeoutMs: 600_000,
    });
    const own = await flood(10);
    const named = await flood(10, Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.1 5678 443\r\n'));
    await harness.counts('tls_handshakes_held_back', 6);
    await Promise.all([...own, ...named].map((client) => client.close()));
    await allEnded();
    expect(await harness.count('tls_handshakes_failed')).toBe(14);
  });
});

describe('HTTP over TLS', () => {
  const HTTP: App = {
    ...ECHO,
    http: (request, response) => {
      if (request.url === '/upload') {
        request.resume().once('end', () => response.end('taken'));
        return true;
      }
      if (request.url !== '/hello') return false;
      response.end(`hello over ${'encrypted' in request.socket ? 'TLS' : 'TCP'}`);
      return true;
    },
  };

  it('is served on the port of the WebSockets, also pipelined', async () => {
    await start({}, HTTP);
    const answers = await ask(
      'GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    );
    expect(answers).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*hello over TLSHTTP\/1\.1 404 /);
  });

  it('becomes a WebSocket on a connection that was kept alive', async () => {
    await start({}, HTTP);
    const client = await harness.connect();
    client.writeText('GET /hello HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.read((unread) => unread.includes('hello over TLS') && unread.length);
    client.write(Buffer.concat([Buffer.from(upgradeHead()), textFrame('upgraded')]));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    expect((await client.read(10)).toString('hex')).toBe(serverText('upgraded'));
    harness.publish('news', 'and subscribed');
    expect((await client.read(16)).toString('hex')).toBe(serverText('and subscribed'));
    client.write(clientFrame(0x88, Buffer.from('03e8', 'hex')));
    expect(await client.closed).toEqual({ errorCode: undefined });
  });

  it('is refused with 408 when no whole request comes in httpRequestTimeoutMs', async () => {
    await start({ httpRequestTimeoutMs: 200 }, HTTP);
    const upload = 'POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n';
    expect(await ask(`${upload}half`)).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe('a refusal over TLS', () => {
  it('is an HTTP response at the connection limit, and HTTP is served', async () => {
    await start({}, { ...ECHO, http: (_request, response) => void response.end('healthy') });
    harness.isReserved = true;
    const answer = await ask(upgradeHead());
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toContain('Retry-After: 5');
    expect(await ask('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')).toContain('healthy');
  });

  it('is an HTTP response for a malformed head, too', async () => {
    await start();
    expect(await ask('GET / HTTP/1.1\nHost: a\n\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await harness.count('refused_bad_request')).toBe(1);
  });
});

describe('a drain over TLS', () => {
  it('closes with 1001, ends who is in a handshake, and the worker stops', async () => {
    await start();
    const clients = await Promise.all(Array.from({ length: 10 }, () => harness.client()));
    const silent = await RawClient.connect(harness.port);
    const half = await RawClient.connect(harness.port);
    half.write(CLIENT_HELLO.subarray(0, 40));
    harness.send({ type: 'drain', drainMs: 0, workers: 1 });
    for (const client of clients) expect((await client.closed).code).toBe(1001);
    await silent.closed;
    await half.closed;
    await poll(() => harness.exits).toEqual([0]);
  });
});

describe('new credentials', () => {
  it('serve new connections, while those that stand go on with the old', async () => {
    await start();
    const before = await harness.client();
    const next = makeCertificate({ commonName: 'next' });
    harness.send({ type: 'tls', credentials: credentialsOf(next) });
    await harness.report();
    const client = secure({ ca: next.cert });
    await once(client, 'secureConnect');
    expect(client.getPeerCertificate().fingerprint256).toBe(next.fingerprint256);
    client.destroy();
    before.send('still here');
    expect((await before.nextMessage()).text).toBe('still here');
    await before.close();
  });

  it('that cannot be used are counted, and the ones before go on serving', async () => {
    await start();
    harness.send({ type: 'tls', credentials: { ...credentialsOf(certificate), cert: 'no certificate' } });
    await harness.counts('tls_reload_errors', 1);
    const client = await harness.client();
    client.send('still served');
    expect((await client.nextMessage()).text).toBe('still served');
    await client.close();
  });

  it('resume sessions of the same ticket keys, and no session of others', async () => {
    await start();
    const credentials = credentialsOf(certificate);
    harness.send({ type: 'tls', credentials });
    await harness.report();
    const session = await sessionOf();
    // As another worker of the farm would have them.
    harness.send({ type: 'tls', credentials: { ...credentials } });
    await harness.report();
    expect(await isResumed(session)).toBe(true);
    harness.send({ type: 'tls', credentials: credentialsOf(certificate) });
    await harness.report();
    expect(await isResumed(session)).toBe(false);
    await harness.counts('tls_handshakes', 3);
    expect(await harness.count('tls_resumptions')).toBe(1);
  });
});

describe('clients that send all the time', () => {
  it('leave room for one that sends little', async () => {
    await start({ capacity: 64, maxOutboundBytes: 64 * 2 ** 20 });
    const burst = Buffer.concat(Array.from({ length: 2000 }, () => textFrame('b')));
    const busy = await Promise.all(Array.from({ length: 20 }, () => harness.open()));
    const quiet = await TestClient.connect(`wss://127.0.0.1:${harness.port}/`, TRUST);
    for (let round = 0; round < 5; round++) for (const client of busy) client.write(burst);
    quiet.send('quick');
    await quiet.nextMessage();
    // 1.4 MB and 200,000 frames wait: the short message did not stand behind all of them.
    expect(await harness.count('messages_received')).toBeLessThan(150_000);
    for (const client of busy) {
      await client.read(3 * 2000 * 5);
      await client.close();
    }
    await quiet.close();
  });
});
