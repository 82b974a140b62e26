import type { App, WorkerContext } from '@roost/farm';
import { pathOf } from '../http.ts';
import type { WorkerOptions } from '../options.ts';
import type { ApiServer } from './server.ts';

/** The HTTP API under /api. Its server is imported and built at the first request: most workers never need it. */
export function apiApp(context: WorkerContext, options: WorkerOptions): App {
  let server: Promise<ApiServer> | undefined;
  return {
    name: 'api',
    http(request, response) {
      const path = pathOf(request);
      if (path !== '/api' && !path.startsWith('/api/')) return false;
      server ??= import('./server.ts').then(({ createApiServer }) => createApiServer(context, options));
      return server.then((api) => api.answer(request, response));
    },
    async stop() {
      await (await server)?.close();
    },
  };
}
