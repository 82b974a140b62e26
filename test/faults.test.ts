import { eventually, TestClient, type FarmProcess } from '@roost/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultFile, type Fault } from './faults/faults.ts';
import { call, connect, endAfterTest, expectEcho, get, info, startSharedFarm } from './harness/system.ts';

/** Many processes start in these specs, and each starts others. */
const PATIENCE = { deadlineMs: 60_000 };

interface Row extends Fault {
  /** What the log says of it. */
  readonly logged?: string;
  /** The counter that shows it. */
  readonly counted?: string;
}

/** A farm whose processes can be made to fail, and clients that were there before. */
class Rig {
  readonly farm: FarmProcess;
  readonly #faults: FaultFile;
  readonly #killed = new Set<unknown>();
  readonly #clients: { readonly client: TestClient; readonly pid: number }[] = [];

  private constructor(farm: FarmProcess, faults: FaultFile) {
    this.farm = farm;
    this.#faults = faults;
  }

  static async start(workers: number, args: readonly string[] = []): Promise<Rig> {
    const faults = new FaultFile();
    const farm = await startSharedFarm(['--workers', String(workers), ...args], {
      env: faults.env,
      ...PATIENCE,
    });
    const rig = new Rig(farm, faults);
    for (let opened = 0; opened < 2 * workers; opened++) {
      const client = await TestClient.connect(`${farm.url}/where`);
      rig.#clients.push({ client, pid: Number((await client.nextMessage()).text) });
    }
    return rig;
  }

  async pidOf(worker: number): Promise<number> {
    const pid = (await info(this.farm)).workers[worker]?.pid;
    if (pid === undefined) throw new Error(`There is no worker ${worker}.`);
    return pid;
  }

  /** Makes the row come true in a process: `provoke` is done until it has, as often as the row says. */
  async happens(pid: number, row: Row, provoke: () => Promise<unknown>): Promise<void> {
    await this.#mayBeLoggedAgain(row.logged);
    const { counters } = await info(this.farm);
    const from = this.farm.logs.length;
    const before = this.#faults.fired(this.farm, pid);
    await this.#faults.arm(this.farm, pid, row);
    await eventually(
      async () => {
        if (this.#faults.fired(this.farm, pid) - before >= row.times) return true;
        await provoke();
        return this.#faults.fired(this.farm, pid) - before >= row.times;
      },
      { ...PATIENCE, what: `it happens in ${pid} ${row.times} times` },
    );
    const { logged, counted } = row;
    if (logged !== undefined) await this.farm.log(({ msg }) => msg === logged, from);
    if (counted === undefined) return;
    await eventually(async () => {
      expect((await info(this.farm)).counters[counted]).toBeGreaterThan(counters[counted] ?? 0);
    });
  }

  /** The same is logged once a second at the most, and the row before may have been just that. */
  async #mayBeLoggedAgain(logged: string | undefined): Promise<void> {
    const last = this.farm.logs.findLast(({ msg }) => msg === logged);
    const loggedAt = last === undefined ? 0 : Date.parse(String(last['time']));
    await eventually(() => Date.now() - loggedAt > 1000, { what: `"${logged}" may be logged again` });
  }

  /** Kills a worker and waits for the next in its place. */
  async replace(worker: number): Promise<void> {
    const pid = await this.pidOf(worker);
    this.#killed.add(pid);
    process.kill(pid, 'SIGKILL');
    await eventually(async () => ![0, pid].includes(await this.pidOf(worker)), {
      ...PATIENCE,
      what: `worker ${worker} is replaced`,
    });
  }

  /** Every worker serves, who was connected to those that have not ended still is, and whoever comes is served. */
  async goesOn(): Promise<void> {
    await eventually(
      async () => {
        const { workers, readiness } = await info(this.farm);
        expect(new Set(workers.map(({ state }) => state))).toEqual(new Set(['ready']));
        expect(readiness.ready).toBe(true);
      },
      { ...PATIENCE, what: 'all workers are ready' },
    );
    expect((await get(this.farm, '/health/ready')).status).toBe(200);
    const ended = new Set(
      this.farm.logs.filter(({ msg }) => msg === 'worker died').map((line) => line['pid']),
    );
    for (const { client, pid } of this.#clients) {
      if (!ended.has(pid) && !this.#killed.has(pid)) await expectEcho(client, 'still here');
    }
    await expectEcho(await connect(this.farm, '/echo'), 'a new one');
  }

  /** Supervision and the drain work as ever. */
  async end(): Promise<void> {
    try {
      await this.replace(0);
      await this.goesOn();
      await Promise.all(this.#clients.map(({ client }) => client.terminate()));
      expect(await this.farm.stop()).toEqual({ code: 0, signal: null });
    } finally {
      await this.farm.stop();
      this.#faults.remove();
    }
  }
}

/** One farm for the rows of a block, with so many workers; afterwards it must replace a worker and drain. */
function sharedRig(workers: number, args: readonly string[] = []): () => Rig {
  let rig: Rig | undefined;
  beforeAll(async () => {
    rig = await Rig.start(workers, args);
  }, 120_000);
  afterAll(async () => {
    await rig?.end();
  }, 120_000);
  return () => {
    if (rig === undefined) throw new Error('the farm has not started');
    return rig;
  };
}

/** Clients come. Some faults are theirs to bear; what matters is that the next ones are served. */
async function clientsCome(farm: FarmProcess): Promise<void> {
  const clients = await Promise.allSettled(
    Array.from({ length: 8 }, async () => {
      const client = await TestClient.connect(`${farm.url}/echo`);
      endAfterTest(() => client.terminate());
    }),
  );
  expect(clients).toHaveLength(8);
}

/** Rows with titles and their number, which is the worker that they concern where each has its own. */
function titled(rows: readonly Row[]): [string, Row, number][] {
  return rows.map((row, index) => {
    const place = row.caller ?? row.replace?.type;
    const what = row.call === undefined ? `a fault in ${place}` : `${row.errno ?? 'a fault'} of ${row.call}`;
    return [what, row, index];
  });
}

/** One row for each errno that a call may fail with. */
function errnos(failing: string, names: readonly string[], facts: Omit<Row, 'call' | 'errno'>): Row[] {
  return names.map((errno) => ({ call: failing, errno, ...facts }));
}

const masterFails = {
  logged: 'master failed at something; it goes on',
  counted: 'master_errors',
};

const REPLACING: readonly Row[] = [
  ...errnos('descriptorPair', ['EMFILE', 'ENFILE'], {
    times: 2,
    logged: 'fork failed',
    counted: 'fork_errors',
  }),
  // Without streams, without a process, and thrown: three ways to fail.
  ...errnos('spawn', ['EMFILE', 'EAGAIN', 'ENOENT', 'ENOMEM'], {
    times: 2,
    logged: 'fork failed',
    counted: 'fork_errors',
  }),
  {
    call: 'watchDescriptor',
    errno: 'ENOSPC',
    times: 2,
    logged: 'worker could not be watched; trying again',
    counted: 'watch_errors',
  },
  { via: 'performance.now', caller: 'WorkerLife.start', times: 1, ...masterFails },
  { via: 'performance.now', caller: '#ended', times: 1, ...masterFails },
  { via: 'Map.prototype.values', caller: '#clear', times: 1, ...masterFails },
  { via: 'Map.prototype.set', caller: 'workerStarted', times: 1, ...masterFails },
];

describe('a master that has to replace a worker does so in spite of', () => {
  const rig = sharedRig(REPLACING.length);
  it.each(titled(REPLACING))(
    '%s',
    async (_, row, worker) => {
      let replaced: Promise<void> | undefined;
      await rig().happens(rig().farm.pid, row, async () => {
        replaced ??= rig().replace(worker);
        await replaced;
      });
      await rig().goesOn();
    },
    120_000,
  );
});

const ACCEPTING: readonly Row[] = [
  ...errnos('accept', ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'ECONNABORTED', 'EPERM'], {
    times: 2,
    logged: 'accept failed; pausing',
    counted: 'accept_errors',
  }),
  {
    call: 'accept|watchDescriptor',
    errno: 'ENOMEM',
    times: 3,
    logged: 'listener could not be watched; pausing',
    counted: 'watch_errors',
  },
  ...errnos('sendDescriptors', ['EAGAIN', 'EPIPE'], { times: 5 }),
  ...errnos('sendDescriptors', ['ETOOMANYREFS', 'ENOBUFS', 'ENOMEM', 'EMFILE'], {
    times: 5,
    logged: 'sockets cannot be handed off now; trying again',
    counted: 'handoff_errors',
  }),
  {
    call: 'sendDescriptors',
    errno: 'EBADF',
    times: 1,
    logged: 'sockets cannot be handed off',
    counted: 'handoffs_lost',
  },
  ...errnos('receiveDescriptors', ['ENOMEM', 'ECONNRESET'], { times: 3 }),
  { via: 'performance.now', caller: '#accept', times: 1, ...masterFails },
  { via: 'performance.now', caller: 'Entrance.room', times: 2, ...masterFails },
  { via: 'performance.now', caller: '#judge', times: 1, ...masterFails },
  { via: 'Array.prototype.push', caller: '#acknowledged', times: 1, ...masterFails },
  { via: 'performance.now', caller: '#checkLiveness', times: 2, ...masterFails },
  { via: 'performance.now', caller: '#received', times: 2, ...masterFails },
];

describe('a master goes on, and so does every worker, after', () => {
  // With a limit of its own every address is judged.
  const rig = sharedRig(2, ['--max-connections-per-address', '1000']);
  it.each(titled(ACCEPTING))(
    '%s',
    async (_, row) => {
      const { farm } = rig();
      await rig().happens(farm.pid, row, () => clientsCome(farm));
      await rig().goesOn();
      expect((await info(farm)).workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
    },
    120_000,
  );

  it.each(
    titled([
      { via: 'JSON.stringify', replace: { type: 'report', report: null }, times: 1, ...masterFails },
      {
        via: 'JSON.stringify',
        replace: { type: 'answer', answer: { kind: 'report' } },
        times: 1,
        counted: 'master_errors',
      },
      {
        via: 'JSON.stringify',
        replace: { type: 'log', level: 'nonsense' },
        times: 1,
        counted: 'master_errors',
      },
    ]),
  )(
    'a worker that sends nonsense: %s',
    async (_, row) => {
      const { farm } = rig();
      await rig().happens(await rig().pidOf(1), row, async () => {
        await call(farm, 'info');
        await get(farm, '/log');
      });
      await rig().goesOn();
      expect((await info(farm)).workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
    },
    120_000,
  );
});

describe('a hand-off that the system refuses for longer than handOffTimeoutMs', () => {
  const rig = sharedRig(2, ['--hand-off-timeout-ms', '1000']);
  it('costs no worker its life', async () => {
    const { farm } = rig();
    const row = { call: 'sendDescriptors', errno: 'ENOBUFS', times: 400, counted: 'handoff_errors' };
    await rig().happens(farm.pid, row, async () => {
      await expectEcho(await connect(farm, '/echo'), 'patience');
    });
    await rig().goesOn();
    expect((await info(farm)).workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
  }, 120_000);
});

describe('a worker that is silent', () => {
  const rig = sharedRig(2, ['--worker-timeout-ms', '5000']);
  it.each(
    titled([
      { call: 'kill', errno: 'EPERM', times: 2, ...masterFails },
      ...errnos('kill', ['ESRCH'], { times: 1 }),
    ]),
  )(
    'is killed and replaced in spite of %s',
    async (_, row, worker) => {
      const pid = await rig().pidOf(worker);
      let isStopped = false;
      await rig().happens(rig().farm.pid, row, async () => {
        if (!isStopped) process.kill(pid, 'SIGSTOP');
        isStopped = true;
      });
      await rig().farm.log((line) => line['msg'] === 'worker died' && line['pid'] === pid);
      await rig().goesOn();
    },
    120_000,
  );
});

const workerFails = { times: 1, logged: 'worker failed; it ends' };

const WORKERS: readonly Row[] = [
  ...errnos('receiveDescriptors', ['ENOMEM'], { times: 2 }),
  {
    call: 'receiveDescriptors: MSG_CTRUNC',
    times: 1,
    logged: 'worker has no descriptor left; pausing',
    counted: 'handoffs_placed_again',
  },
  ...errnos('sendDescriptors', ['EAGAIN', 'ENOBUFS', 'ENOMEM'], { times: 3 }),
  {
    call: 'watchNew|watch',
    errno: 'ENOSPC',
    times: 2,
    logged: 'socket could not be watched',
    counted: 'watch_errors',
  },
];

describe('a worker goes on after', () => {
  const rig = sharedRig(2);
  it.each(titled(WORKERS))(
    '%s',
    async (_, row) => {
      const { farm } = rig();
      await rig().happens(await rig().pidOf(1), row, () => clientsCome(farm));
      await rig().goesOn();
      expect((await info(farm)).workers.map(({ restarts }) => restarts)).toEqual([0, 0]);
    },
    120_000,
  );
});

const ENDING: readonly Row[] = [
  // It takes its master for dead, and is killed when it has left a hand-off unanswered.
  { call: 'sendDescriptors', errno: 'EPIPE', times: 1, logged: 'killing worker' },
  { call: 'write', errno: 'EPIPE', times: 1, logged: 'worker died' },
  { call: 'write', errno: 'ENOBUFS', times: 1, logged: 'worker died' },
  { via: 'performance.now', caller: '#slice', ...workerFails },
  { via: 'performance.now', caller: 'Collection.step', ...workerFails },
  { via: 'JSON.stringify', caller: '#report', ...workerFails },
  { via: 'Map.prototype.get', caller: 'brokerOnPublication', ...workerFails },
  { via: 'Map.prototype.get', caller: 'MasterQueries.answered', ...workerFails },
];

describe('a worker whose state may be broken ends, says why, and is replaced after', () => {
  const rig = sharedRig(ENDING.length);
  it.each(titled(ENDING))(
    '%s',
    async (_, row, worker) => {
      const { farm } = rig();
      const pid = await rig().pidOf(worker);
      const isOfBroker = row.caller === 'brokerOnPublication';
      if (isOfBroker) {
        // Enough of them that each worker has one.
        for (let index = 0; index < 4 * ENDING.length; index++) await connect(farm, '/news?channel=a');
      }
      await rig().happens(pid, row, async () => {
        if (isOfBroker) await call(farm, 'publish', { channel: 'a', data: 'x' });
        else await Promise.allSettled([clientsCome(farm), call(farm, 'info')]);
      });
      await farm.log((line) => line['msg'] === 'worker died' && line['pid'] === pid);
      await rig().goesOn();
    },
    120_000,
  );

  it('a fault of the control stream on the side of the master', async () => {
    const { farm } = rig();
    const row = { call: 'write', errno: 'EPIPE', times: 1, logged: 'worker died' };
    await rig().happens(farm.pid, row, () => call(farm, 'info'));
    await rig().goesOn();
  }, 120_000);
});
