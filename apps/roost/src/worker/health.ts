import type { App, Readiness } from '@roost/farm';
import { answer, isRead, pathOf } from './http.ts';

/**
 * `/health/live`: this worker answers. `/health/ready`: the farm can serve (200) or cannot (503), with the reasons as
 * the master last gave them.
 */
export function healthApp(readiness: () => Readiness): App {
  return {
    name: 'health',
    http(request, response) {
      const path = pathOf(request);
      if (path !== '/health/live' && path !== '/health/ready') return false;
      if (!isRead(request, response)) return true;
      if (path === '/health/live') {
        answer(request, response, { status: 200, type: 'application/json', body: '{"status":"live"}' });
        return true;
      }
      const { ready, reasons } = readiness();
      answer(request, response, {
        status: ready ? 200 : 503,
        type: 'application/json',
        body: JSON.stringify({ ready, reasons }),
      });
      return true;
    },
  };
}
