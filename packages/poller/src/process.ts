import { native } from './native.ts';

/** Pins the calling thread, and only it, to one CPU. 0, or -errno (-EINVAL: the CPU is not allowed to us). */
export function pinThread(cpu: number): number {
  return native().pinThread(cpu);
}

/**
 * PR_SET_PDEATHSIG: the kernel sends `signal` to this process when its parent dies, even while its loop is blocked; 0
 * turns it off. The parent is the thread that started us. If it is dead already, no signal arrives: compare
 * `process.ppid` afterwards. 0 or -errno.
 */
export function signalOnParentDeath(signal: number): number {
  return native().signalOnParentDeath(signal);
}

/**
 * Gives the pages of freed memory back to the system (malloc_trim(3)): small pieces that are freed in the middle of the
 * heap would keep theirs. True when there were any. Takes about a millisecond for 10 MB. Without glibc it does nothing.
 */
export function trimMemory(): boolean {
  return native().trimMemory() === 1;
}

/**
 * Takes the pages of programs and libraries out of this process (madvise(2), MADV_DONTNEED): those of files whose mappings
 * are read-only and unchanged. Most of what Node maps only its start needs. The kernel keeps them in its page cache as
 * long as it has the memory; touching one again costs a minor fault. Answers how many kilobytes, or -errno. Takes 3 to 10 ms,
 * most of it to read smaps (proc(5)).
 */
export function releaseFilePages(): number {
  return native().releaseFilePages();
}
