import { fileURLToPath } from 'node:url';
import type { App, WorkerContext } from '@roost/farm';
import { UserAppError } from './user-app-error.ts';

const HOOKS = [
  'upgrade',
  'open',
  'message',
  'writable',
  'close',
  'http',
  'stop',
] as const satisfies readonly (keyof App)[];

const CHECK_TIMEOUT_MS = 5000;

/** Loads the module of `roost start app.js`: an app, an array of apps, or a function of the context that makes them. */
export async function loadUserApps(url: string, context: WorkerContext): Promise<readonly App[]> {
  const path = fileURLToPath(url);
  let exported: unknown;
  try {
    const module: { readonly default?: unknown } = await import(url);
    exported = isFactory(module.default) ? await module.default(context) : module.default;
  } catch (error) {
    throw new UserAppError(`The application ${path} cannot be loaded: ${await describe(error, path)}`, error);
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

/** The error in one line. One of syntax does not say where it is; Node's own check does. */
async function describe(error: unknown, path: string): Promise<string> {
  if (!(error instanceof Error)) return String(error);
  const [line = ''] = error.message.split('\n');
  const place = error instanceof SyntaxError ? await syntaxErrorPlace(path) : undefined;
  return `${error.name}: ${line}${place === undefined ? '' : ` (${place})`}`;
}

/** `/srv/app.js:3`, or undefined when the module itself is well-formed: then one of its imports is not. */
async function syntaxErrorPlace(path: string): Promise<string | undefined> {
  const { spawnSync } = await import('node:child_process');
  const { stderr } = spawnSync(process.execPath, ['--check', path], {
    encoding: 'utf8',
    timeout: CHECK_TIMEOUT_MS,
  });
  return /^(?:file:\/\/)?(\/.*:\d+)$/m.exec(stderr)?.[1];
}
