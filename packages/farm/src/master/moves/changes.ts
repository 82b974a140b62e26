import type { ChangeKind, ChangeOutcome, ChangeStatus, FarmChanges, LifeInfo } from '../../api/changes.ts';
import { FarmError } from '../../api/errors.ts';
import type { Counters } from '../../api/counters.ts';
import type { Log } from '../../api/log.ts';
import type { WorkerLife } from '../workers/worker-life.ts';
import { rollBack, startCanary, type Canary } from './canary.ts';
import type { ChangeParts } from './change-parts.ts';
import { ChangeTally } from './change-tally.ts';
import { evenOut } from './even.ts';
import type { Rebalancer } from './rebalancer.ts';
import { reloadAll } from './reload.ts';
import { resize } from './resize.ts';

const MAX_WORKERS = 1024;
const MAX_CANARY_SHARE = 0.5;

export interface ChangesParts extends ChangeParts {
  readonly counters: Counters;
  readonly log: Log;
  readonly rebalancer: Pick<Rebalancer, 'pause' | 'resume'>;
  /** The farm neither starts nor stops. */
  isRunning(): boolean;
}

/** Changes of the running farm, one at a time: who asks for another meanwhile is refused. See FarmChanges. */
export class Changes implements FarmChanges {
  readonly #parts: ChangesParts;
  #current: ChangeTally | undefined;
  #last: ChangeOutcome | undefined;
  #canary: Canary | undefined;

  constructor(parts: ChangesParts) {
    this.#parts = parts;
  }

  async reload(): Promise<ChangeOutcome> {
    this.#checkCanary(false);
    return this.#counted('reload', (tally) => reloadAll(this.#parts, tally));
  }

  async startCanary(share: number): Promise<ChangeOutcome> {
    if (!(share > 0 && share <= MAX_CANARY_SHARE)) {
      throw new RangeError(`the share must be above 0 and at most ${MAX_CANARY_SHARE}, got ${share}`);
    }
    this.#checkCanary(false);
    return this.#run('canary', async (tally) => {
      const canary = await startCanary(this.#parts, tally, share);
      if (typeof canary === 'string') return canary;
      this.#canary = canary;
      return undefined;
    });
  }

  async continueCanary(): Promise<ChangeOutcome> {
    const canary = this.#checkCanary(true);
    return this.#counted('continue', (tally) => {
      this.#canary = undefined;
      return reloadAll(this.#parts, tally, canary);
    });
  }

  async rollBackCanary(): Promise<ChangeOutcome> {
    const canary = this.#checkCanary(true);
    return this.#run('rollback', async (tally) => {
      const reason = canary === undefined ? undefined : await rollBack(canary, this.#parts, tally);
      if (reason === undefined) this.#canary = undefined;
      return reason;
    });
  }

  async resize(workers: number): Promise<ChangeOutcome> {
    if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) {
      throw new RangeError(`workers must be an integer from 1 to ${MAX_WORKERS}, got ${workers}`);
    }
    this.#checkCanary(false);
    return this.#run('workers', (tally) => resize(this.#parts, tally, workers));
  }

  async rebalance(): Promise<ChangeOutcome> {
    this.#checkCanary(false);
    return this.#run('rebalance', (tally) => evenOut(this.#parts, tally));
  }

  status(): ChangeStatus {
    return {
      current: this.#current?.report,
      last: this.#last,
      lives: this.#parts.places.all.flatMap((place) =>
        place.lives.map((life) => this.#infoOf(life, life === place.current)),
      ),
    };
  }

  get hasCanary(): boolean {
    return this.#canary !== undefined;
  }

  /** A worker is no more, and so many connections with it. */
  workerEnded(life: WorkerLife, lost: number): void {
    this.#current?.died(life.index, lost);
    if (this.#canary?.life !== life) return;
    this.#canary = undefined;
    // It was asked to go: by its rollback, or with the farm.
    if (life.state === 'stopped') return;
    this.#parts.log.error({ worker: life.index }, 'canary died: its connections are lost, the others stay');
  }

  /** A worker that goes has closed what could not move. */
  workerRetired(closed: number): void {
    this.#current?.retired(closed);
  }

  async #counted(
    kind: ChangeKind,
    change: (tally: ChangeTally) => Promise<string | undefined>,
  ): Promise<ChangeOutcome> {
    const outcome = await this.#run(kind, change);
    this.#parts.counters.add(outcome.stoppedBy === undefined ? 'reloads' : 'reloads_stopped');
    return outcome;
  }

  async #run(
    kind: ChangeKind,
    change: (tally: ChangeTally) => Promise<string | undefined>,
  ): Promise<ChangeOutcome> {
    const { log, rebalancer } = this.#parts;
    if (!this.#parts.isRunning()) {
      throw new FarmError('FARM_ERR_STOPPED', 'The farm is not running: it starts, or is stopping.');
    }
    if (this.#current !== undefined) {
      const { worker, of } = this.#current.report;
      throw new FarmError(
        'FARM_ERR_BUSY',
        `A change of this farm is under way (${this.#current.kind}, worker ${worker} of ${of}). Wait for its end: "roost status" shows it.`,
      );
    }
    const tally = new ChangeTally(kind);
    this.#current = tally;
    log.info({ change: kind }, 'change began');
    try {
      await rebalancer.pause();
      const ownReason = await change(tally);
      // Workers that drain look like those that have been replaced, or that have died.
      const reason = this.#parts.isRunning() ? ownReason : 'The farm is stopping.';
      const { report } = tally;
      const lostBy = reason === undefined ? tally.loss : undefined;
      this.#last = { stoppedBy: reason, lostBy, report };
      if (reason !== undefined) log.error({ ...report, change: kind, reason }, 'change stopped');
      else if (lostBy !== undefined) log.error({ ...report, change: kind, reason: lostBy }, 'change done');
      else log.info({ ...report, change: kind }, 'change done');
      return this.#last;
    } finally {
      this.#current = undefined;
      rebalancer.resume();
    }
  }

  #checkCanary(isWanted: boolean): Canary | undefined {
    if (isWanted === (this.#canary !== undefined)) return this.#canary;
    throw new FarmError(
      'FARM_ERR_CANARY',
      isWanted
        ? 'There is no canary: start one with "roost reload --canary 5%".'
        : 'A canary runs: end it first, with "roost reload --continue" or "roost reload --rollback".',
    );
  }

  #infoOf(life: WorkerLife, isCurrent: boolean): LifeInfo {
    const other = life === this.#canary?.life ? 'canary' : 'other';
    return {
      worker: life.index,
      pid: life.pid,
      state: life.state,
      role: isCurrent ? 'current' : other,
      connections: life.connections,
      apps: life.apps.map(({ name, version }) => (version === null ? name : `${name} ${version}`)),
      counters: life.report?.counters ?? {},
    };
  }
}
