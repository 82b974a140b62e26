import type { App, WorkerContext } from '@roost/farm';
import { apiApp } from './api/app.ts';
import { askForUpgrade, plainApp } from './dialects/plain/app.ts';
import { PLAIN_PATH } from './dialects/plain/codec.ts';
import { healthApp } from './health.ts';
import { notFoundApp } from './not-found.ts';
import { workerOptions } from './options.ts';
import type { WorkerOptions } from './options.ts';
import { pageApp } from './page.ts';
import { refusalsOverHttp } from './refusals-over-http.ts';
import { loadUserApps } from './user-app.ts';

/**
 * What each worker of the server runs: the dialects, health checks, the HTTP APIs and the page, then the user's own
 * application for every other path. Where tokens are configured, a guard comes before those that take WebSockets, but for
 * the Pusher dialect, whose clients show signatures. An empty worker is to stay small, so nothing heavy is imported from
 * here.
 */
export default async function serverApps(context: WorkerContext): Promise<readonly App[]> {
  const options = workerOptions(context.options);
  const userApps = options.userApp === null ? [] : await loadUserApps(options.userApp, context);
  const pusher = await pusherDialect(context, options);
  const own = [healthApp(() => context.readiness()), apiApp(context, options), pageApp(options.plain)];
  const notFound = notFoundApp(userApps.length > 0);
  const isSigned = pusher?.isSigned;
  if (options.tokens === null) {
    const plain = plainApp(context, options.plain, { isSigned });
    return [
      ...(pusher?.apps ?? []),
      plain,
      refusalsOverHttp(PLAIN_PATH, [plain], askForUpgrade),
      ...own,
      ...userApps,
      notFound,
    ];
  }
  const { tokenGuard } = await import('./tokens/guard.ts');
  const guard = tokenGuard(options.tokens, context);
  const plain = guard.guard(plainApp(context, options.plain, { access: guard.access, isSigned }), true);
  return [
    ...(pusher?.apps ?? []),
    guard.app,
    plain,
    refusalsOverHttp(PLAIN_PATH, [guard.app, plain], askForUpgrade),
    ...own,
    ...userApps.map((app) => guard.guard(app)),
    notFound,
  ];
}

interface PusherDialect {
  readonly apps: readonly App[];
  /** Whether clients of the dialect must show a signature for a channel. */
  readonly isSigned: (channel: string) => boolean;
}

async function pusherDialect(
  context: WorkerContext,
  { pusher, api }: WorkerOptions,
): Promise<PusherDialect | undefined> {
  if (pusher === null) return undefined;
  const [{ pusherApp }, { pusherApiApp }, { PusherApps }] = await Promise.all([
    import('./dialects/pusher/app.ts'),
    import('./dialects/pusher/api/app.ts'),
    import('./dialects/pusher/apps.ts'),
  ]);
  const apps = new PusherApps(pusher.apps);
  return {
    apps: [pusherApp(context, pusher), pusherApiApp(context, pusher, api.maxBodyBytes)],
    isSigned: (channel) => apps.isSigned(channel),
  };
}
