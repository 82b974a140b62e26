import { killRunningPrograms } from './child-program.mjs';

/**
 * A run of many minutes in phases. A signal or the end of its time says which phase it was in, and kills what was started;
 * so does any other end of this process: nothing of a million connections may be left behind.
 */
export class LongRun {
  #startedAt = performance.now();
  /** What is being done, for messages. */
  phase = 'starting';

  /** @param {number} timeoutMinutes Of the whole run. */
  constructor(timeoutMinutes) {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => this.#giveUp(signal));
    process.once('exit', killRunningPrograms);
    setTimeout(
      () => this.#giveUp(`not over after --timeout-minutes ${timeoutMinutes}`),
      timeoutMinutes * 60_000,
    ).unref();
  }

  get seconds() {
    return (performance.now() - this.#startedAt) / 1000;
  }

  /** @param {string} phase */
  enter(phase) {
    this.phase = phase;
    this.log(phase);
  }

  /** @param {string} text */
  log(text) {
    console.log(`${this.seconds.toFixed(0).padStart(4)} s  ${text}`);
  }

  /** @param {string} why */
  #giveUp(why) {
    console.error(`\ngiving up while ${this.phase}: ${why}`);
    killRunningPrograms();
    process.exit(1);
  }
}

/**
 * What has been used between two looks, by name.
 * @template {Readonly<Record<string, number>>} Used
 * @param {Used} after
 * @param {Used} before
 * @returns {Used}
 */
export function difference(after, before) {
  const used = Object.entries(after).map(([name, value]) => [name, value - before[name]]);
  return Object.fromEntries(used);
}

/**
 * The same for each second.
 * @template {Readonly<Record<string, number>>} Used
 * @param {Used} used
 * @param {number} seconds
 * @returns {Used}
 */
export function eachSecond(used, seconds) {
  const rates = Object.entries(used).map(([name, value]) => [name, value / seconds]);
  return Object.fromEntries(rates);
}

/** @param {number} bytes */
export function mb(bytes) {
  return (bytes / 1e6).toFixed(0);
}

/** @param {number} bytes */
export function gigabytes(bytes) {
  return (bytes / 1e9).toFixed(1);
}

/** @param {number | undefined} ms */
export function toSeconds(ms) {
  return ms === undefined ? undefined : ms / 1000;
}
