import type { App, WorkerContext } from '@roost/farm';
import { apiApp } from './api/app.ts';
import { healthApp } from './health.ts';
import { notFoundApp } from './not-found.ts';
import { workerOptions } from './options.ts';
import { pageApp } from './page.ts';
import { plainApp } from './plain.ts';
import { loadUserApps } from './user-app.ts';

/**
 * What each worker of the server runs: the plain dialect, health checks, the HTTP API and the page, then the user's own
 * application for every other path. Where tokens are configured, a guard stands before those that take WebSockets. An
 * empty worker is to stay small, so nothing heavy is imported from here.
 */
export default async function serverApps(context: WorkerContext): Promise<readonly App[]> {
  const options = workerOptions(context.options);
  const userApps = options.userApp === null ? [] : await loadUserApps(options.userApp, context);
  const own = [healthApp(() => context.readiness()), apiApp(context, options), pageApp()];
  if (options.tokens === null) return [plainApp(context, options.plain), ...own, ...userApps, notFoundApp()];
  const { tokenGuard } = await import('./tokens/guard.ts');
  const guard = tokenGuard(options.tokens, context);
  return [
    guard.app,
    guard.guard(plainApp(context, options.plain, guard.access), true),
    ...own,
    ...userApps.map((app) => guard.guard(app)),
    notFoundApp(),
  ];
}
