import { Agent, request, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { makeCertificate } from '@roost/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import {
  type HarnessOptions,
  poll,
  serverText,
  textFrame,
  upgradeHead,
  WorkerHarness,
} from '../fixtures/worker-harness.ts';
import { MoveRig } from '../moving/fixtures/move-rig.ts';
import { DescriptorStreams } from '../sockets/descriptor-streams.ts';

const APP: App = {
  upgrade: () => accept(),
  message: (connection, data, isBinary) => void connection.send(data, isBinary),
  http(incoming, response) {
    if (incoming.url === '/echo') {
      return text(incoming).then(
        (body) => void response.end(`${incoming.method} ${body}`),
        () => undefined,
      );
    }
    if (incoming.url !== '/hello') return false;
    response.end('hello');
    return true;
  },
};
const HELLO = 'GET /hello HTTP/1.1\r\nHost: a\r\n\r\n';

let harness: WorkerHarness;
afterEach(() => harness.stop());

async function start(app: App | readonly App[] = APP, options: HarnessOptions = {}): Promise<string> {
  harness = await WorkerHarness.start(app, options);
  return `http://127.0.0.1:${harness.port}`;
}

describe('HTTP on the port of the WebSockets', () => {
  it('reaches the first app that takes the request', async () => {
    const other: App = {
      http: (incoming, response) => (incoming.url === '/other' ? void response.end('other') : false),
    };
    const origin = await start([{}, other, APP]);
    expect(await (await fetch(`${origin}/other`)).text()).toBe('other');
    expect(await (await fetch(`${origin}/hello`)).text()).toBe('hello');
    expect(await (await fetch(`${origin}/echo`, { method: 'POST', body: 'ä'.repeat(100_000) })).text()).toBe(
      `POST ${'ä'.repeat(100_000)}`,
    );
  });

  it('is answered with 404 when no app takes it', async () => {
    const response = await fetch(`${await start()}/nothing`);
    expect(response.status).toBe(404);
    expect(await response.text()).toBe('nothing serves this path\n');
  });

  it.each([
    ['throws', () => throwing()],
    ['rejects', () => Promise.reject(new Error('no database'))],
  ])('is answered with 500 when the hook %s', async (_how, http) => {
    const response = await fetch(await start({ http }));
    expect(response.status).toBe(500);
    expect(await harness.count('app_errors')).toBe(1);
  });

  it('keeps the connection, and takes pipelined requests', async () => {
    await start();
    const client = await harness.connect();
    client.writeText(HELLO + HELLO);
    for (const _ of [1, 2]) {
      expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
      expect(String(await client.read(5))).toBe('hello');
    }
    expect(await harness.count('http_connections')).toBe(1);
    await client.close();
    await poll(() => harness.released).toBe(1);
  });

  it('may be followed by an upgrade on the same connection, with frames behind it', async () => {
    await start();
    const client = await harness.connect();
    client.writeText(HELLO);
    await client.readHead();
    await client.read(5);
    client.write(
      Buffer.concat([Buffer.from(upgradeHead('/', ['X-Case:  kept ']), 'latin1'), textFrame('now')]),
    );
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    expect((await client.read(5)).toString('hex')).toBe(serverText('now'));
    client.write(textFrame('later'));
    expect((await client.read(7)).toString('hex')).toBe(serverText('later'));
    expect((await harness.report()).connections).toBe(1);
    client.write('88 82 00000000 03e8');
    expect((await client.read(4)).toString('hex')).toBe('880203e8');
    client.end();
    await client.closed;
    await poll(() => harness.released).toBe(1);
  });

  it('is answered before an upgrade that was pipelined behind it', async () => {
    let answer: (() => void) | undefined;
    await start({
      ...APP,
      http: (_incoming, response) => {
        answer = () => response.end('late');
      },
    });
    const client = await harness.connect();
    client.writeText(`${HELLO}${upgradeHead('/')}`);
    await poll(() => answer).toBeTypeOf('function');
    client.write(textFrame('behind'));
    answer?.();
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    expect(String(await client.read(4))).toBe('late');
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    expect((await client.read(8)).toString('hex')).toBe(serverText('behind'));
  });

  it('may be followed by an upgrade that is refused', async () => {
    await start({ ...APP, upgrade: () => undefined });
    const client = await harness.connect();
    client.writeText(HELLO);
    await client.readHead();
    await client.read(5);
    client.writeText(upgradeHead());
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 404 /);
    client.end();
    await client.closed;
    await poll(() => harness.released).toBe(1);
  });

  it('may be in absolute form, first and later (RFC 9112 §3.2.2)', async () => {
    const hosts: unknown[] = [];
    await start([{ http: ({ headers }) => (hosts.push(headers.host), false) }, APP]);
    const client = await harness.connect();
    for (const host of ['b', 'c:80']) {
      client.writeText(`GET http://${host}/hello HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
      expect(String(await client.read(5))).toBe('hello');
    }
    expect(hosts).toEqual(['b', 'c:80']);
    client.writeText(upgradeHead('http://b/any?x'));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    await client.close();
  });

  it('is refused when a header stands twice that must not, first and later', async () => {
    await start();
    const twice = HELLO.replace('Host: a', 'Host: a\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b');
    for (const before of ['', HELLO]) {
      const client = await harness.connect();
      client.writeText(before);
      if (before !== '') {
        await client.readHead();
        await client.read(5);
      }
      client.writeText(twice);
      expect(await client.readHead()).toMatch(/^HTTP\/1\.1 400 /);
      client.end();
      await client.closed;
      expect(String(client.unread)).toBe('A header that must stand once is repeated.');
    }
  });

  it('may be followed by an upgrade that names other protocols as well', async () => {
    await start();
    const client = await harness.connect();
    client.writeText(HELLO);
    await client.readHead();
    await client.read(5);
    client.writeText(upgradeHead('/').replace('Upgrade: websocket', 'Upgrade: h2c, websocket'));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    await client.close();
  });

  it('ignores an upgrade to another protocol', async () => {
    await start();
    const client = await harness.connect();
    client.writeText(
      'GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n',
    );
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    expect(String(await client.read(5))).toBe('hello');
    await client.close();
  });
});

describe('httpRequestTimeoutMs', () => {
  it('ends a connection whose request does not arrive, with 408', async () => {
    await start(APP, { httpRequestTimeoutMs: 100 });
    const client = await harness.connect();
    client.writeText('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf');
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 408 /);
    await client.closed;
    await poll(() => harness.released).toBe(1);
  });

  it('ends a connection that is idle between two requests, without a word', async () => {
    await start(APP, { httpRequestTimeoutMs: 100 });
    const client = await harness.connect();
    client.writeText(HELLO);
    await client.readHead();
    await client.read(5);
    expect(await client.closed).toEqual({ errorCode: undefined });
    expect(client.unread).toHaveLength(0);
    expect(await harness.count('refused_handshake_timeout')).toBe(0);
  });

  it('rests while the app answers', async () => {
    let answer = nothing;
    await start(
      {
        http(incoming, response) {
          if (incoming.url === '/quick') response.end('quick');
          else answer = () => response.end('slow');
        },
      },
      { httpRequestTimeoutMs: 100 },
    );
    const client = await harness.connect();
    client.writeText('GET /quick HTTP/1.1\r\nHost: a\r\n\r\nGET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.readHead();
    await client.read(5);
    // A neighbour that is idle for as long has been ended meanwhile.
    const neighbour = await harness.connect();
    neighbour.writeText('GET /quick HTTP/1.1\r\nHost: a\r\n\r\n');
    await neighbour.closed;
    expect(client.isClosed).toBe(false);
    answer();
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    expect(String(await client.read(4))).toBe('slow');
    await client.closed;
  });
});

describe('a client that sends FIN behind its request', () => {
  it.each([
    ['in plain', false],
    ['over TLS', true],
  ])('is answered, however long that takes, %s', async (_how, isSecure) => {
    await start(
      {
        http(incoming, response) {
          // Behind everything that Node does at the end.
          incoming.socket.once('end', () => setImmediate(() => response.end('late')));
        },
      },
      isSecure ? { tls: makeCertificate() } : {},
    );
    const client = await harness.connect();
    client.writeText(HELLO);
    client.end();
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    expect(String(await client.read(4))).toBe('late');
    await client.closed;
    await poll(() => harness.released).toBe(1);
  });

  it('is ended after httpRequestTimeoutMs without an answer, and the app is told', async () => {
    let isTold = false;
    await start(
      { http: (_incoming, response) => void response.once('close', () => (isTold = true)) },
      { httpRequestTimeoutMs: 200 },
    );
    const client = await harness.connect();
    client.writeText(HELLO);
    client.end();
    await client.closed;
    expect(client.received).toHaveLength(0);
    await poll(() => isTold).toBe(true);
    await poll(() => harness.released).toBe(1);
    expect(await harness.count('refused_handshake_timeout')).toBe(0);
  });
});

describe('an HTTP client of Node', () => {
  it('with keep-alive stays on one connection', async () => {
    await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    for (const body of ['one', 'two']) {
      const outgoing = request({ port: harness.port, path: '/echo', method: 'POST', agent });
      outgoing.end(body);
      const response = await new Promise<IncomingMessage>((resolve) => outgoing.once('response', resolve));
      expect(await text(response)).toBe(`POST ${body}`);
    }
    agent.destroy();
    expect(await harness.count('http_connections')).toBe(1);
  });
});

describe('an HTTP client that waits between two requests while connections move', () => {
  it('stays, and is served, when its socket cannot be had back: without a descriptor, for instance', async () => {
    let tries = 0;
    const reclaim = vi.spyOn(DescriptorStreams.prototype, 'reclaim').mockImplementation(() => {
      if (++tries > 100) throw new Error('the same socket is tried again and again');
      return false;
    });
    const rig = await MoveRig.start([APP, APP], { handoverGraceMs: 0 });
    harness = rig.source;
    try {
      const client = await rig.source.connect();
      client.writeText(HELLO);
      await client.readHead();
      await client.read(5);
      rig.begin();
      expect((await rig.ended())[0]).toMatchObject({ reason: 'empty', moved: 0, left: 1 });
      expect(tries).toBeGreaterThan(0);
      client.writeText(HELLO);
      expect(await client.readHead()).toContain('200 OK');
    } finally {
      reclaim.mockRestore();
      await rig.stop();
    }
  });
});

function throwing(): never {
  throw new Error('no database');
}

function nothing(): void {
  // Replaced before it is called.
}
