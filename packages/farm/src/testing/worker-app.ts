import type { IncomingMessage, ServerResponse } from 'node:http';
import type { App, WorkerContext } from '../api/app.ts';
import { loadApps } from '../worker/app/load-app.ts';
import type { TestAppOptions } from './messages.ts';

/** What each worker of a test farm runs: the user's app, behind one that publishes for the test. */
export default async function testApps(context: WorkerContext): Promise<readonly App[]> {
  if (!isTestAppOptions(context.options)) throw new TypeError('This is the app of startTestFarm() only.');
  const { app, appOptions, publishPath } = context.options;
  const apps = await loadApps(app, { ...context, options: appOptions });
  return [publisher(context, publishPath), ...apps];
}

function publisher(context: WorkerContext, publishPath: string): App {
  return {
    name: 'test publisher',
    http(request, response) {
      const url = new URL(request.url ?? '/', 'http://farm.test');
      if (url.pathname !== publishPath) return false;
      return publish(context, url.searchParams.get('channel') ?? '', request, response);
    },
  };
}

async function publish(
  context: WorkerContext,
  channel: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  try {
    await context.publish(channel, Buffer.concat(chunks));
    response.writeHead(204).end();
  } catch (error) {
    response.writeHead(422).end(error instanceof Error ? error.message : String(error));
  }
}

function isTestAppOptions(value: unknown): value is TestAppOptions {
  return typeof value === 'object' && value !== null && 'publishPath' in value && 'app' in value;
}
