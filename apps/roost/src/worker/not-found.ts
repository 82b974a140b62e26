import { reject } from '@roost/farm';
import type { App } from '@roost/farm';
import { answer, pathOf } from './http.ts';
import { quote } from './quote.ts';

/**
 * The last app of the list: lists the paths to clients that asked for another one. Where the user has apps, a path that
 * none of them answers over HTTP may still take WebSockets.
 */
export function notFoundApp(hasUserApps: boolean): App {
  return {
    name: 'not-found',
    upgrade(request) {
      return reject(404, nothingAt(request.path));
    },
    http(request, response) {
      const path = pathOf(request);
      const body = hasUserApps
        ? `Nothing answers plain HTTP at ${quote(path)}; which WebSockets connect there, the application says.\n`
        : `${nothingAt(path)}\n`;
      answer(request, response, { status: 404, type: 'text/plain', body });
      return true;
    },
  };
}

/** The same for both, since a page that was refused a WebSocket can ask only over HTTP why. */
function nothingAt(path: string): string {
  return `There is nothing at ${quote(path)}: WebSockets connect to /plain?channel=news, and / is a page to try this server by hand.`;
}
