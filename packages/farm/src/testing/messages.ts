import type { FarmInfo } from '../api/info.ts';
import type { LogLevel } from '../api/log.ts';
import type { FarmOptions } from '../options/options.ts';

/** A line of the farm's log. */
export interface TestLogLine {
  /** Never `debug`. */
  readonly level: LogLevel;
  /** Constant and searchable: `app hook failed`. */
  readonly message: string;
  /** Its facts, as JSON has them. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** From the test to the process of the farm. */
export type TestMessageToFarm =
  | {
      readonly type: 'start';
      /** Of the user's app, but for what this adds: {@link TestAppOptions} are its `appOptions`. */
      readonly options: Omit<FarmOptions, 'app' | 'log'>;
    }
  | { readonly type: 'info'; readonly id: number }
  | { readonly type: 'stop' };

/** From the process of the farm to the test. */
export type TestMessageFromFarm =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'failed'; readonly reason: string }
  | { readonly type: 'log'; readonly line: TestLogLine }
  | { readonly type: 'info'; readonly id: number; readonly info: FarmInfo }
  | { readonly type: 'noInfo'; readonly id: number; readonly reason: string };

/** What the app of a test farm is given in each worker: the user's app, and how the test publishes. */
export interface TestAppOptions {
  /** `file:` URL of the module of the user's app. */
  readonly app: string;
  /** `appOptions` for the user's app. */
  readonly appOptions: unknown;
  /** POSTs to this path are published. Nobody else can guess it. */
  readonly publishPath: string;
}
