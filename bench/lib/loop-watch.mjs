import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from '@roost/testing';

/** @import { Server } from './servers.mjs' */

const LOOP_DELAY = fileURLToPath(new URL('./loop-delay.mjs', import.meta.url));

/** @typedef {{ lateMs: number, busyMs: number }} LoopDelay See loop-delay.mjs. */

/** Watches the event loops of a farm that is started with its `nodeArgs` and `env`. */
export class LoopWatch {
  #folder = mkdtempSync(join(tmpdir(), 'roost-loops-'));
  nodeArgs = [`--import=${LOOP_DELAY}`];
  env = { LOOP_DELAY_FOLDER: this.#folder };

  /**
   * What the master and the workers have found since they were last asked.
   * @param {Server} server
   */
  async read(server) {
    /** @type {[who: string, found: LoopDelay][]} */
    const found = [];
    for (const pid of [server.masterPid, ...server.workerPids]) {
      const path = join(this.#folder, `${pid}.json`);
      rmSync(path, { force: true });
      process.kill(pid, 'SIGUSR2');
      const name = pid === server.masterPid ? 'master' : `worker ${server.workerPids.indexOf(pid)}`;
      const report = await eventually(() => JSON.parse(readFileSync(path, 'utf8')), {
        what: `${name} says how late it was`,
      });
      found.push([name, report]);
    }
    return found;
  }

  remove() {
    rmSync(this.#folder, { recursive: true });
  }
}

/**
 * @param {string} who
 * @param {LoopDelay} delay
 */
export function describeDelay(who, { lateMs, busyMs }) {
  return `${who}: loop late by ${lateMs.toFixed(1)} ms at worst; busiest turn ${busyMs.toFixed(1)} ms of CPU`;
}
