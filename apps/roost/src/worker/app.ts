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
 * application for every other path. An empty worker is to stay small, so nothing heavy is imported from here.
 */
export default async function serverApps(context: WorkerContext): Promise<readonly App[]> {
  const options = workerOptions(context.options);
  return [
    plainApp(options.plain),
    healthApp(() => context.readiness()),
    apiApp(context, options),
    pageApp(),
    ...(options.userApp === null ? [] : await loadUserApps(options.userApp, context)),
    notFoundApp(),
  ];
}
