import type { IncomingMessage, ServerResponse } from 'node:http';
import type { WorkerContext } from '@roost/farm';
import { fastify } from 'fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pathPattern } from '../../../../openapi/operation.ts';
import type { Operation } from '../../../../openapi/operation.ts';
import { PusherApps } from '../apps.ts';
import type { PusherCounter } from '../counters.ts';
import type { PusherOptions } from '../options.ts';
import { authenticate, checkBody } from './authenticate.ts';
import { RequestError, requestErrorOf } from './errors.ts';
import { ApiMethods } from './methods.ts';
import { CHANNEL_INFO, CHANNELS, TERMINATE, TRIGGER, TRIGGER_BATCH, USERS } from './operations.ts';
import { readTarget } from './query.ts';
import type { ApiRequest } from './request.ts';

export interface PusherApiServer {
  answer(request: IncomingMessage, response: ServerResponse): void;
  close(): Promise<void>;
}

type Method = (request: ApiRequest) => Promise<object>;

/** Encoded names have up to three times as many characters as bytes. */
const MAX_NAME_CHARACTERS = 4096;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * The HTTP API of Pusher, as the SDKs of servers use it. It listens nowhere: the worker's own HTTP server gives it requests,
 * without the configured prefix. 200 says that the broker has confirmed what was asked for.
 */
export async function createPusherApiServer(
  context: WorkerContext,
  options: PusherOptions,
  maxBodyBytes: number,
): Promise<PusherApiServer> {
  const apps = new PusherApps(options.apps);
  const methods = new ApiMethods(context, apps, options.maxChannelCharacters);
  const count = (name: PusherCounter): void => context.count(name);
  const server = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    routerOptions: { maxParamLength: MAX_NAME_CHARACTERS },
    frameworkErrors: (_error, _request, reply) => {
      count('app_pusher_refused_requests');
      send(reply, new RequestError('notFound'));
    },
  });
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  /** Requests that are authenticated, before their bodies are read. */
  const heads = new WeakMap<FastifyRequest, Pick<ApiRequest, 'app' | 'query'>>();
  const route = ({ method, path: url }: Operation, run: Method): void => {
    server.route<{ Params: { id: string; name?: string }; Body: Buffer | undefined }>({
      method,
      url: pathPattern(url),
      exposeHeadRoute: false,
      async onRequest(request, reply) {
        const { path, query } = readTarget(request.raw.url ?? '/');
        try {
          const app = authenticate(apps, request.params.id, { method, path, query, nowMs: Date.now() });
          heads.set(request, { app, query });
        } catch (error) {
          // The body of a stranger is not read.
          void reply.header('Connection', 'close');
          throw error;
        }
      },
      handler: (request) => {
        const head = heads.get(request);
        if (head === undefined) throw new RequestError('internal');
        const bytes = request.body ?? Buffer.alloc(0);
        checkBody(head.query, bytes);
        return run({ ...head, body: textOf(bytes), name: request.params.name ?? '' });
      },
    });
  };
  route(TRIGGER, (request) => methods.trigger(request));
  route(TRIGGER_BATCH, (request) => methods.triggerBatch(request));
  route(CHANNELS, (request) => methods.channels(request));
  route(CHANNEL_INFO, (request) => methods.channel(request));
  route(USERS, (request) => methods.users(request));
  route(TERMINATE, (request) => methods.terminate(request));

  server.setNotFoundHandler((request, reply) => {
    const other = request.method === 'POST' ? 'GET' : 'POST';
    if (server.findRoute({ method: other, url: request.url }) === null) throw new RequestError('notFound');
    void reply.header('Allow', other);
    throw new RequestError('methodNotAllowed');
  });
  server.setErrorHandler((error, _request, reply) => {
    const answer = answerFor(error, context, maxBodyBytes);
    count(answer.status < 500 ? 'app_pusher_refused_requests' : 'app_pusher_failed_requests');
    send(reply, answer);
  });
  await server.ready();
  return {
    answer(request, response) {
      // Whatever it says, a body is JSON: Fastify refuses a type that is empty or has no slash.
      request.headers['content-type'] = 'application/json';
      server.routing(request, response);
    },
    close: () => server.close(),
  };
}

function textOf(body: Buffer): string {
  try {
    return utf8.decode(body);
  } catch {
    throw new RequestError('badRequest', 'the body is not UTF-8');
  }
}

function answerFor(error: unknown, context: WorkerContext, maxBodyBytes: number): RequestError {
  const known = requestErrorOf(error);
  if (known !== undefined) return known;
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) {
    return new RequestError('tooLarge', `a body has at most ${maxBodyBytes} bytes (api.maxBodyBytes)`);
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new RequestError('badRequest', error instanceof Error ? error.message : undefined);
  }
  context.log.error({ error: error instanceof Error ? error.stack : String(error) }, 'pusher request failed');
  return new RequestError('internal');
}

function send(reply: FastifyReply, error: RequestError): void {
  if (error.status === 503) void reply.header('Retry-After', '1');
  void reply.code(error.status).send({ error: error.message });
}
