import { ConfigError } from './config/errors.ts';
import type { Settings } from './config/options.ts';
import { EXIT_CODES } from './exit-codes.ts';
import type { ExitCode } from './exit-codes.ts';
import { UserAppError } from './worker/user-app-error.ts';

/** What any call may answer on a machine that has nothing left (errno(3)). */
const SHORTAGES: readonly unknown[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'ENOSPC'];

/** Why a farm did not start: one line for stderr, and the exit code. */
export interface StartFailure {
  readonly sentence: string;
  readonly exitCode: ExitCode;
}

/** Puts what startFarm() rejected with into one line. Returns undefined for an unforeseen error, which needs its stack. */
export function startFailure(error: unknown, settings: Settings): StartFailure | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  // A worker's reason is the text of its error, with the stack below and, if it is ours, its name before.
  const [line = ''] = error.message.split('\n');
  const sentence = line.split(`${UserAppError.name}: `).at(-1) ?? line;
  // A file may have changed since the configuration was checked.
  if (error instanceof ConfigError) return { sentence, exitCode: EXIT_CODES.misconfigured.code };
  switch (error.code) {
    case 'FARM_ERR_OPTION':
      return { sentence, exitCode: EXIT_CODES.misconfigured.code };
    case 'FARM_ERR_PORT_IN_USE':
      return {
        sentence: `Port ${settings.port} of ${settings.host} is in use. Choose another with --port, or stop the program that listens there.`,
        exitCode: EXIT_CODES.portInUse.code,
      };
    case 'ADMIN_ERR_LISTEN':
      return {
        sentence: `${sentence} Choose another port with --admin-port, or turn it off with --admin-port off.`,
        exitCode:
          'reason' in error && error.reason === 'EADDRINUSE'
            ? EXIT_CODES.portInUse.code
            : EXIT_CODES.unsupported.code,
      };
    case 'CONTROL_ERR_LISTEN': {
      const isInUse = 'reason' in error && error.reason === 'EADDRINUSE';
      return {
        sentence: `${sentence} ${isInUse ? 'Another farm has it: choose' : 'Choose'} another path with --control-socket, or turn it off with --control-socket off.`,
        exitCode: isInUse ? EXIT_CODES.portInUse.code : EXIT_CODES.misconfigured.code,
      };
    }
    case 'FARM_ERR_APP_START_TIMEOUT':
      return {
        sentence: `The application${settings.app === null ? '' : ` ${settings.app}`} was not loaded within ${settings.appStartTimeoutMs} ms. Look for an import, a top-level await or a default export's function that never ends; if it only needs longer, raise --app-start-timeout-ms.`,
        exitCode: EXIT_CODES.failed.code,
      };
    case 'FARM_ERR_LISTEN':
    case 'FARM_ERR_FORK':
    case 'FARM_ERR_DESCRIPTORS':
    case 'POLLER_UNAVAILABLE':
      return { sentence, exitCode: EXIT_CODES.unsupported.code };
    case 'FARM_ERR_WORKER_BOOTSTRAP':
      return { sentence, exitCode: EXIT_CODES.failed.code };
    default:
      if (!SHORTAGES.includes(error.code)) return undefined;
      return {
        sentence: `The machine has no descriptors, memory or disk left to start with: ${sentence}.`,
        exitCode: EXIT_CODES.unsupported.code,
      };
  }
}
