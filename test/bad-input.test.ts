import { clientFrame, eventually, patient } from '@roost/testing';
import type { FarmProcess, RawClient, TestClient } from '@roost/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  connect,
  connectMany,
  connectRaw,
  counter,
  expectEcho,
  get,
  info,
  startSharedFarm,
  SWITCHING,
  upgradeRequest,
} from './harness/system.ts';

/** The head of a TLS 1.3 ClientHello, as somebody sends it who takes ws:// for wss://. */
const CLIENT_HELLO =
  '16 03 01 00 9c 01 00 00 98 03 03 3b 9f 40 5c 8c f9 11 cd 0d a1 7e c4 11 92 77 51 7d 0a 3e 59 c0 2f aa 40 8d 11';

const HTTP = 'HTTP/1.1 ';

/** The whole answer: everything until the server ends the connection. */
async function wholeAnswer(client: RawClient): Promise<string> {
  await client
    .read((unread) => (client.isClosed || endsAnswer(unread) ? unread.length : false))
    .then(
      () => undefined,
      () => undefined,
    );
  return client.received.toString('latin1');
}

/** Refusals say `Connection: close` and their length. */
function endsAnswer(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return false;
  const length = Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
  return text.length >= headEnd + 4 + length;
}

describe('what is no WebSocket handshake', () => {
  let farm: FarmProcess;
  let bystanders: TestClient[];
  let before: Readonly<Record<string, number>>;

  beforeAll(async () => {
    farm = await startSharedFarm();
  });

  afterAll(async () => {
    await farm.stop();
  });

  beforeEach(async () => {
    // One on each worker.
    bystanders = await connectMany(farm, '/echo', 2);
    before = (await info(farm)).counters;
  });

  // Whatever the test sent: nobody else noticed, and no worker died of it.
  async function expectUnharmed(): Promise<void> {
    for (const bystander of bystanders) await expectEcho(bystander, 'nothing happened');
    const { workers } = await info(farm);
    expect(workers.map(({ pid, restarts }) => [pid, restarts])).toEqual(
      farm.workers.map(({ pid }) => [pid, 0]),
    );
  }

  async function expectCounted(name: string): Promise<void> {
    expect(await counter(farm, name)).toBe((before[name] ?? 0) + 1);
  }

  it.each([
    ['a broken request line', 'GET /echo\r\n\r\n', 400],
    ['a lower-case method', 'get / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
    ['an unknown method', 'BREW / HTTP/1.1\r\nHost: a\r\n\r\n', 501],
    ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    ['HTTP/1.0', upgradeRequest('/echo', {}, 'GET /echo HTTP/1.0'), 505],
    ['no Host', upgradeRequest('/echo', { Host: undefined }), 400],
    ['two Hosts', upgradeRequest('/echo', { host: 'elsewhere' }), 400],
    ['a folded header', upgradeRequest('/echo', { 'X-Fold': 'a\r\n b' }), 400],
    ['a space before the colon', upgradeRequest('/echo', { 'X-Space ': 'a' }), 400],
    ['a control character in a header', upgradeRequest('/echo', { 'X-Bell': '\u0007' }), 400],
    ['a bare LF', upgradeRequest().replaceAll('\r\n', '\n'), 400],
    ['a repeated key', upgradeRequest('/echo', { 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' }), 400],
    ['an upgrade without Connection: Upgrade', upgradeRequest('/echo', { Connection: 'keep-alive' }), 400],
    ['no key', upgradeRequest('/echo', { 'Sec-WebSocket-Key': undefined }), 400],
    ['a key that is too short', upgradeRequest('/echo', { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZQ==' }), 400],
    ['no version', upgradeRequest('/echo', { 'Sec-WebSocket-Version': undefined }), 400],
    ['version 12', upgradeRequest('/echo', { 'Sec-WebSocket-Version': '12' }), 426],
    ['a POST that upgrades', upgradeRequest('/echo', {}, 'POST /echo HTTP/1.1'), 405],
    ['an upgrade with a body', upgradeRequest('/echo', { 'Content-Length': '5' }) + 'hello', 400],
    ['an upgrade in chunks', upgradeRequest('/echo', { 'Transfer-Encoding': 'chunked' }) + '0\r\n\r\n', 400],
    [
      'both Content-Length and Transfer-Encoding',
      'POST /api/info HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['9 KB of headers', upgradeRequest('/echo', { 'X-Long': 'x'.repeat(9000) }), 431],
    ['9 KB without an end', `GET /echo HTTP/1.1\r\nHost: a\r\nX-Long: ${'x'.repeat(9000)}`, 431],
    [
      '101 headers',
      upgradeRequest('/echo', Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`X-${n}`, '1']))),
      431,
    ],
    ['SMTP', 'EHLO roost.test\r\nMAIL FROM:<a@b>\r\n', 501],
    ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n', 400],
    ['zeros', '\0'.repeat(64), 400],
  ])('%s is answered and counted', async (_, request, status) => {
    const client = await connectRaw(farm.port);
    client.writeText(request);
    expect((await wholeAnswer(client)).slice(0, HTTP.length + 3)).toBe(`${HTTP}${status}`);
    // The server has said its FIN, and waits for the client's to an end.
    client.end();
    await client.closed;
    await expectCounted('refused_bad_request');
    await expectUnharmed();
  });

  it('a version that is not served is told which is', async () => {
    const client = await connectRaw(farm.port);
    client.writeText(upgradeRequest('/echo', { 'Sec-WebSocket-Version': '99' }));
    const head = await client.readHead();
    expect(head).toMatch(/^HTTP\/1\.1 426 /);
    // RFC 6455 §4.4.
    expect(head).toMatch(/^Sec-WebSocket-Version: .*\b13\b/m);
  });

  it('a TLS ClientHello is answered and counted', async () => {
    const client = await connectRaw(farm.port);
    client.write(CLIENT_HELLO);
    expect(await wholeAnswer(client)).toMatch(/^HTTP\/1\.1 400 /);
    await expectCounted('refused_bad_request');
    await expectUnharmed();
  });

  it('an ordinary request to /plain is told to upgrade', async () => {
    const { status, headers } = await get(farm, '/plain?channel=news');
    expect(status).toBe(426);
    expect(headers.get('upgrade')).toBe('websocket');
    await expectUnharmed();
  });

  it('a path that nobody serves is 404 and counted', async () => {
    const client = await connectRaw(farm.port);
    client.writeText(upgradeRequest('/nowhere'));
    expect(await wholeAnswer(client)).toMatch(/^HTTP\/1\.1 404 /);
    await expectCounted('refused_by_app');
    await expectUnharmed();
  });

  it('a head that dribbles in byte by byte is a handshake all the same', async () => {
    const client = await connectRaw(farm.port);
    for (const byte of Buffer.from(upgradeRequest())) {
      client.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await client.readHead()).toContain(SWITCHING);
    client.write('81 85 00000000 68656c6c6f');
    expect((await client.read(7)).toString('hex')).toBe('810568656c6c6f');
    await expectUnharmed();
  });

  it('a head with the first frames behind it loses none of them', async () => {
    const client = await connectRaw(farm.port);
    client.write(
      Buffer.concat([
        Buffer.from(upgradeRequest()),
        Buffer.from('818500000000 68656c6c6f 818100000000 21'.replaceAll(' ', ''), 'hex'),
      ]),
    );
    expect(await client.readHead()).toContain(SWITCHING);
    expect((await client.read(10)).toString('hex')).toBe('810568656c6c6f810121');
  });

  it('clients that leave in the middle of their head are forgotten', async () => {
    const clients = await Promise.all(Array.from({ length: 50 }, () => connectRaw(farm.port)));
    for (const [index, client] of clients.entries()) {
      client.writeText(upgradeRequest().slice(0, 20 + index));
      if (index % 2 === 0) client.end();
      else client.reset();
    }
    await Promise.all(clients.map((client) => client.closed));
    await expectUnharmed();
    expect((await info(farm)).num_clients).toBe(2);
  });
});

describe('who is silent', () => {
  let farm: FarmProcess;
  let bystander: TestClient;

  beforeAll(async () => {
    const timeoutMs = String(patient(500));
    farm = await startSharedFarm([
      `--handshake-timeout-ms=${timeoutMs}`,
      `--http-request-timeout-ms=${timeoutMs}`,
    ]);
  });

  afterAll(async () => {
    await farm.stop();
  });

  beforeEach(async () => {
    bystander = await connect(farm, '/echo');
  });

  afterEach(async () => {
    await expectEcho(bystander, 'nothing happened');
  });

  it.each([
    ['half an upgrade', upgradeRequest().slice(0, 60)],
    ['half a plain request', 'GET /health/live HTTP/1.1\r\nHost: a\r\n'],
    ['one letter', 'G'],
  ])('after %s gets 408', async (_, head) => {
    const before = await counter(farm, 'refused_handshake_timeout');
    const client = await connectRaw(farm.port);
    client.writeText(head);
    expect(await wholeAnswer(client)).toMatch(/^HTTP\/1\.1 408 /);
    expect(await counter(farm, 'refused_handshake_timeout')).toBe(before + 1);
  });

  it('in the middle of the body of a request gets 408', async () => {
    const before = await counter(farm, 'refused_handshake_timeout');
    const client = await connectRaw(farm.port);
    client.writeText(
      'POST /api/info HTTP/1.1\r\nHost: a\r\nX-API-Key: sesame\r\nContent-Length: 100\r\n\r\n{"half":',
    );
    expect(await wholeAnswer(client)).toMatch(/^HTTP\/1\.1 408 /);
    client.end();
    await client.closed;
    expect(await counter(farm, 'refused_handshake_timeout')).toBe(before + 1);
  });

  it('altogether is closed without a word', async () => {
    const before = await counter(farm, 'refused_handshake_timeout');
    const client = await connectRaw(farm.port);
    await client.closed;
    expect(client.received).toHaveLength(0);
    expect(await counter(farm, 'refused_handshake_timeout')).toBe(before + 1);
  });

  it('between two requests is closed without a word, which is no refusal', async () => {
    const before = await counter(farm, 'refused_handshake_timeout');
    const client = await connectRaw(farm.port);
    client.writeText('GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n');
    await client.closed;
    const text = client.received.toString();
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(text.split(HTTP)).toHaveLength(2);
    expect(await counter(farm, 'refused_handshake_timeout')).toBe(before);
  });

  it('and dribbles on to keep its place gets 408 all the same', async () => {
    const client = await connectRaw(farm.port);
    client.writeText('GET /echo HTTP/1.1\r\n');
    let isOver = false;
    const answer = wholeAnswer(client).finally(() => {
      isOver = true;
    });
    await eventually(
      () => {
        if (!isOver) client.writeText('X: y\r\n');
        return isOver;
      },
      { what: 'the dribbling client is answered' },
    );
    expect(await answer).toMatch(/^HTTP\/1\.1 408 /);
  });
});

describe('a storm of garbage', () => {
  it('harms nobody: the same workers serve, and the others lose nothing', async () => {
    const farm = await startSharedFarm(['--close-timeout-ms', '500']);
    try {
      const bystanders = await connectMany(farm, '/echo', 4);
      const random = seededRandom(0x726f6f73);
      for (let wave = 0; wave < 20; wave++) {
        const clients = await Promise.all(Array.from({ length: 20 }, () => connectRaw(farm.port)));
        for (const client of clients) {
          client.write(garbage(random));
          if (random() < 0.5) client.write(garbage(random));
          if (random() < 0.2) client.reset();
        }
        for (const bystander of bystanders) await expectEcho(bystander, `wave ${wave}`);
        await Promise.all(clients.map((client) => client.close()));
      }
      const { workers, counters } = await info(farm);
      expect(workers.map(({ pid, restarts }) => [pid, restarts])).toEqual(
        farm.workers.map(({ pid }) => [pid, 0]),
      );
      expect(counters['refused_bad_request']).toBeGreaterThan(20);
      expect(counters['upgrades']).toBeGreaterThan(20);
      expect(counters['app_errors']).toBe(0);
      await eventually(async () => expect((await info(farm)).num_clients).toBe(4));
      expect(farm.otherOutput).toBe('');
    } finally {
      await farm.stop();
    }
  });
});

/** Noise; a good handshake followed by noise; a good handshake with a bit turned; or frames with random headers. */
function garbage(random: () => number): Buffer {
  const noise = Buffer.from(
    Array.from({ length: Math.floor(random() * 400) }, () => Math.floor(random() * 256)),
  );
  const handshake = Buffer.from(upgradeRequest());
  switch (Math.floor(random() * 4)) {
    case 0:
      return noise;
    case 1:
      return Buffer.concat([handshake, noise]);
    case 2: {
      const at = Math.floor(random() * handshake.length);
      handshake[at] = (handshake[at] ?? 0) ^ (1 << Math.floor(random() * 8));
      return handshake;
    }
    default: {
      const frames = Array.from({ length: 5 }, () => {
        const payload = noise.subarray(0, Math.floor(random() * 100));
        return clientFrame(Math.floor(random() * 256), payload);
      });
      return Buffer.concat([handshake, ...frames]);
    }
  }
}

/** mulberry32: the same sequence in every run. */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
