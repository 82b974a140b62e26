import { runCommandLine } from './cli.ts';
import type { Settings } from './config/options.ts';
import type { ExitCode } from './exit-codes.ts';

/** What a command line did. */
export interface Run {
  readonly exitCode: ExitCode;
  readonly printed: string;
  readonly errors: string;
  /** The settings of the server, which is not started here. */
  readonly started: Settings | undefined;
}

/** Runs `roost …words` in this process, in `/srv` and without variables unless said. */
export async function run(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
  folder = '/srv',
): Promise<Run> {
  let printed = '';
  let errors = '';
  let started: Settings | undefined;
  const exitCode = await runCommandLine(words, {
    environment,
    folder,
    version: '1.2.3',
    columns: undefined,
    print: (text) => {
      printed += text;
    },
    printError: (text) => {
      errors += text;
    },
    start: (settings) => {
      started = settings;
      return Promise.resolve(0);
    },
  });
  return { exitCode, printed, errors, started };
}
