import { eventually, RawClient, TestClient } from '@roost/testing';
import type { FarmProcess } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import {
  connect,
  connectMany,
  counter,
  endAfterTest,
  expectEcho,
  get,
  info,
  startFarm,
  SWITCHING,
  upgradeRequest,
} from './harness/system.ts';

/** A TCP connection from a given address. */
async function connectFrom(farm: FarmProcess, localAddress: string, host = '127.0.0.1'): Promise<RawClient> {
  const client = await RawClient.connect(farm.port, { host, localAddress });
  endAfterTest(() => client.close());
  return client;
}

interface Attempt {
  readonly client: RawClient | undefined;
  /** `reset`: closed without an answer. */
  readonly outcome: '101' | '429' | '503' | 'reset';
}

/** Asks for an upgrade, from an address. */
async function attempt(
  farm: FarmProcess,
  localAddress: string,
  { host = '127.0.0.1', path = '/echo', head = '', headers = {} } = {},
): Promise<Attempt> {
  let client: RawClient;
  try {
    client = await connectFrom(farm, localAddress, host);
  } catch {
    return { client: undefined, outcome: 'reset' };
  }
  client.writeText(head + upgradeRequest(path, headers));
  try {
    const answer = await client.readHead();
    if (answer.startsWith(SWITCHING)) return { client, outcome: '101' };
    const status = /^HTTP\/1\.1 (429|503) /.exec(answer)?.[1];
    if (status === undefined || !/^Retry-After: \d+\r$/m.test(answer)) throw new Error(answer);
    return { client, outcome: status === '429' ? '429' : '503' };
  } catch (error) {
    // The kernel says RST if the request was there already when the farm closed, else FIN.
    expect(['ECONNRESET', undefined], String(error)).toContain((await client.closed).errorCode);
    expect(client.received, String(error)).toHaveLength(0);
    return { client, outcome: 'reset' };
  }
}

async function attempts(farm: FarmProcess, localAddress: string, count: number): Promise<Attempt[]> {
  return Promise.all(Array.from({ length: count }, () => attempt(farm, localAddress)));
}

/** As {@link attempt}, of a client that a proxy at 127.0.0.2 speaks for. */
function proxied(farm: FarmProcess, client: string): Promise<Attempt> {
  return attempt(farm, '127.0.0.2', { head: `PROXY TCP4 ${client} 192.0.2.254 40000 80\r\n` });
}

/** How often each outcome was met. */
function tally(all: readonly Attempt[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { outcome } of all) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

function isOpen(client: RawClient | undefined): boolean {
  return client?.isClosed === false;
}

/** One at a time, so that each is judged after the one before. */
async function outcomes(farm: FarmProcess, localAddress: string, count: number): Promise<string[]> {
  const all: string[] = [];
  for (let index = 0; index < count; index++) all.push((await attempt(farm, localAddress)).outcome);
  return all;
}

describe('acceptRate', () => {
  it('makes clients wait in the listen queue, and refuses nobody', async () => {
    const farm = await startFarm(['--accept-rate', '20']);
    const startedAt = performance.now();
    const clients = await connectMany(farm, '/echo', 35);
    // 20 at once, then 20 a second.
    expect(performance.now() - startedAt).toBeGreaterThan(700);
    for (const client of clients) await expectEcho(client, 'here');
    const { counters, num_clients } = await info(farm);
    expect(num_clients).toBe(35);
    expect(counters['accept_rate_pauses']).toBeGreaterThan(0);
    expect(counters['accept_errors']).toBe(0);
  });
});

describe('maxConnectionsPerAddress', () => {
  it('refuses one more with 429 and Retry-After, for HTTP too, and other addresses nothing', async () => {
    const farm = await startFarm(['--max-connections-per-address', '3']);
    const first = await attempt(farm, '127.0.0.2');
    expect(await outcomes(farm, '127.0.0.2', 4)).toEqual(['101', '101', '429', '429']);
    const http = await connectFrom(farm, '127.0.0.2');
    http.writeText('GET /health/live HTTP/1.1\r\nHost: roost.test\r\n\r\n');
    expect(await http.readHead()).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/);
    expect(await outcomes(farm, '127.0.0.3', 3)).toEqual(['101', '101', '101']);

    await first.client!.close();
    await eventually(async () => expect((await attempt(farm, '127.0.0.2')).outcome).toBe('101'));
    const { counters, num_clients } = await info(farm);
    expect(num_clients).toBe(6);
    expect(counters['refused_address_connections']).toBe(counters['refusals_answered']);
    expect(counters['refused_address_connections']).toBeGreaterThanOrEqual(3);
    expect(counters['refusals_closed']).toBe(0);
  });

  it('counts IPv6 by /64, and IPv4 on a listener of both as IPv4', async () => {
    const farm = await startFarm(['--host', '::', '--max-connections-per-address', '2']);
    expect(await outcomes(farm, '127.0.0.2', 3)).toEqual(['101', '101', '429']);
    expect(await outcomes(farm, '127.0.0.3', 1)).toEqual(['101']);
    const viaIPv6 = async (): Promise<string> => (await attempt(farm, '::1', { host: '::1' })).outcome;
    expect([await viaIPv6(), await viaIPv6(), await viaIPv6()]).toEqual(['101', '101', '429']);
  });

  it('is not for trusted proxies, whose clients are many', async () => {
    const farm = await startFarm([
      '--max-connections-per-address',
      '1',
      '--accept-rate-per-address',
      '1',
      '--trusted-proxies',
      '127.0.0.2,127.0.0.1',
    ]);
    expect(tally(await attempts(farm, '127.0.0.2', 10))).toEqual({ '101': 10 });
    expect(await outcomes(farm, '127.0.0.3', 2)).toEqual(['101', '429']);
  });

  it('takes back what a dead worker had', async () => {
    const farm = await startFarm(['--max-connections-per-address', '4']);
    expect(await outcomes(farm, '127.0.0.2', 5)).toEqual(['101', '101', '101', '101', '429']);
    const [victim] = farm.workers;
    process.kill(victim!.pid, 'SIGKILL');
    await farm.log(({ msg, worker, pid }) => msg === 'worker ready' && worker === 0 && pid !== victim!.pid);
    expect(await outcomes(farm, '127.0.0.2', 3)).toEqual(['101', '101', '429']);
  });
});

describe('acceptRatePerAddress', () => {
  it('refuses who comes faster, with 429, and lets in again later', async () => {
    const farm = await startFarm(['--accept-rate-per-address', '5']);
    const startedAt = performance.now();
    const counts = tally(await attempts(farm, '127.0.0.2', 40));
    const seconds = (performance.now() - startedAt) / 1000;
    // What a second allows at once, and what the time since then has added.
    expect(counts['101']).toBeGreaterThanOrEqual(5);
    expect(counts['101']).toBeLessThanOrEqual(5 + Math.ceil(seconds * 5));
    expect(counts['429']).toBe(40 - counts['101']!);
    expect((await attempt(farm, '127.0.0.3')).outcome).toBe('101');
    await eventually(async () => expect((await attempt(farm, '127.0.0.2')).outcome).toBe('101'));
    expect(await counter(farm, 'refused_address_rate')).toBeGreaterThanOrEqual(counts['429'] ?? 0);
  });
});

describe('a flood from one address', () => {
  it('is closed at once beyond maxRefusalsPerSecond', async () => {
    const farm = await startFarm(['--max-connections-per-address', '2', '--max-refusals-per-second', '5']);
    const counts = tally(await attempts(farm, '127.0.0.2', 200));
    expect(counts['101']).toBe(2);
    expect(counts['429']).toBeGreaterThanOrEqual(5);
    expect(counts['reset']).toBeGreaterThan(100);
    const { counters } = await info(farm);
    expect(counters['refused_address_connections']).toBe(198);
    expect(counters['refusals_answered']).toBe(counts['429'] ?? 0);
    expect(counters['refusals_closed']).toBe(counts['reset']);
  });

  it('that says nothing takes no room of others, nor that of health checks', async () => {
    const farm = await startFarm([
      '--max-connections',
      '6',
      '--reserved-connections',
      '4',
      '--max-connections-per-address',
      '1',
      // Where the questions of this spec come from.
      '--trusted-proxies',
      '127.0.0.1',
    ]);
    expect((await attempt(farm, '127.0.0.2')).outcome).toBe('101');
    // One may be reset before it has noticed that it was connected.
    const silent = await Promise.all(
      Array.from({ length: 40 }, () => connectFrom(farm, '127.0.0.2').catch(() => undefined)),
    );
    // Two of each worker's four places; the others are closed.
    await eventually(() => expect(silent.filter(isOpen)).toHaveLength(4));
    for (let host = 3; host <= 7; host++) {
      expect((await attempt(farm, `127.0.0.${host}`)).outcome, `127.0.0.${host}`).toBe('101');
    }
    expect((await attempt(farm, '127.0.0.8')).outcome).toBe('503');
    expect((await get(farm, '/health/live')).status).toBe(200);
    expect(silent.filter(isOpen)).toHaveLength(4);
    expect((await info(farm)).num_clients).toBe(6);
  });
});

describe('clients behind a trusted proxy', () => {
  const behindProxy = ['--proxy-protocol', 'optional', '--trusted-proxies', '127.0.0.2'];

  it('are refused with 429 by their own address, whichever worker sees them', async () => {
    const farm = await startFarm([...behindProxy, '--max-connections-per-address', '4']);
    const clients: Attempt[] = [];
    for (let index = 0; index < 4; index++) clients.push(await proxied(farm, '198.51.100.1'));
    expect(tally(clients)).toEqual({ '101': 4 });
    // Each worker has two and learns of the other's within a moment; who was let in meanwhile goes again.
    const isFull = async (): Promise<boolean> => {
      const pair = [await proxied(farm, '198.51.100.1'), await proxied(farm, '198.51.100.1')];
      for (const { client } of pair) await client?.close();
      return pair.every(({ outcome }) => outcome === '429');
    };
    await eventually(async () => expect(await isFull()).toBe(true));
    // Whichever way the proxy names it.
    const headers = { 'X-Forwarded-For': '198.51.100.1' };
    await eventually(async () => {
      const { client, outcome } = await attempt(farm, '127.0.0.2', { headers });
      await client?.close();
      expect(outcome).toBe('429');
    });
    expect((await proxied(farm, '198.51.100.2')).outcome).toBe('101');
    expect(await counter(farm, 'refused_address_connections')).toBeGreaterThanOrEqual(2);
    expect(await counter(farm, 'refusals_closed')).toBe(0);

    for (const { client } of clients.slice(0, 2)) await client!.close();
    await eventually(async () => expect((await proxied(farm, '198.51.100.1')).outcome).toBe('101'));
  });

  it('of a worker that dies count no more', async () => {
    const farm = await startFarm([...behindProxy, '--max-connections-per-address', '1']);
    const first = await attempt(farm, '127.0.0.2', {
      path: '/where',
      head: 'PROXY TCP4 198.51.100.1 192.0.2.254 40000 80\r\n',
    });
    const victim = Number(
      (await first.client!.read(2 + String(farm.workers[0]!.pid).length)).toString().slice(2),
    );
    expect(farm.workers.map(({ pid }) => pid)).toContain(victim);
    process.kill(victim, 'SIGKILL');
    await farm.log(({ msg, pid }) => msg === 'worker ready' && !farm.workers.some((one) => one.pid === pid));
    await eventually(async () => expect((await proxied(farm, '198.51.100.1')).outcome).toBe('101'));
  });
});

describe('a worker that lags', () => {
  it('is given nothing while another has room, and serves what it had', async () => {
    const farm = await startFarm();
    const { pid: stopped } = farm.workers[0]!;
    process.kill(stopped, 'SIGSTOP');
    // One for each worker: the stopped one leaves its own unacknowledged.
    const early = await Promise.all(['127.0.0.2', '127.0.0.3'].map((address) => connectFrom(farm, address)));
    for (const client of early) client.writeText(upgradeRequest('/echo'));
    await farm.log(({ msg }) => msg === 'worker lags; others are preferred');
    for (let index = 0; index < 10; index++) {
      const client = await TestClient.connect(`${farm.url}/where`);
      endAfterTest(() => client.terminate());
      expect(Number((await client.nextMessage()).text)).not.toBe(stopped);
    }
    await eventually(() => expect(early.filter(({ received }) => received.length === 0)).toHaveLength(1));
    process.kill(stopped, 'SIGCONT');
    for (const client of early) expect(await client.readHead()).toContain(SWITCHING);
    // It has the fewest connections, and gets the next, once the master knows that it has caught up.
    await eventually(async () => {
      const next = await connect(farm, '/where');
      expect(Number((await next.nextMessage()).text)).toBe(stopped);
    });
    expect(await counter(farm, 'worker_lags')).toBeGreaterThanOrEqual(1);
  });
});
