import type { WorkerInfo } from './info.ts';

/** What is done with a running farm: new workers for all old ones, another number of them, or the same number of connections for each. */
export type ChangeKind = 'reload' | 'canary' | 'continue' | 'rollback' | 'workers' | 'rebalance';

/** How far a change has come, or how far it came. */
export interface ChangeReport {
  /** What is done. */
  readonly kind: ChangeKind;
  /** Connections that have moved. */
  readonly moved: number;
  /** Connections that are still where they were and may have to move. */
  readonly left: number;
  /** Connections that were closed because they could not move. */
  readonly closed: number;
  /** Connections that died with workers meanwhile. */
  readonly lost: number;
  /** Connections that moved per second, since it began. */
  readonly rate: number;
  /** How long 99 % of the connections that moved were served by nobody, in ms, at most. 0 when none has moved. */
  readonly pauseP99Ms: number;
  /** The longest such time, in ms. */
  readonly pauseMaxMs: number;
  /** The worker it is at, from 1; 0 before the first. */
  readonly worker: number;
  /** Workers that it concerns. */
  readonly of: number;
  /** Since it began. */
  readonly seconds: number;
}

/** How a change has ended. What had moved stays where it is, also when it was stopped. */
export interface ChangeOutcome {
  /** Why it stopped before its end, in one sentence; undefined when it is done. */
  readonly stoppedBy: string | undefined;
  /** Which workers died with connections although it came to its end, in one sentence; undefined when nothing was lost, or it was stopped. */
  readonly lostBy: string | undefined;
  /** How far it came. */
  readonly report: ChangeReport;
}

/** One process of a worker. A place has two while connections move from one to the other. */
export interface LifeInfo {
  /** Index of the worker. */
  readonly worker: number;
  /** Process id; 0 when it has none. */
  readonly pid: number;
  /** As in {@link WorkerInfo}. */
  readonly state: WorkerInfo['state'];
  /** `current`: it gets the new connections. `canary`: it gets as many as keep its share. `other`: it gets none. */
  readonly role: 'current' | 'canary' | 'other';
  /** Sockets that it has. */
  readonly connections: number;
  /** `name version` of each of its apps; the name alone when the app has no version. */
  readonly apps: readonly string[];
  /** What it has counted: `closed`, `closed_abnormally`, `app_errors` and the others of docs/reference/counters.md. */
  readonly counters: Readonly<Record<string, number>>;
}

/** The changes of a farm. */
export interface ChangeStatus {
  /** The one under way. */
  readonly current: ChangeReport | undefined;
  /** The one before. */
  readonly last: ChangeOutcome | undefined;
  /** All processes, by their worker. */
  readonly lives: readonly LifeInfo[];
}

/**
 * Changes of a running farm that disconnect nobody: connections move from one worker to another. One at a time: each rejects
 * with FARM_ERR_BUSY while another is under way, and with FARM_ERR_STOPPED when the farm is stopping.
 */
export interface FarmChanges {
  /**
   * Replaces every worker by a new one, which loads the application anew, one after the other. A canary that runs must be ended
   * first: FARM_ERR_CANARY.
   */
  reload(): Promise<ChangeOutcome>;
  /**
   * Starts one new worker beside the old ones, and moves a share of all connections to it: above 0, at most 0.5. It stays until
   * {@link continueCanary} or {@link rollBackCanary}.
   */
  startCanary(share: number): Promise<ChangeOutcome>;
  /** As {@link reload}; the canary takes its place. Rejects with FARM_ERR_CANARY when there is none. */
  continueCanary(): Promise<ChangeOutcome>;
  /** Moves what the canary has back to the others, and ends it. Rejects with FARM_ERR_CANARY when there is none. */
  rollBackCanary(): Promise<ChangeOutcome>;
  /** Makes it so many workers, 1 to 1024. New ones are filled; those that go are emptied first, the last ones first. */
  resize(workers: number): Promise<ChangeOutcome>;
  /** Moves connections until all workers have about the same number. */
  rebalance(): Promise<ChangeOutcome>;
  /** What is under way, and who lives. */
  status(): ChangeStatus;
}
