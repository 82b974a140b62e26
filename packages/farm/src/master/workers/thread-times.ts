import { readFileSync } from 'node:fs';

/** How the kernel's clock ticks are counted in /proc: USER_HZ, 100 a second on every architecture (proc_pid_stat(5)). */
const MS_PER_TICK = 10;

/** What the kernel says of one thread. */
export interface ThreadTimes {
  /**
   * The letter of proc_pid_stat(5): R it runs, or would if it had a CPU; S it sleeps in a system call; D the same, and no
   * signal wakes it; T it is stopped; t a debugger holds it.
   */
  readonly state: string;
  /** CPU time that it has used, in ms, to the nearest 10. */
  readonly cpuMs: number;
}

/** Of the main thread of a process; undefined when it is gone. */
export function mainThreadTimes(pid: number): ThreadTimes | undefined {
  try {
    return parseStat(readFileSync(`/proc/${pid}/task/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

export function parseStat(stat: string): ThreadTimes | undefined {
  // Its name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = ''] = fields;
  // utime and stime, fields 14 and 15; the state is field 3.
  const ticks = Number(fields[11]) + Number(fields[12]);
  return Number.isFinite(ticks) ? { state, cpuMs: ticks * MS_PER_TICK } : undefined;
}

/** The kernel's function in which a sleeping main thread waits, such as `pipe_read`; undefined when it is not told. */
export function waitsIn(pid: number): string | undefined {
  try {
    const name = readFileSync(`/proc/${pid}/task/${pid}/wchan`, 'latin1');
    return name === '0' || name === '' ? undefined : name;
  } catch {
    return undefined;
  }
}

/** A state of {@link ThreadTimes}, for the log. */
export function stateInWords(state: string): string {
  switch (state) {
    case 'R':
      return 'running';
    case 'S':
      return 'sleeping';
    case 'D':
      return 'sleeping, uninterruptible';
    case 'T':
      return 'stopped';
    case 't':
      return 'held by a debugger';
    default:
      return state;
  }
}
