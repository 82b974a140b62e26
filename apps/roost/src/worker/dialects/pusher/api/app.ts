import type { IncomingMessage } from 'node:http';
import type { App, WorkerContext } from '@roost/farm';
import { answer, pathOf } from '../../../http.ts';
import type { PusherOptions } from '../options.ts';
import { isClientPath, withoutPrefix } from '../upgrade.ts';
import type { PusherApiServer } from './server.ts';

/**
 * Plain HTTP of the dialect: the API of back ends at `/apps/<id>/…`, whose server is imported and built at the first request,
 * and a word to who asks for the path of clients without a WebSocket.
 */
export function pusherApiApp(context: WorkerContext, options: PusherOptions, maxBodyBytes: number): App {
  let server: Promise<PusherApiServer> | undefined;
  return {
    name: 'pusher-api',
    http(request, response) {
      const path = withoutPrefix(pathOf(request), options.pathPrefix);
      if (isClientPath(path)) {
        answer(request, response, {
          status: 426,
          type: 'text/plain',
          body: 'This path speaks WebSocket only: connect to ws://…/app/<key>?protocol=7.\n',
          headers: { Upgrade: 'websocket', Connection: 'Upgrade, close' },
        });
        return true;
      }
      if (path !== '/apps' && !path.startsWith('/apps/')) return false;
      removePrefix(request, options.pathPrefix);
      server ??= import('./server.ts').then(({ createPusherApiServer }) =>
        createPusherApiServer(context, options, maxBodyBytes),
      );
      return server.then((api) => api.answer(request, response));
    },
    async stop() {
      await (await server)?.close();
    },
  };
}

/** What is behind it is what back ends sign. */
function removePrefix(request: IncomingMessage, prefix: string): void {
  request.url = withoutPrefix(request.url ?? '/', prefix);
}
