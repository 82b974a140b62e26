import { afterEach, describe, expect, it } from 'vitest';
import { TestClient } from '@roost/testing';
import { accept, reject, type App, type UpgradeDecision, type UpgradeRequest } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
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

async function start(app: App | readonly App[], options: HarnessOptions = {}): Promise<WorkerHarness> {
  harness = await WorkerHarness.start(app, options);
  return harness;
}

describe('the 101', () => {
  it('is the answer that RFC 6455 §1.3 computes', async () => {
    const client = await (await start(ECHO)).connect();
    client.writeText(upgradeHead());
    expect(await client.readHead()).toBe(
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
        'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    );
    await client.close();
  });

  it('carries the subprotocol and the headers of the acceptance', async () => {
    await start({
      upgrade: ({ protocols }) => accept({ protocol: protocols[1] ?? '', headers: { 'X-Seat': '7' } }),
    });
    const client = await harness.connect();
    client.writeText(upgradeHead('/', ['Sec-WebSocket-Protocol: a, b']));
    const head = await client.readHead();
    expect(head).toContain('Sec-WebSocket-Protocol: b\r\n');
    expect(head).toContain('X-Seat: 7\r\n');
    await client.close();
  });
});

describe('the upgrade hook', () => {
  it.each([
    ['', []],
    [', one,, two ,', ['one', 'two']],
  ])('sees no empty subprotocol in %j', async (offered, protocols) => {
    const seen: (readonly string[])[] = [];
    await start({ upgrade: (request) => (seen.push(request.protocols), accept({ protocol: 'two' })) });
    const client = await harness.connect();
    client.writeText(upgradeHead('/', [`Sec-WebSocket-Protocol: ${offered}`]));
    const head = await client.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 101 /);
    expect(head.includes('Sec-WebSocket-Protocol: two')).toBe(protocols.includes('two'));
    expect(seen).toEqual([protocols]);
    await client.close();
  });

  it('sees who asks, and for what', async () => {
    const requests: UpgradeRequest[] = [];
    await start({
      upgrade(request) {
        requests.push(request);
        return accept();
      },
    });
    const client = await TestClient.connect(`${harness.url}/chat%20room?name=%C3%A4&x=1`, {
      protocols: ['one', 'two'],
      headers: { Authorization: 'Bearer x' },
    }).catch((error: unknown) => error);
    const [request] = requests;
    expect(request?.url).toBe('/chat%20room?name=%C3%A4&x=1');
    expect(request?.path).toBe('/chat%20room');
    expect(request?.query.get('name')).toBe('ä');
    expect(request?.headers['authorization']).toBe('Bearer x');
    expect(request?.protocols).toEqual(['one', 'two']);
    expect(request?.remoteAddress).toBe('127.0.0.1');
    expect(request?.signal.aborted).toBe(false);
    if (client instanceof TestClient) await client.close();
  });

  it('lets in at once what it accepts, with the attachment', async () => {
    await start({
      upgrade: ({ query }) => accept({ attachment: { name: query.get('name') } }),
      open: (connection) => void connection.send(JSON.stringify(connection.attachment)),
    });
    const client = await harness.client('/?name=Ada');
    expect((await client.nextMessage()).text).toBe('{"name":"Ada"}');
    await client.close();
  });

  it('may be asynchronous', async () => {
    await start({ ...ECHO, upgrade: async () => Promise.resolve(accept({ attachment: 1 })) });
    const client = await harness.client();
    client.send('hello');
    expect((await client.nextMessage()).text).toBe('hello');
    await client.close();
  });

  it.each([
    ['in the same tick', () => reject(401, 'token expired', { 'WWW-Authenticate': 'Bearer' })],
    ['later', async () => Promise.resolve(reject(401, 'token expired', { 'WWW-Authenticate': 'Bearer' }))],
  ])('refuses %s with its status, reason and headers, and ends the connection', async (_when, upgrade) => {
    const client = await (await start({ upgrade })).connect();
    client.writeText(upgradeHead());
    expect(await client.readHead()).toBe(
      'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n' +
        'Content-Length: 13\r\nWWW-Authenticate: Bearer\r\n\r\n',
    );
    expect(String(await client.read(13))).toBe('token expired');
    expect(await client.closed).toEqual({ errorCode: undefined });
    expect(await harness.count('refused_by_app')).toBe(1);
  });

  it('may refuse in any language', async () => {
    const client = await (await start({ upgrade: () => reject(403, 'geschlossen für heute ☾') })).connect();
    client.writeText(upgradeHead());
    expect(await client.readHead()).toContain('\r\nContent-Length: 26\r\n');
    expect(String(await client.read(26))).toBe('geschlossen für heute ☾');
    await client.closed;
  });

  it.each([
    ['throws', () => throwing('no database')],
    ['rejects', () => Promise.reject(new Error('no database'))],
    ['answers true', () => true],
    ['answers false later', () => Promise.resolve(false)],
    ['accepts with a header that cannot be sent', () => accept({ headers: { 'X-A': 'a\r\nX-B: b' } })],
    ['refuses with a header that cannot be sent', () => reject(401, 'no', { 'X-A': 'a\r\nX-B: b' })],
    ['refuses with such a header later', async () => Promise.resolve(reject(401, 'no', { 'X-A': 'a\nb' }))],
    ['names channels that are no list', () => ({ kind: 'accept', channels: 'news' })],
  ])('that %s refuses with 500, counted and logged, and hurts nobody else', async (_what, upgrade) => {
    await start([
      {
        upgrade: ({ path }) => (path === '/bad' ? wrong(upgrade()) : undefined),
      },
      ECHO,
    ]);
    const good = await harness.client('/good');
    const client = await harness.connect();
    client.writeText(upgradeHead('/bad'));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/);
    await client.closed;
    expect(await harness.count('app_errors')).toBe(1);
    expect(await harness.count('refused_app_error')).toBe(1);
    expect(harness.logs.filter(({ message }) => message === 'app hook failed')).toHaveLength(1);
    good.send('still here');
    expect((await good.nextMessage()).text).toBe('still here');
    await good.close();
  });

  it('is asked of the apps in order, and nobody answering is 404', async () => {
    const asked: string[] = [];
    const app = (name: string, isAsync: boolean): App => ({
      upgrade(request) {
        asked.push(name);
        const decision = request.path === `/${name}` ? accept({ attachment: name }) : undefined;
        return isAsync ? Promise.resolve(decision) : decision;
      },
      open: (connection) => void connection.send(`${name} ${String(connection.attachment)}`),
    });
    await start([app('first', true), {}, app('second', false), app('third', true)]);
    for (const name of ['first', 'second', 'third']) {
      const client = await harness.client(`/${name}`);
      expect((await client.nextMessage()).text).toBe(`${name} ${name}`);
      await client.close();
    }
    expect(asked).toEqual(['first', 'first', 'second', 'first', 'second', 'third']);
    await expect(harness.client('/nothing')).rejects.toMatchObject({ status: 404 });
  });

  it('is not asked about requests that ws refuses anyway', async () => {
    let asked = 0;
    await start({
      upgrade() {
        asked++;
        return accept();
      },
    });
    const client = await harness.connect();
    client.writeText(upgradeHead().replace('dGhlIHNhbXBsZSBub25jZQ==', 'short'));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 400 /);
    await client.closed;
    const old = await harness.connect();
    old.writeText(upgradeHead().replace('Version: 13', 'Version: 12'));
    const head = await old.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 426 /);
    expect(head).toContain('\r\nSec-WebSocket-Version: 13, 8\r\n');
    const post = await harness.connect();
    post.writeText(upgradeHead().replace('GET', 'POST'));
    expect(await post.readHead()).toMatch(/^HTTP\/1\.1 405 /);
    await post.closed;
    await old.closed;
    expect(asked).toBe(0);
    expect(await harness.count('refused_bad_request')).toBe(3);
  });
});

describe('frames behind the request head', () => {
  const THREE = Buffer.concat([Buffer.from(upgradeHead()), textFrame('a'), textFrame('b'), textFrame('c')]);
  const ANSWER = [serverText('a'), serverText('b'), serverText('c')].join('');

  it.each([
    ['in the same tick', ECHO],
    ['later', { ...ECHO, upgrade: async () => Promise.resolve(accept()) }],
  ])('are read after the 101 when the hook answers %s', async (_when, app) => {
    const client = await (await start(app)).connect();
    client.write(THREE);
    await client.readHead();
    expect((await client.read(9)).toString('hex')).toBe(ANSWER);
    await client.close();
  });

  it('may be cut anywhere', async () => {
    await start({ ...ECHO, upgrade: async () => Promise.resolve(accept()) });
    for (let cut = THREE.length - 25; cut < THREE.length; cut += 3) {
      const client = await harness.connect();
      client.write(THREE.subarray(0, cut));
      // The round trip of another client: the first part has been read by then.
      await (await harness.client()).close();
      client.write(THREE.subarray(cut));
      await client.readHead();
      expect((await client.read(9)).toString('hex')).toBe(ANSWER);
      await client.close();
    }
  });

  it.each([
    ['in the same tick', false],
    ['later', true],
  ])('are discarded up to the close frame when the open hook closes (hook %s)', async (_when, isAsync) => {
    const closes: unknown[] = [];
    await start({
      upgrade: () => (isAsync ? Promise.resolve(accept()) : accept()),
      open: (connection) => void connection.close(4000, 'full'),
      message: () => expect.unreachable(),
      close: (_connection, code, reason) => void closes.push([code, reason]),
    });
    const client = await harness.connect();
    const half = textFrame('half of this comes later');
    client.write(Buffer.concat([Buffer.from(upgradeHead()), textFrame('x'), half.subarray(0, 9)]));
    await client.readHead();
    expect((await client.read(8)).toString('hex')).toBe('88060fa066756c6c');
    client.write(Buffer.concat([half.subarray(9), Buffer.from('88820000000003e8', 'hex')]));
    await client.closed;
    expect(closes).toEqual([[1000, '']]);
    expect(await harness.count('close_timeouts')).toBe(0);
  });
});

describe('an asynchronous hook', () => {
  it('is told when its client sends FIN; an acceptance then still reads what came before', async () => {
    const { app, requests, decide, opened } = deciding();
    const messages: string[] = [];
    await start({ ...app, message: (_connection, data) => void messages.push(String(data)) });
    const client = await harness.connect();
    client.writeText(upgradeHead());
    await poll(() => requests.length).toBe(1);
    client.write(textFrame('last words'));
    client.end();
    await poll(() => requests[0]?.signal.aborted).toBe(true);
    decide[0]?.();
    await poll(() => messages).toEqual(['last words']);
    await client.closed;
    expect(opened).toHaveLength(1);
    expect(await harness.count('closed_abnormally')).toBe(1);
  });

  it('is told when its client resets; its answer is dropped, and the slot may have another owner', async () => {
    const { app, requests, decide, opened } = deciding();
    await start(app, { capacity: 1, reservedConnections: 1 });
    const client = await harness.connect();
    client.writeText(upgradeHead('/gone'));
    await poll(() => requests.length).toBe(1);
    client.reset();
    await poll(() => requests[0]?.signal.aborted).toBe(true);
    expect(await harness.count('upgrades_abandoned')).toBe(1);
    await poll(() => harness.released).toBe(1);
    const next = await harness.connect();
    next.writeText(upgradeHead('/next'));
    await poll(() => requests.length).toBe(2);
    decide[0]?.();
    await harness.report();
    expect(opened).toHaveLength(0);
    expect(next.received).toHaveLength(0);
    decide[1]?.();
    expect(await next.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    expect(opened).toHaveLength(1);
    await next.close();
  });

  it('that rejects for a client who is gone is counted and logged', async () => {
    let fail: (error: Error) => void = nothing;
    let request: UpgradeRequest | undefined;
    await start({
      upgrade(asked) {
        request = asked;
        void asked.signal;
        return new Promise((_resolve, reject_) => {
          fail = reject_;
        });
      },
    });
    const client = await harness.connect();
    client.writeText(upgradeHead());
    await poll(() => request).toBeDefined();
    client.reset();
    await poll(() => request?.signal.aborted).toBe(true);
    fail(new Error('too late'));
    await harness.counts('app_errors', 1);
    expect(await harness.count('refused_app_error')).toBe(0);
  });

  it('is one of at most maxHandshakes; beyond them 503 says when to come again', async () => {
    const { app, requests, decide } = deciding();
    await start(app, { maxHandshakes: 2 });
    const clients = [await harness.connect(), await harness.connect()];
    for (const client of clients) client.writeText(upgradeHead());
    await poll(() => requests.length).toBe(2);
    const third = await harness.connect();
    third.writeText(upgradeHead());
    const head = await third.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 503 /);
    expect(head).toContain('\r\nRetry-After: 5\r\n');
    await third.closed;
    expect(await harness.count('refused_handshakes')).toBe(1);
    for (const go of decide) go();
    for (const client of clients) {
      expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
      await client.close();
    }
  });

  it('that takes longer than upgradeTimeoutMs is aborted, and its client gets 503', async () => {
    const { app, requests, decide, opened } = deciding();
    await start(app, { upgradeTimeoutMs: 100 });
    const client = await harness.connect();
    client.writeText(upgradeHead());
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 503 /);
    await client.closed;
    expect(requests[0]?.signal.aborted).toBe(true);
    expect(await harness.count('refused_upgrade_timeout')).toBe(1);
    expect(await harness.count('upgrades_abandoned')).toBe(0);
    decide[0]?.();
    await harness.report();
    expect(opened).toHaveLength(0);
  });
});

describe('a connection beyond the limit', () => {
  it('is refused with 503 and Retry-After, while HTTP is served', async () => {
    await start({ ...ECHO, http: (_request, response) => void response.end('healthy') });
    harness.isReserved = true;
    const client = await harness.connect();
    client.writeText(upgradeHead());
    const head = await client.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 503 /);
    expect(head).toContain('\r\nRetry-After: 5\r\n');
    await client.closed;
    expect(await harness.count('refused_limit')).toBe(1);
    expect(await (await fetch(`http://127.0.0.1:${harness.port}/`)).text()).toBe('healthy');
  });
});

describe('the page that asks', () => {
  const ALLOWED = ['https://app.example.com', 'https://*.example.org'];

  it.each([
    [['Origin: https://app.example.com']],
    [['Origin: https://eu.app.example.org']],
    // A program: browsers always say theirs.
    [[]],
  ])('is let in when it is of allowedOrigins, or none: %j', async (lines) => {
    await start(ECHO, { allowedOrigins: ALLOWED });
    const client = await harness.connect();
    client.writeText(upgradeHead('/', lines));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    await client.close();
  });

  it.each([
    ['Origin: https://evil.example'],
    ['Origin: null'],
    ['Sec-WebSocket-Origin: https://evil.example'],
  ])('is refused with 403 before any hook sees it when it is not: %s', async (line) => {
    await start({ upgrade: () => throwing('nobody asked') }, { allowedOrigins: ALLOWED });
    const client = await harness.connect();
    client.writeText(upgradeHead('/', [line]));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 403 /);
    await client.closed;
    expect(await harness.count('refused_origin')).toBe(1);
    expect(await harness.count('app_errors')).toBe(0);
  });

  it('is not asked for by plain HTTP', async () => {
    await start({ http: (_request, response) => void response.end('hello') }, { allowedOrigins: ALLOWED });
    const headers = { Origin: 'https://evil.example' };
    expect(await (await fetch(`http://127.0.0.1:${harness.port}/`, { headers })).text()).toBe('hello');
  });
});

describe('a connection over a limit of its address', () => {
  it.each([
    ['an upgrade', upgradeHead()],
    ['a plain request', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'],
  ])('is refused with 429 and Retry-After: %s', async (_what, head) => {
    await start({ ...ECHO, http: (_request, response) => void response.end('healthy') });
    harness.isLimited = true;
    const client = await harness.connect();
    client.writeText(head);
    const answer = await client.readHead();
    expect(answer).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/);
    expect(answer).toContain('\r\nRetry-After: 5\r\n');
    await client.closed;
    expect(await harness.count('refusals_answered')).toBe(1);
    // The master counts it apart, and must learn of both.
    await poll(() => harness.said.findLast(({ type }) => type === 'released')).toEqual({
      type: 'released',
      total: 1,
      limited: 1,
    });
  });
});

function throwing(message: string): never {
  throw new Error(message);
}

/** An app whose upgrade hook waits for `decide`. */
function deciding(): {
  app: App;
  requests: UpgradeRequest[];
  decide: (() => void)[];
  opened: Connection[];
} {
  const requests: UpgradeRequest[] = [];
  const decide: (() => void)[] = [];
  const opened: Connection[] = [];
  const app: App = {
    upgrade(request) {
      requests.push(request);
      void request.signal;
      return new Promise((resolve) => {
        decide.push(() => resolve(accept()));
      });
    },
    open: (connection) => void opened.push(connection),
  };
  return { app, requests, decide, opened };
}

function nothing(): void {
  // Replaced before it is called.
}

/** What JavaScript lets through. */
function wrong(decision: unknown): UpgradeDecision {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- that is the point.
  return decision as UpgradeDecision;
}
