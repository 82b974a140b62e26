import type { Greeting } from '../clients/clients.ts';
import type { OpenPlan } from '../clients/opener.ts';
import type { PhantomLink } from '../phantom/phantom-link.ts';
import type { Progress, Report } from '../report/report.ts';
import type { Target } from '../target.ts';
import type { EchoFindings, EchoPlan } from './echo-run.ts';
import type { WatchFindings } from './publication-watch.ts';

/** What a load process is started with. */
export interface ProcessOptions {
  readonly target: Target;
  readonly greeting: Greeting;
  /** See MessageTemplate. */
  readonly messageTemplate: string;
  readonly sourceAddresses: readonly string[];
  /** null: TCP of the kernel. */
  readonly phantom: PhantomLink | null;
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

/** Makes a switch over a union complete at compile time. */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected ${JSON.stringify(value)}`);
}
