import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { eventually } from '@roost/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { Silence } from './silence.ts';
import { mainThreadTimes, parseStat, waitsIn, type ThreadTimes } from './thread-times.ts';

const LOOK_MS = 250;

/** A worker that is silent from 0 on, looked at four times a second; `cpuShare` of each time it runs. */
function silentFor(ms: number, { state, cpuShare }: { state: string; cpuShare: number }): Silence {
  let now = 0;
  const silence = new Silence(0, (): ThreadTimes => ({ state, cpuMs: 500 + now * cpuShare }));
  for (now = LOOK_MS; now <= ms; now += LOOK_MS) silence.look(now, undefined);
  return silence;
}

describe('the silence of a worker', () => {
  it.each([
    ['it runs in a loop', { state: 'R', cpuShare: 1 }, 10_000],
    ['it sleeps in a system call', { state: 'S', cpuShare: 0 }, 10_000],
    ['it waits for a disk', { state: 'D', cpuShare: 0 }, 10_000],
    ['it is stopped', { state: 'T', cpuShare: 0 }, 10_000],
  ])('is all its own when %s', (_, thread, ms) => {
    expect(silentFor(ms, thread).ofItsOwn(ms).silentMs).toBe(ms);
  });

  // Not looked at before it is late: 1.25 s count in any case.
  it.each([
    ['would run and gets no CPU', { state: 'R', cpuShare: 0 }, 1250],
    ['would run and gets a tenth of a CPU', { state: 'R', cpuShare: 0.1 }, 1250 + 875],
    ['is held by a debugger', { state: 't', cpuShare: 0 }, 1250],
  ])('is not its own while it %s', (_, thread, ms) => {
    const silence = silentFor(10_000, thread);
    expect(silence.ofItsOwn(10_000).silentMs).toBeCloseTo(ms, 3);
    expect(silence.inAll(10_000).silentMs).toBe(10_000);
  });

  it('is all its own where the kernel counts no CPU time', () => {
    let now = 0;
    const silence = new Silence(0, () => ({ state: 'R', cpuMs: 0 }));
    for (now = LOOK_MS; now <= 10_000; now += LOOK_MS) silence.look(now, undefined);
    expect(silence.ofItsOwn(10_000).silentMs).toBe(10_000);
  });

  it('tells its state, and the CPU time since it was late', () => {
    expect(silentFor(1000, { state: 'R', cpuShare: 1 }).thread).toBeUndefined();
    expect(silentFor(10_000, { state: 'R', cpuShare: 1 }).thread).toEqual({ state: 'R', cpuMs: 8750 });
  });

  it('begins anew when it is heard, and time without a CPU before that is forgotten', () => {
    const silence = silentFor(10_000, { state: 'R', cpuShare: 0 });
    silence.heard(10_000);
    expect(silence.ofItsOwn(10_500)).toEqual({ silentMs: 500, handOffMs: 0 });
  });

  it('begins anew when the master did not run, and so much less of a hand-off is owed', () => {
    const silence = silentFor(1000, { state: 'S', cpuShare: 0 });
    silence.look(1250, 1000);
    silence.forgive(61_250, 60_000);
    silence.look(61_250, 1000);
    expect(silence.ofItsOwn(61_500)).toEqual({ silentMs: 250, handOffMs: 500 });
  });

  it('says how long a hand-off is owed, by itself', () => {
    let now = 0;
    let cpuMs = 500;
    const silence = new Silence(0, () => ({ state: 'R', cpuMs }));
    for (now = LOOK_MS; now <= 5000; now += LOOK_MS) {
      silence.heard(now);
      silence.look(now, 1000);
    }
    // It had no CPU, from the second look at which the hand-off was late on.
    expect(silence.inAll(5000).handOffMs).toBe(4000);
    expect(silence.ofItsOwn(5000).handOffMs).toBe(500);
    cpuMs += 250;
    silence.look(5250, 1000);
    expect(silence.ofItsOwn(5250).handOffMs).toBe(750);
    silence.look(5500, 5400);
    expect(silence.ofItsOwn(5500).handOffMs).toBe(100);
  });
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

function run(command: string, ...args: readonly string[]): number {
  const child = spawn(command, args, { stdio: 'ignore' });
  children.push(child);
  return child.pid ?? 0;
}

/** Never ends, on the first CPU that this process may use. */
function runLoop(): number {
  const cpu = /^Cpus_allowed_list:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return run('taskset', '-c', cpu, process.execPath, '-e', 'for (;;);');
}

/** Looks at a process that never says a word, until it has been silent for `ms`. */
async function listen(pid: number, ms: number): Promise<{ own: number; inAll: number; state: string }> {
  const silence = new Silence(performance.now(), () => mainThreadTimes(pid));
  let now = 0;
  await eventually(() => {
    now = performance.now();
    silence.look(now, undefined);
    return silence.inAll(now).silentMs > ms;
  });
  return {
    own: silence.ofItsOwn(now).silentMs,
    inAll: silence.inAll(now).silentMs,
    state: silence.thread?.state ?? '',
  };
}

describe('the silence of a process', () => {
  it('is hardly its own while another one has its CPU', async () => {
    const starved = runLoop();
    setPriority(starved, 19);
    runLoop();
    // It may start at its former priority.
    await eventually(() => (mainThreadTimes(starved)?.cpuMs ?? 0) > 0);
    const { own, inAll, state } = await listen(starved, 5000);
    expect(state).toBe('R');
    expect(own).toBeLessThan(inAll - 2000);
  });

  it('is all its own while it sleeps, and the kernel says where', async () => {
    const pid = run('sleep', '600');
    await eventually(() => mainThreadTimes(pid)?.state === 'S');
    const { own, inAll, state } = await listen(pid, 2000);
    expect(state).toBe('S');
    expect(own).toBe(inAll);
    // Where the kernel does not tell, it is left out.
    expect(waitsIn(pid) ?? 'nanosleep').toContain('nanosleep');
  });

  it('is not looked into when it is gone', async () => {
    expect(mainThreadTimes(2 ** 30)).toBeUndefined();
    expect(waitsIn(2 ** 30)).toBeUndefined();
  });
});

describe('/proc/<pid>/stat', () => {
  it('is read behind the name, which may hold anything', () => {
    const fields = '1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 7 0 5 6 7';
    expect(parseStat(`123 (a) R 9 (b) S ${fields}`)).toEqual({ state: 'S', cpuMs: 1540 });
    expect(parseStat('123 (node) S 1')).toBeUndefined();
    expect(parseStat('')).toBeUndefined();
  });
});
