import type { RawClient } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { formatAddress } from '../../addresses/address.ts';
import { accept, type App } from '../../api/app.ts';
import { TrustedProxies } from '../../options/trusted-proxies.ts';
import { forwardedClient } from './forwarded-for.ts';
import { type HarnessOptions, serverText, upgradeHead, WorkerHarness } from '../fixtures/worker-harness.ts';

const PROXIES = new TrustedProxies(['10.0.0.0/8', 'fd00::/8']);

function client(list: string): string | undefined {
  const { address } = forwardedClient(list, PROXIES);
  return address === undefined ? undefined : formatAddress(address);
}

describe('the client of an X-Forwarded-For list', () => {
  it.each([
    ['alone', '192.0.2.1', '192.0.2.1'],
    ['alone, of IPv6', '2001:db8::1', '2001:db8::1'],
    ['alone, mapped', '::ffff:192.0.2.1', '192.0.2.1'],
    ['before trusted proxies', '192.0.2.1, 10.0.0.2,10.0.0.3', '192.0.2.1'],
    ['before trusted proxies of IPv6', '2001:db8::1, fd00::2', '2001:db8::1'],
    ['behind what it made up', '127.0.0.1, 203.0.113.9, 192.0.2.1, 10.0.0.2', '192.0.2.1'],
    ['behind garbage that it made up', '<script>, "", 192.0.2.1, 10.0.0.2', '192.0.2.1'],
    ['behind a trusted address that it made up', '10.9.9.9, 192.0.2.1, 10.0.0.2', '192.0.2.1'],
    ['the first when all are trusted', '10.0.0.9, 10.0.0.2', '10.0.0.9'],
    ['with a port', '192.0.2.1:5678, 10.0.0.2:443', '192.0.2.1'],
    ['of IPv6 with a port', '[2001:db8::1]:5678, [fd00::2]:443', '2001:db8::1'],
    ['of IPv6 in brackets', '[2001:db8::1]', '2001:db8::1'],
    ['among empty elements', ' ,192.0.2.1 ,, \t,10.0.0.2, ', '192.0.2.1'],
    ['behind an empty beginning', ',192.0.2.1', '192.0.2.1'],
  ])('stands %s: %j', (_, list, expected) => {
    expect(client(list)).toBe(expected);
    expect(forwardedClient(list, PROXIES).isMalformed).toBe(false);
  });

  it.each([
    ['unknown, 10.0.0.2', '10.0.0.2'],
    ['192.0.2.1, unknown, 10.0.0.3, 10.0.0.2', '10.0.0.3'],
    ['192.0.2.1, _hidden, 10.0.0.2', '10.0.0.2'],
    ['192.0.2.1:99999999, 10.0.0.2', '10.0.0.2'],
    ['192.0.2.1:, 10.0.0.2', '10.0.0.2'],
    ['192.0.2.256, 10.0.0.2', '10.0.0.2'],
    ['[192.0.2.1, 10.0.0.2', '10.0.0.2'],
    ['fe80::1%eth0, 10.0.0.2', '10.0.0.2'],
    ['192.0.2.1 10.0.0.9, 10.0.0.2', '10.0.0.2'],
    ['192.0.2.1; 10.0.0.2', undefined],
    ['unknown', undefined],
    ['"192.0.2.1"', undefined],
  ])('is not looked for beyond what is no address: %j', (list, expected) => {
    expect(client(list)).toBe(expected);
    expect(forwardedClient(list, PROXIES).isMalformed).toBe(true);
  });

  it.each(['', ' ', ',', ', ,'])('is nobody in the empty list %j', (list) => {
    expect(forwardedClient(list, PROXIES)).toEqual({ address: undefined, isMalformed: false });
  });
});

/** Says who the client is: to the upgrade hook, and on the connection. */
const APP: App = {
  upgrade: ({ remoteAddress }) => accept({ attachment: remoteAddress }),
  open: (connection) => void connection.send(`${String(connection.attachment)} ${connection.remoteAddress}`),
  http: (incoming, response) => void response.end(incoming.socket.remoteAddress),
};

let harness: WorkerHarness;
let socket: RawClient;

async function greeted(options: HarnessOptions, bytes: string): Promise<RawClient> {
  harness = await WorkerHarness.start(APP, options);
  socket = await harness.connect();
  socket.writeText(bytes);
  expect(await socket.readHead()).toMatch(/^HTTP\/1\.1 101 /);
  return socket;
}

async function expectAddress(address: string): Promise<void> {
  const greeting = serverText(`${address} ${address}`);
  expect((await socket.read(greeting.length / 2)).toString('hex')).toBe(greeting);
}

describe('X-Forwarded-For at an upgrade', () => {
  afterEach(async () => {
    await socket.close();
    await harness.stop();
  });

  it('of a trusted proxy tells who the client is', async () => {
    await greeted(
      { trustedProxies: ['127.0.0.1'] },
      upgradeHead('/', ['X-Forwarded-For: 203.0.113.9, 192.0.2.1']),
    );
    await expectAddress('192.0.2.1');
  });

  it('in several lines is one list', async () => {
    const lines = ['X-Forwarded-For: 192.0.2.1', 'x-forwarded-for: 127.0.0.1'];
    await greeted({ trustedProxies: ['127.0.0.1'] }, upgradeHead('/', lines));
    await expectAddress('192.0.2.1');
  });

  it.each([
    ['by default', {}],
    ['of who is no trusted proxy', { trustedProxies: ['192.0.2.0/24'] }],
  ])('does not count %s', async (_, options) => {
    await greeted(options, upgradeHead('/', ['X-Forwarded-For: 192.0.2.1']));
    await expectAddress('127.0.0.1');
  });

  it('counts behind a PROXY header that names a trusted proxy, and behind no other', async () => {
    const options = { trustedProxies: ['127.0.0.1', '10.0.0.0/8'], proxyProtocol: 'required' } as const;
    const upgrade = upgradeHead('/', ['X-Forwarded-For: 192.0.2.1']);
    await greeted(options, `PROXY TCP4 10.0.0.2 10.0.0.3 1 2\r\n${upgrade}`);
    await expectAddress('192.0.2.1');
    await socket.close();
    await harness.stop();
    await greeted(options, `PROXY TCP4 203.0.113.9 10.0.0.3 1 2\r\n${upgrade}`);
    await expectAddress('203.0.113.9');
  });

  it('that is no address is counted, and the last good one stands', async () => {
    await greeted({ trustedProxies: ['127.0.0.1'] }, upgradeHead('/', ['X-Forwarded-For: unknown']));
    await expectAddress('127.0.0.1');
    expect(await harness.count('forwarded_for_malformed')).toBe(1);
  });

  it('counts for an upgrade on a connection that has served HTTP for somebody else', async () => {
    harness = await WorkerHarness.start(APP, { trustedProxies: ['127.0.0.1'] });
    socket = await harness.connect();
    socket.writeText('GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n');
    expect(await socket.readHead()).toMatch(/^HTTP\/1\.1 200 /);
    // The hook reads the header itself: the next request may be somebody else's.
    expect((await socket.read('127.0.0.1'.length)).toString()).toBe('127.0.0.1');
    socket.writeText(upgradeHead('/', ['X-Forwarded-For: 192.0.2.1']));
    expect(await socket.readHead()).toMatch(/^HTTP\/1\.1 101 /);
    await expectAddress('192.0.2.1');
  });
});
