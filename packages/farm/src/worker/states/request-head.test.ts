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

const ECHO: App = {
  upgrade: () => accept(),
  message: (connection, data, isBinary) => {
    connection.send(data, isBinary);
  },
};

let harness: WorkerHarness;
afterEach(() => harness.stop());

async function start(options: HarnessOptions = {}): Promise<void> {
  harness = await WorkerHarness.start(ECHO, options);
}

describe('a request head', () => {
  it('may arrive byte by byte', async () => {
    await start();
    const client = await harness.connect();
    for (const byte of Buffer.concat([Buffer.from(upgradeHead()), textFrame('slow')])) {
      client.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    expect((await client.read(6)).toString('hex')).toBe(serverText('slow'));
    await client.close();
  });

  it('larger than maxRequestHeadBytes is refused with 431, whole or dribbling', async () => {
    await start({ maxRequestHeadBytes: 512 });
    const whole = await harness.connect();
    whole.writeText(upgradeHead('/', [`X: ${'x'.repeat(512)}`]));
    expect(await whole.readHead()).toMatch(/^HTTP\/1\.1 431 /);
    await whole.closed;
    const dribbling = await harness.connect();
    dribbling.writeText('GET / HTTP/1.1\r\nHost: a\r\nX: ');
    for (let sent = 0; sent < 20; sent++) {
      dribbling.writeText('x'.repeat(40));
      await harness.report();
      if (dribbling.isClosed) break;
    }
    expect(await dribbling.readHead()).toMatch(/^HTTP\/1\.1 431 /);
    await dribbling.closed;
    expect(await harness.count('refused_bad_request')).toBe(2);
  });

  it('of exactly maxRequestHeadBytes is served', async () => {
    await start({ maxRequestHeadBytes: 512 });
    const padding = 512 - upgradeHead('/', ['X: ']).length;
    const client = await harness.connect();
    client.writeText(upgradeHead('/', [`X: ${'x'.repeat(padding)}`]));
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    await client.close();
  });

  it.each([
    ['400', 'hello\r\n\r\n'],
    ['400', 'GET / HTTP/1.1\r\n\r\n'],
    ['501', 'HELLO / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['505', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['400', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ])('that is none is refused with %s: %j', async (status, bytes) => {
    await start();
    const client = await harness.connect();
    client.write(Buffer.from(bytes, 'latin1'));
    expect(await client.readHead()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    client.end();
    await client.closed;
    expect(await harness.count('refused_bad_request')).toBe(1);
  });

  it('that has begun but does not arrive within handshakeTimeoutMs is refused with 408', async () => {
    await start({ handshakeTimeoutMs: 100 });
    const client = await harness.connect();
    client.writeText('GET / HTTP/1.1\r\n');
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 408 /);
    await client.closed;
    expect(await harness.count('refused_handshake_timeout')).toBe(1);
  });

  it('of which nothing arrives within handshakeTimeoutMs gets no answer, only the end', async () => {
    await start({ handshakeTimeoutMs: 100 });
    const client = await harness.connect();
    expect(await client.closed).toEqual({ errorCode: undefined });
    expect(client.received).toHaveLength(0);
    expect(await harness.count('refused_handshake_timeout')).toBe(1);
  });

  it('that never came from a client who has gone is not waited for', async () => {
    await start({ handshakeTimeoutMs: 100 });
    await (await harness.connect()).close();
    const begun = await harness.connect();
    begun.writeText('GET / HTTP/1.1\r\n');
    await harness.report();
    await begun.close();
    await poll(() => harness.released).toBe(2);
    // One that came later is ended last: whatever was to be timed out has been.
    await (
      await harness.connect()
    ).closed;
    expect(await harness.count('refused_handshake_timeout')).toBe(1);
    await poll(() => harness.released).toBe(3);
  });

  it('does not renew its time byte by byte', async () => {
    await start({ handshakeTimeoutMs: 200 });
    const client = await harness.connect();
    client.writeText('GET / HTTP/1.1\r\nX: ');
    const dribble = setInterval(() => client.writeText('x'), 20);
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 408 /);
    clearInterval(dribble);
    client.end();
    await client.closed;
  });

  it('for which there is no memory left is refused with 503', async () => {
    await start({ beyondLimits: { maxInboundBytesPerWorker: 256 } });
    const first = await harness.connect();
    first.writeText('GET / HTTP/1.1\r\n');
    const second = await harness.connect();
    second.writeText('GET / HTTP/1.1\r\n');
    // The two may be read in either order.
    const refused = await Promise.race([first.readHead(), second.readHead()]);
    expect(refused).toMatch(/^HTTP\/1\.1 503 /);
    expect(refused).toContain('\r\nRetry-After: 5\r\n');
    expect(await harness.count('refused_inbound_bytes')).toBe(1);
    await Promise.all([first.close(), second.close()]);
  });

  it('whose refusal the client does not acknowledge with FIN holds its row for closeTimeoutMs at most', async () => {
    await start({ closeTimeoutMs: 100 });
    const client = await harness.connect();
    client.pause();
    client.writeText('nonsense\r\n\r\n');
    await harness.counts('close_timeouts', 1);
    await poll(() => harness.released).toBe(1);
    await client.close();
  });
});
