import type { Greeting } from './clients.ts';
import type { EchoFindings, EchoPlan } from './echo-run.ts';
import type { OpenPlan } from './opener.ts';
import type { WatchFindings } from './publication-watch.ts';
import type { Report } from './tally.ts';
import type { Target } from './target.ts';

/** What a load process is started with. */
export interface ProcessOptions {
  readonly target: Target;
  readonly greeting: Greeting;
  /** See MessageTemplate. */
  readonly messageTemplate: string;
  readonly sourceAddresses: readonly string[];
  readonly capacity: number;
  readonly handshakeTimeoutMs: number;
}

/** What the coordinator asks of a load process, over Node's IPC channel. Each is answered by one {@link Answer}. */
export type Command =
  | { readonly type: 'start'; readonly options: ProcessOptions }
  /** Answered when all have opened or failed. */
  | { readonly type: 'open'; readonly plan: OpenPlan }
  /** Gives up what an `open` has not begun. */
  | { readonly type: 'cancel' }
  /** Answered when the run is over. */
  | { readonly type: 'echo'; readonly plan: EchoPlan }
  /** Begins to look for publications, anew. */
  | { readonly type: 'watch' }
  /** That many open connections stop reading. */
  | { readonly type: 'pause'; readonly count: number }
  | { readonly type: 'expect'; readonly messages: number }
  | { readonly type: 'reset' }
  /** Answered when all are gone. */
  | { readonly type: 'close' }
  | { readonly type: 'report' };

export interface Question {
  readonly id: number;
  readonly command: Command;
}

/** A load process says these: an answer to a question, or, on its own, how far it is. */
export type ProcessMessage =
  | {
      readonly type: 'answer';
      readonly id: number;
      readonly report: Report;
      readonly echo?: EchoFindings;
      readonly watch?: WatchFindings;
    }
  | { readonly type: 'failure'; readonly id: number; readonly message: string }
  | { readonly type: 'progress'; readonly progress: Progress };

/** Figures for the progress line; the cheap ones of a {@link Report}. */
export interface Progress {
  readonly pending: number;
  readonly open: number;
  readonly connected: number;
  /** By reason. */
  readonly failed: Readonly<Record<string, number>>;
  readonly messages: number;
  /** Publications that were delivered since the watch began. */
  readonly deliveries: number;
  /** Every open connection has what is expected, and there is one. */
  readonly isSatisfied: boolean;
  /** Latencies of echoes or deliveries since the last time that there were some to tell, at most one a second. */
  readonly interval?: string;
}

/** Makes a switch over a union complete at compile time. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected ${JSON.stringify(value)}`);
}
