import { afterEach, describe, expect, it, vi } from 'vitest';
import { accept, type App } from '../../api/app.ts';
import type { Connection } from '../../api/connection.ts';
import {
  poll,
  textFrame,
  upgradeHead,
  WorkerHarness,
  type HarnessOptions,
} from '../fixtures/worker-harness.ts';

let harness: WorkerHarness;
let connections: Connection[] = [];
const closes: unknown[] = [];

/** In seconds since the epoch. */
function fromNow(seconds: number): number {
  return Date.now() / 1000 + seconds;
}

/** Lives for the seconds that the path says: /0.5; /never has no end. A message sets a new time, or shows the old one. */
const APP: App = {
  upgrade({ path }) {
    const seconds = Number(path.slice(1));
    return accept(Number.isNaN(seconds) ? {} : { expiresAt: fromNow(seconds) });
  },
  open: (connection) => void connections.push(connection),
  message(connection, data) {
    connection.expiresAt = String(data) === 'never' ? undefined : fromNow(Number(data));
    connection.send('changed');
  },
  close: (_connection, code) => void closes.push(code),
};

async function start(options: HarnessOptions = {}): Promise<void> {
  connections = [];
  closes.length = 0;
  harness = await WorkerHarness.start(APP, options);
}

afterEach(async () => {
  vi.restoreAllMocks();
  await harness.stop();
});

describe('a connection whose time is over', () => {
  it('is closed with 4003 and counted, after its time and within about a second', async () => {
    await start();
    const client = await harness.client('/1.2');
    const other = await harness.client('/never');
    const opened = performance.now();
    expect(await client.closed).toEqual({ code: 4003, reason: 'the token has expired' });
    expect(performance.now() - opened).toBeGreaterThan(1100);
    await harness.counts('closed_token_expired', 1);
    await poll(() => closes).toEqual([4003]);
    expect(other.isClosed).toBe(false);
    await other.terminate();
  });

  it('is closed although it is awake in the middle of a message', async () => {
    await start();
    const client = await harness.open('/0.2');
    // The first fragment of a text.
    client.write(Buffer.concat([Buffer.from([0x01]), textFrame('half').subarray(1)]));
    await harness.counts('wakes', 1);
    expect((await client.read(4)).toString('hex')).toMatch(/^88..0fa3$/);
    await harness.counts('closed_token_expired', 1);
    await client.close();
  });

  it('takes all with it whose time is over, in more than one turn of the event loop', async () => {
    await start({ capacity: 700 });
    const clients = await Promise.all(Array.from({ length: 600 }, () => harness.open('/0.1')));
    await harness.counts('closed_token_expired', 600);
    for (const client of clients) expect((await client.read(4)).toString('hex')).toMatch(/^88..0fa3$/);
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe('the time of a connection', () => {
  it('can be moved and taken away by the app while it lives', async () => {
    await start();
    const [first, second] = [await harness.client('/0.2'), await harness.client('/100')];
    first.send('never');
    expect((await first.nextMessage()).text).toBe('changed');
    expect(connections[0]?.expiresAt).toBeUndefined();
    expect(connections[1]?.expiresAt).toBeGreaterThan(fromNow(99));
    expect(connections[1]?.expiresAt).toBeLessThan(fromNow(101));
    second.send('0.1');
    expect(await second.closed).toEqual({ code: 4003, reason: 'the token has expired' });
    expect(first.isClosed).toBe(false);
    await first.terminate();
  });

  it('does not depend on the clock of the system once it is set', async () => {
    await start();
    const [short, long] = [await harness.client('/0.3'), await harness.client('/60')];
    const now = Date.now.bind(Date);
    vi.spyOn(Date, 'now').mockImplementation(() => now() + 24 * 3600 * 1000);
    expect((await short.closed).code).toBe(4003);
    expect(long.isClosed).toBe(false);
    expect(await harness.count('closed_token_expired')).toBe(1);
    await long.terminate();
  });

  it('ends with the connection: who takes over its row does not inherit it', async () => {
    await start({ capacity: 1 });
    await (await harness.client('/0.3')).terminate();
    await poll(() => harness.released).toBe(1);
    const next = await harness.client('/never');
    expect(connections[1]?.expiresAt).toBeUndefined();
    await next.terminate();
  });

  it('is refused when it is in milliseconds, or no number', async () => {
    await start();
    const client = await harness.client('/never');
    const [connection] = connections;
    if (connection === undefined) throw new Error('no connection is open');
    expect(() => (connection.expiresAt = Date.now())).toThrow(/in seconds since the epoch, .* divide/);
    expect(() => (connection.expiresAt = Number.NaN)).toThrow(RangeError);
    expect(connection.expiresAt).toBeUndefined();
    await client.terminate();
    const refused = await harness.connect();
    refused.writeText(upgradeHead('/1e11'));
    expect(await refused.readHead()).toMatch(/^HTTP\/1\.1 500 /);
    await refused.close();
  });
});
