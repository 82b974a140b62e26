/** How soon the end of the parent is noticed. */
const LOOK_MS = 500;

/**
 * Whether npm started this process. npm passes SIGTERM on to the shell that it runs a command in, and to that alone: without
 * `exec` the shell ends, and a farm would stay behind with its port. So what npm started ends with its parent. Anybody
 * else may have left the farm behind on purpose, as `nohup` does.
 */
export function isRunByNpm(environment: Readonly<Record<string, string | undefined>>): boolean {
  return environment['npm_command'] !== undefined || environment['npm_lifecycle_event'] !== undefined;
}

/** Set in the environment of a farm that `roost dev` has started, which must not stay behind either. */
export const STARTED_BY_DEV = '_ROOST_STARTED_BY_DEV';

/** In the same environment: the admin token of such a farm where nobody has chosen one. */
export const ADMIN_TOKEN_OF_DEV = '_ROOST_ADMIN_TOKEN_OF_DEV';

export function isStartedByDev(environment: Readonly<Record<string, string | undefined>>): boolean {
  return environment[STARTED_BY_DEV] !== undefined;
}

/** Whether a farm ends with the process that has started it. */
export function endsWithParent(environment: Readonly<Record<string, string | undefined>>): boolean {
  return isRunByNpm(environment) || isStartedByDev(environment);
}

/**
 * Calls `onGone` once when the parent that this process has now has ended, and another process is its parent. A shell that
 * does not wait (`roost start &`) has ended by now. Returns what stops the watch.
 */
export function watchParent(onGone: () => void): () => void {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onGone();
  }, LOOK_MS);
  return () => clearInterval(timer);
}
