import { reject } from '@roost/farm';
import type { App } from '@roost/farm';
import { answer, pathOf } from './http.ts';
import { quote } from './quote.ts';

/** The last app of the list: says what there is to those who asked for something else. */
export function notFoundApp(): App {
  return {
    name: 'not-found',
    upgrade(request) {
      return reject(
        404,
        `Nothing takes WebSockets at ${quote(request.path)}: connect to /plain?channel=news.`,
      );
    },
    http(request, response) {
      answer(request, response, {
        status: 404,
        type: 'text/plain',
        body: `There is nothing at ${quote(pathOf(request))}: see / for a page to try this server by hand.\n`,
      });
      return true;
    },
  };
}
