import { fileURLToPath } from 'node:url';
import type { App, WorkerContext } from '@roost/farm';

const HOOKS = [
  'upgrade',
  'open',
  'message',
  'writable',
  'close',
  'http',
  'stop',
] as const satisfies readonly (keyof App)[];

/** The user's module cannot be used. The message is what `roost start` prints. */
export class UserAppError extends Error {
  readonly code = 'USER_APP_UNUSABLE';

  constructor(message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'UserAppError';
  }
}

/** Loads the module of `roost start app.js`: an app, an array of apps, or a function of the context that makes them. */
export async function loadUserApps(url: string, context: WorkerContext): Promise<readonly App[]> {
  const path = fileURLToPath(url);
  let exported: unknown;
  try {
    const module: { readonly default?: unknown } = await import(url);
    exported = isFactory(module.default) ? await module.default(context) : module.default;
  } catch (error) {
    throw new UserAppError(`The application ${path} cannot be loaded: ${describe(error)}`, error);
  }
  const candidates: readonly unknown[] = Array.isArray(exported) ? exported : [exported];
  const apps = candidates.filter(isApp);
  if (apps.length === candidates.length) return apps;
  throw new UserAppError(`The application ${path} ${problemOf(candidates.find((app) => !isApp(app)))}.`);
}

function isFactory(exported: unknown): exported is (context: WorkerContext) => unknown {
  return typeof exported === 'function';
}

function isApp(candidate: unknown): candidate is App {
  return problemOf(candidate) === undefined;
}

function problemOf(candidate: unknown): string | undefined {
  if (candidate === undefined) return 'has no default export: export what defineApp() returns';
  if (typeof candidate !== 'object' || candidate === null) {
    return `must export an app by default, got ${candidate === null ? 'null' : typeof candidate}`;
  }
  const hooks = HOOKS.filter((hook) => hook in candidate);
  if (hooks.length === 0) return `has no hooks: an app has at least one of ${HOOKS.join(', ')}`;
  const wrong = hooks.find(
    (hook) => !['function', 'undefined'].includes(typeof Reflect.get(candidate, hook)),
  );
  return wrong === undefined ? undefined : `has a hook ${wrong} that is not a function`;
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
