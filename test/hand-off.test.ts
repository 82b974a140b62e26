import { eventually, patient, RawClient, textFrame } from '@roost/testing';
import type { FarmProcess, TestClient } from '@roost/testing';
import { describe, expect, it } from 'vitest';
import { acceptedSockets, cpusOf, socketsOf, threadsOf } from './harness/processes.ts';
import {
  connect,
  connectMany,
  connectRaw,
  counter,
  endAfterTest,
  expectEcho,
  get,
  info,
  startFarm,
  SWITCHING,
  upgradeRequest,
} from './harness/system.ts';

/** The next message of the server, a text in one frame. */
async function readText(client: RawClient): Promise<string> {
  const { first, payload } = await client.readFrame();
  expect(first).toBe(0x81);
  return payload.toString();
}

/** How often a status line stands in what was received. */
function answersOf(client: RawClient): number {
  return client.received.toString('latin1').split('HTTP/1.1 ').length - 1;
}

/** Opens `count` connections that ask for /where at once. */
async function storm(farm: FarmProcess, count: number): Promise<RawClient[]> {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const client = await connectRaw(farm.port);
      client.writeText(upgradeRequest('/where'));
      return client;
    }),
  );
}

/** Reads the 101 and the process that serves, and has a message echoed. */
async function served(client: RawClient): Promise<number> {
  expect(await client.readHead()).toContain(SWITCHING);
  const pid = Number(await readText(client));
  client.write(textFrame('are you there'));
  expect(await readText(client)).toBe('are you there');
  return pid;
}

/** Clients of /where with the process that serves each. */
async function whereabouts(farm: FarmProcess, count: number): Promise<Map<TestClient, number>> {
  const clients = await connectMany(farm, '/where', count);
  const pids = new Map<TestClient, number>();
  for (const client of clients) pids.set(client, Number((await client.nextMessage()).text));
  return pids;
}

function stop(pid: number): void {
  process.kill(pid, 'SIGSTOP');
  endAfterTest(async () => {
    try {
      process.kill(pid, 'SIGCONT');
    } catch {
      // It was killed meanwhile, as it should be.
    }
  });
}

describe('placement', () => {
  it('spreads connections evenly over the workers, also in a burst', async () => {
    const farm = await startFarm(['--workers', '3']);
    await connectMany(farm, '/echo', 90);
    const { workers, num_clients } = await info(farm);
    expect(num_clients).toBe(90);
    // The request for these figures was a connection, too.
    for (const { connections } of workers) expect(Math.abs(connections - 30)).toBeLessThanOrEqual(1);
  });

  it('fills the gap that clients leave', async () => {
    const farm = await startFarm();
    const pids = await whereabouts(farm, 40);
    const [first] = farm.workers;
    await Promise.all([...pids].filter(([, pid]) => pid === first!.pid).map(([client]) => client.close()));
    await eventually(async () => expect((await info(farm)).num_clients).toBe(20));
    const added = await whereabouts(farm, 10);
    expect(new Set(added.values())).toEqual(new Set([first!.pid]));
  });
});

describe('a worker', () => {
  it('has its main thread on one CPU of its own, and V8 its threads on all', async () => {
    const farm = await startFarm();
    const pinned = farm.workers.map(({ pid }) => cpusOf(pid));
    for (const cpus of pinned) expect(cpus).toMatch(/^\d+$/);
    expect(pinned).toEqual(farm.workers.map(({ cpu }) => String(cpu)));
    const allowed = cpusOf(process.pid);
    // The master is pinned nowhere.
    expect(cpusOf(farm.pid)).toBe(allowed);
    if (/^\d+$/.test(allowed)) return;
    expect(new Set(pinned).size).toBe(pinned.length);
    for (const { pid } of farm.workers) {
      const others = threadsOf(pid).filter((thread) => thread !== pid);
      expect(others.map((thread) => cpusOf(pid, thread))).toContain(allowed);
    }
  });

  it('holds its own clients only, and the master holds none', async () => {
    const farm = await startFarm();
    await connectMany(farm, '/echo', 30);
    const accepted = acceptedSockets(farm.port);
    expect(accepted.length).toBeGreaterThanOrEqual(30);
    await eventually(() => {
      const ofMaster = socketsOf(farm.pid);
      expect(accepted.filter((inode) => ofMaster.has(inode))).toEqual([]);
    });
    const [one, two] = farm.workers.map(({ pid }) => socketsOf(pid));
    const ofOne = accepted.filter((inode) => one!.has(inode));
    const ofTwo = accepted.filter((inode) => two!.has(inode));
    expect(ofOne.filter((inode) => two!.has(inode))).toEqual([]);
    // Half of them each, unless one worker lagged for a moment and was passed over.
    expect(ofOne.length + ofTwo.length).toBe(accepted.length);
    expect(Math.min(ofOne.length, ofTwo.length)).toBeGreaterThan(0);
  });

  it('started anew holds none of the clients of the others', async () => {
    const farm = await startFarm();
    await connectMany(farm, '/echo', 20);
    const [first, second] = farm.workers;
    process.kill(first!.pid, 'SIGKILL');
    const again = await farm.log(
      ({ msg, worker, pid }) => msg === 'worker ready' && worker === 0 && pid !== first!.pid,
    );
    const held = socketsOf(Number(again['pid']));
    const ofSecond = socketsOf(second!.pid);
    const accepted = acceptedSockets(farm.port).filter((inode) => ofSecond.has(inode));
    expect(accepted.length).toBeGreaterThan(0);
    expect(accepted.filter((inode) => held.has(inode))).toEqual([]);
  });

  it('hands no client down to a program that its application starts', async () => {
    const farm = await startFarm(['--workers', '1']);
    await connectMany(farm, '/echo', 10);
    const { body } = await get(farm, '/spawn');
    const child = Number(body);
    // Nor the channels to the master, which would then never see the worker's end.
    expect(socketsOf(farm.workers[0]!.pid).size).toBeGreaterThanOrEqual(12);
    expect(socketsOf(child)).toEqual(new Set());
    process.kill(child, 'SIGKILL');
  });
});

describe('a worker that is killed', () => {
  it('takes its own clients with it, and the others notice nothing', async () => {
    const farm = await startFarm();
    const pids = await whereabouts(farm, 40);
    const victim = farm.workers[0]!.pid;
    const lost = [...pids].filter(([, pid]) => pid === victim).map(([client]) => client);
    const kept = [...pids].filter(([, pid]) => pid !== victim).map(([client]) => client);
    expect([lost.length, kept.length]).toEqual([20, 20]);

    process.kill(victim, 'SIGKILL');
    const recovery = { isOver: false };
    const echoing = kept.map(async (client, index) => {
      let count = 0;
      for (; !recovery.isOver; count++) await expectEcho(client, `${index}:${count}`);
      return count;
    });
    for (const client of lost) expect((await client.closed).code).toBe(1006);
    await farm.log(({ msg, worker, pid }) => msg === 'worker ready' && worker === 0 && pid !== victim);
    recovery.isOver = true;
    for (const count of await Promise.all(echoing)) expect(count).toBeGreaterThan(0);
    expect(kept.filter(({ isClosed }) => isClosed)).toEqual([]);
    expect(await counter(farm, 'worker_restarts')).toBe(1);
  });

  it('is replaced at once, and its successor serves', async () => {
    const farm = await startFarm();
    const victim = farm.workers[0]!.pid;
    process.kill(victim, 'SIGKILL');
    expect(await farm.log(({ msg }) => msg === 'worker died')).toMatchObject({
      worker: 0,
      signal: 'SIGKILL',
    });
    expect(await farm.log(({ msg }) => msg === 'starting worker again')).toMatchObject({ delayMs: 0 });
    const { pid } = await farm.log(
      (line) => line['msg'] === 'worker ready' && line['worker'] === 0 && line['pid'] !== victim,
    );
    const pids = await whereabouts(farm, 10);
    expect([...pids.values()].filter((server) => server === pid)).toHaveLength(5);
    const { workers, num_clients } = await info(farm);
    expect(num_clients).toBe(10);
    expect(workers[0]).toMatchObject({ pid, restarts: 1, state: 'ready', connections: 5 });
  });

  it('gives whoever it had not read to another: every one of them is served, and once', async () => {
    const farm = await startFarm();
    const victim = farm.workers[0]!.pid;
    stop(victim);
    const clients = await storm(farm, 60);
    // Half of them wait for the stopped worker, which has read none of them.
    await eventually(async () => {
      const answered = clients.filter((client) => answersOf(client) === 1);
      expect(answered).toHaveLength(30);
    });
    process.kill(victim, 'SIGKILL');
    const servers = await Promise.all(clients.map(served));
    expect(servers).not.toContain(victim);
    expect(clients.map(answersOf)).toEqual(clients.map(() => 1));
    expect(await counter(farm, 'handoffs_placed_again')).toBeGreaterThanOrEqual(30);
    expect(await counter(farm, 'handoffs_lost')).toBe(0);
  });

  it('in the middle of a storm leaves nobody waiting: each is served once, or was its client and is closed', async () => {
    const farm = await startFarm();
    const pids = await whereabouts(farm, 10);
    const victim = farm.workers[0]!.pid;
    const kept = [...pids].filter(([, pid]) => pid !== victim).map(([client]) => client);

    const storming: Promise<RawClient[]>[] = [];
    for (let wave = 0; wave < 10; wave++) {
      storming.push(storm(farm, 40));
      if (wave === 5) process.kill(victim, 'SIGKILL');
      // Those who were connected before echo all the while.
      await Promise.all(kept.map((client) => expectEcho(client, `wave ${wave}`)));
    }
    const clients = (await Promise.all(storming)).flat();
    const outcomes = await Promise.all(
      clients.map(async (client) => {
        try {
          return await served(client);
        } catch (error) {
          // Only its end excuses a client from being served.
          if (client.isClosed) return 'closed';
          throw error;
        }
      }),
    );
    const closed = outcomes.filter((outcome) => outcome === 'closed' || outcome === victim).length;
    expect(outcomes.length).toBe(400);
    expect(closed).toBeLessThan(400);
    for (const client of clients) expect(answersOf(client)).toBeLessThanOrEqual(1);
    // Nobody of another worker was closed.
    const open = clients.filter((_, index) => outcomes[index] !== 'closed' && outcomes[index] !== victim);
    for (const client of open) {
      client.write(textFrame('still here'));
      expect(await readText(client)).toBe('still here');
    }
    expect(await counter(farm, 'handoffs_lost')).toBe(0);
  });
});

describe('a worker that is stopped', () => {
  it('in the middle of a hand-off is killed and replaced, and no client hangs', async () => {
    const farm = await startFarm(['--hand-off-timeout-ms', String(patient(500))]);
    const victim = farm.workers[0]!.pid;
    stop(victim);
    const clients = await storm(farm, 60);
    const servers = await Promise.all(clients.map(served));
    expect(servers).not.toContain(victim);
    expect(clients.map(answersOf)).toEqual(clients.map(() => 1));
    await farm.log(({ msg, pid, reason }) => {
      return msg === 'killing worker' && pid === victim && reason === 'it left a hand-off unacknowledged';
    });
    await farm.log(({ msg, worker, pid }) => msg === 'worker ready' && worker === 0 && pid !== victim);
    expect(await counter(farm, 'worker_kills')).toBe(1);
    expect(await counter(farm, 'handoffs_lost')).toBe(0);
  });

  it('while it is idle is killed after workerTimeoutMs and replaced', async () => {
    const farm = await startFarm(['--worker-timeout-ms', String(patient(2000))]);
    const victim = farm.workers[1]!.pid;
    const client = await connect(farm, '/echo');
    const other = await connect(farm, '/echo');
    stop(victim);
    await farm.log(({ msg, pid, reason }) => {
      return msg === 'killing worker' && pid === victim && reason === 'it was silent';
    });
    await farm.log(({ msg, worker, pid }) => msg === 'worker ready' && worker === 1 && pid !== victim);
    // One of the two was on it.
    await eventually(() => expect(Number(client.isClosed) + Number(other.isClosed)).toBe(1));
    await expectEcho(client.isClosed ? other : client, 'still here');
    await expectEcho(await connect(farm, '/echo'), 'a new one');
  });

  it('for a moment only goes on: whoever was handed to it meanwhile is served by it', async () => {
    const farm = await startFarm();
    const paused = farm.workers[0]!.pid;
    stop(paused);
    const clients = await storm(farm, 20);
    await eventually(() => expect(clients.filter((client) => answersOf(client) === 1)).toHaveLength(10));
    process.kill(paused, 'SIGCONT');
    const servers = await Promise.all(clients.map(served));
    expect(servers.filter((pid) => pid === paused)).toHaveLength(10);
    expect(await counter(farm, 'worker_kills')).toBe(0);
    expect(await counter(farm, 'handoffs_placed_again')).toBe(0);
  });
});
