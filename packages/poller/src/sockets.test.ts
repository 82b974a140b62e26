import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import net from 'node:net';
import { constants } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { program, run } from './fixtures/child.ts';
import { Rig } from './fixtures/rig.ts';
import {
  accept,
  ADDRESS_BYTES,
  closeDescriptor,
  connect,
  descriptorPair,
  Interest,
  listen,
  localAddress,
  outstandingBytes,
  peerUser,
  PollFlag,
  socketError,
  terminateDescriptor,
  unreadBytes,
} from './index.ts';

/** The largest that the kernel makes for loopback. */
const SEGMENT_BYTES = 65_536;

const { EADDRINUSE, EADDRNOTAVAIL, EBADF, ECONNREFUSED, EMFILE, ENOTSOCK } = constants.errno;

function hex(value: number): string {
  return value.toString(16).toUpperCase().padStart(4, '0');
}

describe('listen', () => {
  const descriptors: number[] = [];
  afterEach(() => descriptors.splice(0).forEach(closeDescriptor));

  it('throws a system error when the address is taken', () => {
    const first = listen({ host: '127.0.0.1', port: 0 });
    descriptors.push(first);
    const { port } = localAddress(first);
    expect(() => listen({ host: '127.0.0.1', port })).toThrow(
      expect.objectContaining({
        message: `listen EADDRINUSE 127.0.0.1:${port}`,
        code: 'EADDRINUSE',
        errno: -EADDRINUSE,
        syscall: 'listen',
      }),
    );
  });

  it('throws a system error when the address is not of this host', () => {
    expect(() => listen({ host: '2001:db8::1', port: 8080 })).toThrow(
      'listen EADDRNOTAVAIL [2001:db8::1]:8080',
    );
  });

  it('refuses a host that is no address', () => {
    expect(() => listen({ host: 'localhost', port: 0 })).toThrow(
      'host must be a numeric IPv4 or IPv6 address, got "localhost"',
    );
    expect(() => listen({ host: '127.0.0.1', port: 65_536 })).toThrow(TypeError);
  });

  it('shares a port with reusePort only', () => {
    const first = listen({ host: '127.0.0.1', port: 0, reusePort: true });
    descriptors.push(first);
    const { port } = localAddress(first);
    descriptors.push(listen({ host: '127.0.0.1', port, reusePort: true }));
    expect(localAddress(descriptors.at(1)!)).toEqual({ address: '127.0.0.1', port });
  });

  it('takes IPv4 and IPv6 on ::, and writes both peer addresses', async () => {
    const listener = listen({ host: '::', port: 0 });
    descriptors.push(listener);
    const { address, port } = localAddress(listener);
    expect(address).toBe('::');
    for (const [host, expected] of [
      ['127.0.0.1', '00000000000000000000ffff7f000001'],
      ['::1', '00000000000000000000000000000001'],
    ] as const) {
      const client = net.connect(port, host);
      await once(client, 'connect');
      const fds = new Int32Array(2);
      const addresses = Buffer.alloc(2 * ADDRESS_BYTES, 0xee);
      expect(accept(listener, fds, addresses)).toBe(1);
      expect(addresses.toString('hex', 0, 16)).toBe(expected);
      expect(addresses.readUInt16BE(16)).toBe(client.localPort);
      expect(addresses.toString('hex', 18)).toBe('ee'.repeat(ADDRESS_BYTES));
      terminateDescriptor(fds.at(0)!);
      client.destroy();
    }
  });

  it('keeps no more than its backlog waiting, and takes the others when there is room', async () => {
    const listener = listen({ host: '127.0.0.1', port: 0, backlog: 3 });
    const { port } = localAddress(listener);
    let connected = 0;
    const clients = Array.from({ length: 8 }, () =>
      net.createConnection({ host: '127.0.0.1', port }, () => void connected++),
    );
    // The kernel takes one more than it is told (listen(2) on Linux), and lets the SYNs of the others be sent again.
    await expect.poll(() => connected).toBe(4);
    const fds = new Int32Array(8);
    const addresses = new Uint8Array(8 * ADDRESS_BYTES);
    expect(accept(listener, fds, addresses)).toBe(4);
    expect(connected).toBe(4);
    await expect.poll(() => connected).toBe(8);
    for (const client of clients) client.destroy();
    for (const fd of fds.subarray(0, 4)) closeDescriptor(fd);
    closeDescriptor(listener);
  });

  /** The pending timer of an accepted socket that is idle, and its seconds: '02' is keepalive, '00' none (proc_net_tcp). */
  async function timerOf(
    options: { keepAliveSeconds?: number } = {},
  ): Promise<[kind: string, seconds: number]> {
    const listener = listen({ host: '127.0.0.1', port: 0, ...options });
    descriptors.push(listener);
    const { port } = localAddress(listener);
    const client = net.connect(port, '127.0.0.1');
    await once(client, 'connect');
    const fds = new Int32Array(1);
    accept(listener, fds, new Uint8Array(ADDRESS_BYTES));
    // Columns 2 and 3 are the local and the remote port, 6 the timer.
    const line = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((text) => text.trim().split(/\s+/))
      .find(
        ([, local, remote]) => local?.endsWith(hex(port)) && remote?.endsWith(hex(client.localPort ?? 0)),
      );
    const [kind = '', ticks = ''] = line!.at(5)!.split(':');
    terminateDescriptor(fds.at(0)!);
    client.destroy();
    return [kind, parseInt(ticks, 16) / 100];
  }

  it('gives accepted sockets its keepalive', async () => {
    const [kind, seconds] = await timerOf({ keepAliveSeconds: 1000 });
    expect(kind).toBe('02');
    expect(seconds).toBeGreaterThan(900);
  });

  it('has no keepalive by default: an idle connection costs the kernel no timer', async () => {
    expect(await timerOf()).toEqual(['00', 0]);
  });

  it('keeps silent connections in the kernel with deferAcceptSeconds', async () => {
    const listener = listen({ host: '127.0.0.1', port: 0, deferAcceptSeconds: 30 });
    descriptors.push(listener);
    const client = net.connect(localAddress(listener).port, '127.0.0.1');
    await once(client, 'connect');
    const fds = new Int32Array(1);
    expect(accept(listener, fds, new Uint8Array(ADDRESS_BYTES))).toBe(0);
    client.write('x');
    await new Promise(setImmediate);
    expect(accept(listener, fds, new Uint8Array(ADDRESS_BYTES))).toBe(1);
    terminateDescriptor(fds.at(0)!);
    client.destroy();
  });
});

describe('accept', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  it('answers no more than there is room for, and 0 when nothing waits', async () => {
    const clients = [];
    for (let index = 0; index < 3; index++) {
      const client = net.connect(rig.port, '127.0.0.1');
      await once(client, 'connect');
      clients.push(client);
    }
    const fds = new Int32Array(2);
    const addresses = new Uint8Array(2 * ADDRESS_BYTES);
    expect(accept(rig.listener, fds, addresses)).toBe(2);
    fds.forEach(terminateDescriptor);
    expect(accept(rig.listener, fds, addresses)).toBe(1);
    terminateDescriptor(fds.at(0)!);
    expect(accept(rig.listener, fds, addresses)).toBe(0);
    for (const client of clients) client.destroy();
  });

  it('answers -errno for what is no listener', () => {
    expect(accept(1_000_000, new Int32Array(1), new Uint8Array(ADDRESS_BYTES))).toBe(-EBADF);
  });

  it('answers -EMFILE at the descriptor limit, and the connection waits', async () => {
    const ending = await run('sh', [
      '-c',
      'ulimit -n 64 && exec "$0" "$1"',
      process.execPath,
      program('descriptor-limit.mjs'),
    ]);
    expect(ending).toMatchObject({ code: 0, signal: null });
    expect(JSON.parse(ending.output)).toMatchObject({ acceptedAtLimit: -EMFILE, acceptedAfter: 1 });
  });

  it('is asked for by an entry that carries the id of the listener', async () => {
    expect(rig.poller.watchDescriptor(rig.listener, 77, Interest.readable)).toBe(0);
    const client = net.connect(rig.port, '127.0.0.1');
    await rig.until(() => rig.batches.length > 0, 'the listener reports');
    expect(rig.batches.at(0)).toMatchObject([{ slot: 77, flags: PollFlag.descriptor | PollFlag.readable }]);
    expect(rig.poller.unwatchDescriptor(rig.listener)).toBe(0);
    const before = rig.batches.length;
    await once(client, 'connect');
    await new Promise(setImmediate);
    expect(rig.batches).toHaveLength(before);
    client.destroy();
  });
});

describe('connect', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig();
  });
  afterEach(() => rig.dispose());

  it('becomes writable when it is done, from the source address that was asked for', async () => {
    const fd = connect({ host: '127.0.0.1', port: rig.port, sourceAddress: '127.0.0.9' });
    expect(fd).toBeGreaterThan(0);
    rig.fds[0] = fd;
    rig.poller.watch(0, Interest.writable);
    rig.onBatch = () => rig.poller.setInterest(0, Interest.readable);
    await rig.event(0, PollFlag.writable);
    expect(socketError(fd)).toBe(0);
    const fds = new Int32Array(1);
    const addresses = Buffer.alloc(ADDRESS_BYTES);
    expect(accept(rig.listener, fds, addresses)).toBe(1);
    expect(addresses.toString('hex', 0, 16)).toBe('00000000000000000000ffff7f000009');
    expect(localAddress(fd)).toEqual({ address: '127.0.0.9', port: addresses.readUInt16BE(16) });
    terminateDescriptor(fds.at(0)!);
  });

  it('comes from the source port that was asked for, which it does not share', () => {
    const fd = connect({ host: '127.0.0.1', port: rig.port, sourceAddress: '127.0.0.9' });
    const { port: taken } = localAddress(fd);
    const again = { host: '127.0.0.1', port: rig.port, sourceAddress: '127.0.0.9', sourcePort: taken };
    expect([-EADDRINUSE, -EADDRNOTAVAIL]).toContain(connect(again));
    const other = connect({ ...again, sourceAddress: '127.0.0.10' });
    expect(localAddress(other)).toEqual({ address: '127.0.0.10', port: taken });
    terminateDescriptor(fd);
    terminateDescriptor(other);
  });

  it('reports a refused connection as an error of the row', async () => {
    const listener = listen({ host: '127.0.0.1', port: 0 });
    const { port } = localAddress(listener);
    closeDescriptor(listener);
    rig.fds[0] = connect({ host: '127.0.0.1', port });
    rig.poller.watch(0, Interest.writable);
    expect(await rig.event(0, PollFlag.error)).toMatchObject({ length: ECONNREFUSED });
  });

  it('answers -errno when there is no route to try', () => {
    expect(connect({ host: '127.0.0.1', port: rig.port, sourceAddress: '192.0.2.1' })).toBe(
      -constants.errno.EADDRNOTAVAIL,
    );
    expect(() => connect({ host: '127.0.0.1', port: rig.port, sourceAddress: '::1' })).toThrow(TypeError);
  });
});

describe('what the kernel takes for a client that does not read', () => {
  it.each([
    { bound: 'sendBufferBytes, twice', options: { sendBufferBytes: 65_536, notSentLowatBytes: 0 } },
    { bound: 'notSentLowatBytes', options: { sendBufferBytes: 0, notSentLowatBytes: 16_384 } },
  ])('is bounded by $bound, and one segment', async ({ options }) => {
    const rig = new Rig(8, {}, options);
    const { client, slot } = await rig.connect();
    await rig.fill(slot, client);
    const limit = 2 * options.sendBufferBytes + options.notSentLowatBytes + SEGMENT_BYTES;
    // What has arrived is acknowledged a little later.
    await expect.poll(() => outstandingBytes(rig.fds.at(slot)!)).toBeLessThanOrEqual(limit);
    rig.dispose();
  });
});

describe('unreadBytes', () => {
  it('counts what has arrived and was not received', async () => {
    const rig = new Rig();
    const { client, slot } = await rig.connect();
    const fd = rig.fds.at(slot)!;
    expect(unreadBytes(fd)).toBe(0);
    client.write('seven b');
    await expect.poll(() => unreadBytes(fd)).toBe(7);
    rig.poller.watch(slot, Interest.readable);
    await rig.event(slot, PollFlag.data);
    expect(unreadBytes(fd)).toBe(0);
    expect(unreadBytes(1_000_000)).toBe(-EBADF);
    rig.dispose();
  });
});

describe('outstandingBytes', () => {
  it('counts what the peer has not acknowledged', async () => {
    const rig = new Rig();
    const { client, slot } = await rig.connect();
    const fd = rig.fds.at(slot)!;
    expect(outstandingBytes(fd)).toBe(0);
    await rig.fill(slot, client);
    expect(outstandingBytes(fd)).toBeGreaterThan(0);
    expect(outstandingBytes(1_000_000)).toBe(-EBADF);
    expect([EBADF, ENOTSOCK]).toContain(socketError(1_000_000));
    rig.dispose();
  });
});

describe('peerUser', () => {
  it('is the user at the other end of a Unix socket, and of no other one', () => {
    const [one, other] = descriptorPair();
    expect(peerUser(one)).toBe(process.getuid?.());
    closeDescriptor(one);
    closeDescriptor(other);
    expect(peerUser(1_000_000)).toBe(-EBADF);
  });
});
