import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { App, WorkerContext } from '../../api/app.ts';
import { defaultExport, importAppModule } from '../../app-module/app-module.ts';

/** The hooks by which an app is recognised: a typo in a module's only hook must not become a server that does nothing. */
const HOOKS = ['upgrade', 'open', 'message', 'writable', 'close', 'http', 'stop', 'name'];

/** Imports the module that `app` names (a path or a file: URL) and makes its apps. Rejects with what the module throws. */
export async function loadApps(app: string, context: WorkerContext): Promise<readonly App[]> {
  const url = isAbsolute(app) ? pathToFileURL(app).href : app;
  return appsOf(await defaultExport(await importAppModule(url)), url, context);
}

/** The apps of a default export: an app, several, or a function that makes them. */
export async function appsOf(
  exported: unknown,
  origin: string,
  context: WorkerContext,
): Promise<readonly App[]> {
  const made: unknown = isFactory(exported) ? await exported(context) : exported;
  const candidates: readonly unknown[] = Array.isArray(made) ? made : [made];
  const apps = candidates.filter(isApp);
  if (apps.length === candidates.length) return apps;
  throw new TypeError(
    `${origin} must have a default export made by defineApp({ upgrade, open, message, … }) with at least one hook.`,
  );
}

/** Whatever it makes is checked afterwards. */
function isFactory(value: unknown): value is (context: WorkerContext) => unknown {
  return typeof value === 'function';
}

function isApp(value: unknown): value is App {
  return typeof value === 'object' && value !== null && HOOKS.some((hook) => hook in value);
}
