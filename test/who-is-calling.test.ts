import { RawClient, startServer, TestClient } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  API_KEY,
  type ApiAnswer,
  counter,
  endAfterTest,
  startSharedFarm,
  SWITCHING,
  upgradeRequest,
} from './harness/system.ts';

const PROXY = '127.0.0.2';
const STRANGER = '127.0.0.3';

const V1 = Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n');
const V2 = Buffer.from(
  '0d0a0d0a000d0a515549540a 21 21 0024 20010db8000000000000000000000001 00000000000000000000000000000001 dc04 01bb'.replaceAll(
    ' ',
    '',
  ),
  'hex',
);

async function connectFrom(farm: FarmProcess, localAddress: string): Promise<RawClient> {
  const client = await RawClient.connect(farm.port, { localAddress });
  endAfterTest(() => client.close());
  return client;
}

/** Sends an upgrade to /who and returns what the application says of its client. */
async function who(client: RawClient, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  client.writeText(upgradeRequest('/who', headers));
  expect(await client.readHead()).toContain(SWITCHING);
  // One short text frame.
  const [, length = 0] = await client.read(2);
  return (await client.read(length)).toString();
}

/** The status of the answer to an upgrade. */
async function statusOf(client: RawClient, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  client.writeText(upgradeRequest('/who', headers));
  return (await client.readHead()).slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3);
}

describe('who is calling', () => {
  let farm: FarmProcess;

  beforeAll(async () => {
    farm = await startSharedFarm([
      '--trusted-proxies=127.0.0.2,10.0.0.0/8',
      '--proxy-protocol=optional',
      '--allowed-origins=https://app.example.com,https://*.example.org',
    ]);
  });

  afterAll(async () => {
    await farm.stop();
  });

  it.each([
    ['version 1', V1, '192.0.2.1'],
    ['version 2', V2, '2001:db8::1'],
  ])('is what a PROXY header of a trusted proxy says: %s', async (_, header, address) => {
    const client = await connectFrom(farm, PROXY);
    client.write(header);
    expect(await who(client)).toBe(address);
  });

  it('is the proxy itself when it sends no header', async () => {
    expect(await who(await connectFrom(farm, PROXY))).toBe(PROXY);
  });

  it('is answered by HTTP too, and by an upgrade on the same connection', async () => {
    const client = await connectFrom(farm, PROXY);
    client.write(V1);
    client.writeText('GET /who HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(await client.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    expect((await client.read('192.0.2.1'.length)).toString()).toBe('192.0.2.1');
    expect(await who(client)).toBe('192.0.2.1');
  });

  it.each([
    ['version 1', V1, '501'],
    ['version 2', V2, '400'],
  ])('is not what a stranger says in a PROXY header: %s', async (_, header, status) => {
    const before = await counter(farm, 'refused_bad_request');
    const client = await connectFrom(farm, STRANGER);
    client.write(header);
    expect(await statusOf(client)).toBe(status);
    expect(await counter(farm, 'refused_bad_request')).toBe(before + 1);
  });

  it('is what X-Forwarded-For of a trusted proxy says, and not what a stranger says there', async () => {
    const headers = { 'X-Forwarded-For': '203.0.113.9, 192.0.2.1, 10.1.2.3' };
    expect(await who(await connectFrom(farm, PROXY), headers)).toBe('192.0.2.1');
    expect(await who(await connectFrom(farm, STRANGER), headers)).toBe(STRANGER);
    const behindHeader = await connectFrom(farm, PROXY);
    behindHeader.write(V1);
    expect(await who(behindHeader, headers)).toBe('192.0.2.1');
  });

  it('is a page of an allowed origin, or no page; others get 403', async () => {
    const before = await counter(farm, 'refused_origin');
    for (const origin of ['https://app.example.com', 'https://eu.app.example.org']) {
      const client = await TestClient.connect(`${farm.url}/echo`, { origin });
      endAfterTest(() => client.terminate());
    }
    const program = await TestClient.connect(`${farm.url}/echo`);
    endAfterTest(() => program.terminate());
    for (const origin of ['https://app.example.com.evil.example', 'http://app.example.com', 'null']) {
      await expect(TestClient.connect(`${farm.url}/echo`, { origin })).rejects.toMatchObject({ status: 403 });
    }
    expect(await counter(farm, 'refused_origin')).toBe(before + 3);
  });
});

describe('with proxyProtocol required', () => {
  let farm: FarmProcess;

  beforeAll(async () => {
    farm = await startSharedFarm(['--trusted-proxies', PROXY, '--proxy-protocol', 'required']);
  });

  afterAll(async () => {
    await farm.stop();
  });

  /** The API, asked as everybody else must: through the proxy. */
  async function counterThroughProxy(name: string): Promise<number | undefined> {
    const client = await connectFrom(farm, PROXY);
    client.writeText(
      `PROXY UNKNOWN\r\nPOST /api/info HTTP/1.1\r\nHost: a\r\nX-API-Key: ${API_KEY}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`,
    );
    await client.closed;
    const [head = '', body = ''] = client.received.toString().split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 200 /);
    const answer: ApiAnswer = JSON.parse(body);
    return answer.result?.nodes?.[0]?.counters[name];
  }

  it('a stranger is ended without a word', async () => {
    const client = await connectFrom(farm, STRANGER);
    await client.closed;
    expect(client.received).toHaveLength(0);
    expect(await counterThroughProxy('refused_not_proxied')).toBe(1);
  });

  it('so is a proxy that sends no header, or a malformed one', async () => {
    for (const bytes of [upgradeRequest('/who'), 'PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n']) {
      const client = await connectFrom(farm, PROXY);
      client.writeText(bytes);
      await client.closed;
      expect(client.received).toHaveLength(0);
    }
    expect(await counterThroughProxy('refused_proxy_header')).toBe(2);
  });

  it('a header is the way in', async () => {
    const client = await connectFrom(farm, PROXY);
    client.write(V2);
    expect(await who(client)).toBe('2001:db8::1');
  });
});

describe('a configuration that could let nobody in', () => {
  it('is no start', async () => {
    await expect(startServer(['--proxy-protocol', 'required'])).rejects.toThrow(
      'proxyProtocol must be "off" unless trustedProxies names the proxies that may speak it, got "required".',
    );
  });
});
