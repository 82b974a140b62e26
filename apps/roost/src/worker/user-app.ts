import { fileURLToPath } from 'node:url';
import type { App, WorkerContext } from '@roost/farm';
import { defaultExport, importAppModule } from '@roost/farm/app-module';
import { quote } from './quote.ts';
import { UserAppError } from './user-app-error.ts';

const HOOKS = [
  'upgrade',
  'open',
  'message',
  'writable',
  'handover',
  'moved',
  'close',
  'http',
  'stop',
] as const satisfies readonly (keyof App)[];

/** How many names of what was exported an error shows. */
const SHOWN_NAMES = 5;

const EXPECTED = 'Export what defineApp() returns: export default defineApp({ … })';

/**
 * Loads the module of `roost start app.js`: an app, an array of apps, or a function of the context that makes them. It is
 * an ES module or CommonJS, in JavaScript or TypeScript, whole or bundled.
 */
export async function loadUserApps(url: string, context: WorkerContext): Promise<readonly App[]> {
  const path = fileURLToPath(url);
  let module: Readonly<Record<string, unknown>>;
  let made: unknown;
  try {
    module = await importAppModule(url);
    made = await defaultExport(module);
    if (isFactory(made)) made = await made(context);
  } catch (error) {
    const { loadProblem } = await import('./load-problem.ts');
    throw new UserAppError(
      `The application ${path} cannot be loaded: ${await loadProblem(error, path)}`,
      error,
    );
  }
  const candidates: readonly unknown[] = Array.isArray(made) ? made : [made];
  const apps = candidates.filter(isApp);
  if (apps.length === candidates.length && apps.length > 0) return apps;
  const problem = Array.isArray(made) ? listProblem(made) : exportProblem(module, made);
  throw new UserAppError(`The application ${path} ${problem}. ${EXPECTED}.`);
}

/** A class is a function, too, but cannot be called. */
function isFactory(exported: unknown): exported is (context: WorkerContext) => unknown {
  return typeof exported === 'function' && !isClass(exported);
}

function isClass(exported: unknown): boolean {
  return typeof exported === 'function' && /^class\b/.test(Function.prototype.toString.call(exported));
}

function isApp(candidate: unknown): candidate is App {
  return problemOf(candidate) === undefined;
}

/** What is wrong with the module whose default export is `made`, or has made it. */
function exportProblem(module: Readonly<Record<string, unknown>>, made: unknown): string {
  if (typeof module['default'] === 'function' && !isClass(module['default'])) {
    return `exports a function, and what that returns ${problemOf(made) ?? ''}`;
  }
  if (!('default' in module)) {
    const names = Object.keys(module);
    return `has no default export${names.length === 0 ? '' : `, but exports ${quoted(names)}`}`;
  }
  return `has a default export that ${problemOf(made) ?? ''}`;
}

function listProblem(list: readonly unknown[]): string {
  if (list.length === 0) return 'exports an empty array of apps';
  const at = list.findIndex((app) => !isApp(app));
  return `exports an array whose element ${at} ${problemOf(list[at]) ?? ''}`;
}

/** In words that can follow what it is about: "is 7". */
function problemOf(candidate: unknown): string | undefined {
  if (candidate === undefined || candidate === null) return `is ${String(candidate)}`;
  if (isClass(candidate)) return 'is a class, of which an instance is needed';
  if (typeof candidate !== 'object') return `is a ${typeof candidate}`;
  if (Array.isArray(candidate)) return 'is an array';
  const hooks = HOOKS.filter((hook) => hook in candidate);
  if (hooks.length === 0) {
    const names = Object.keys(candidate);
    const found =
      names.length === 0 ? 'is an object with nothing in it' : `is an object with ${quoted(names)}`;
    return `${found}, and has no hooks: an app has at least one of ${HOOKS.join(', ')}`;
  }
  const wrong = hooks.find(
    (hook) => !['function', 'undefined'].includes(typeof Reflect.get(candidate, hook)),
  );
  return wrong === undefined ? undefined : `has a hook ${wrong} that is not a function`;
}

/** Some of many. */
function quoted(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).map(quote).join(', ');
  return names.length > SHOWN_NAMES ? `${shown}, …` : shown;
}
