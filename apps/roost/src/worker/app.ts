import type { App, WorkerContext } from '@roost/farm';
import { apiApp } from './api/app.ts';
import { healthApp } from './health.ts';
import { notFoundApp } from './not-found.ts';
import { workerOptions } from './options.ts';
import { pageApp } from './page.ts';
import { askForUpgrade, PLAIN_PATH, plainApp } from './plain.ts';
import { refusalsOverHttp } from './refusals-over-http.ts';
import { loadUserApps } from './user-app.ts';

/**
 * What each worker of the server runs: the plain dialect, health checks, the HTTP API and the page, then the user's own
 * application for every other path. Where tokens are configured, a guard comes before those that take WebSockets. An
 * empty worker is to stay small, so nothing heavy is imported from here.
 */
export default async function serverApps(context: WorkerContext): Promise<readonly App[]> {
  const options = workerOptions(context.options);
  const userApps = options.userApp === null ? [] : await loadUserApps(options.userApp, context);
  const own = [healthApp(() => context.readiness()), apiApp(context, options), pageApp(options.plain)];
  const notFound = notFoundApp(userApps.length > 0);
  if (options.tokens === null) {
    const plain = plainApp(context, options.plain);
    return [plain, refusalsOverHttp(PLAIN_PATH, [plain], askForUpgrade), ...own, ...userApps, notFound];
  }
  const { tokenGuard } = await import('./tokens/guard.ts');
  const guard = tokenGuard(options.tokens, context);
  const plain = guard.guard(plainApp(context, options.plain, guard.access), true);
  return [
    guard.app,
    plain,
    refusalsOverHttp(PLAIN_PATH, [guard.app, plain], askForUpgrade),
    ...own,
    ...userApps.map((app) => guard.guard(app)),
    notFound,
  ];
}
